"""Rendering with several processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from queue import Queue
from threading import Thread
from typing import IO

from resight.data.demo.shots import render_image
from resight.data.demo.worker import Job, render_identities
from resight.errors import DataError

IMAGES_PER_WORKER = 60  # fewer are done before another process has started

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def render(job: Job, workers: int) -> Generator[int, None, None]:
    """Render a job with `workers` processes; yields the number of pictures as they are done.

    Closing the iterator, or an interrupt, stops the workers at once. Raises DataError when a
    worker fails, with the last line of what it said.
    """
    if workers == 1:
        yield from render_identities(job)
        return
    render_image(job.world, job.seed, 1, 1, 0, job.size)  # compiles once, for all workers
    with ExitStack() as stack:
        shares = [job.identities[k::workers] for k in range(workers)]
        processes = [stack.enter_context(_started(replace(job, identities=s))) for s in shares if s]
        done: Queue[int | _Worker] = Queue()
        for process in processes:
            Thread(target=process.report, args=(done,), daemon=True).start()
        running = len(processes)
        while running:
            event = done.get()
            if isinstance(event, int):
                yield event
            else:
                event.check()
                running -= 1


@contextmanager
def _started(job: Job) -> Iterator[_Worker]:
    """A process with one thread, which ends when the context does."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "resight.data.demo.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment(),
        )
        try:
            yield _Worker(job, process, errors)
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True, eq=False)
class _Worker:
    """A running process, its job, and the file that takes its messages."""

    job: Job
    process: subprocess.Popen[str]
    errors: IO[str]

    def report(self, done: Queue[int | _Worker]) -> None:
        """Put each count on the queue, and the worker itself when it has ended."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is not None and stdout is not None:
            try:
                stdin.write(self.job.to_json() + "\n")
                stdin.close()
                for line in stdout:
                    done.put(int(line))
            except (OSError, ValueError):
                pass  # the worker died: `check` says why
        self.process.wait()
        done.put(self)

    def check(self) -> None:
        """Raise DataError if the worker failed."""
        if self.process.returncode:
            self.errors.seek(0)
            said: Sequence[str] = self.errors.read().split("\n")
            last = next((line for line in reversed(said) if line.strip()), "no message")
            code = self.process.returncode
            raise DataError(f"a rendering process ended with code {code}: {last}")


def _environment() -> dict[str, str]:
    """The parent's, with its import path, and one thread per library."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, **dict.fromkeys(_THREADS, "1")}
