"""Decoding by many processes, handed out in order.

Processes rather than threads: a small crop spends a fifth of its time under Python's lock, which
would leave all but four or five cores idle. They are started as scripts of their own, so that a
user's program needs no `if __name__ == "__main__"` and no memory is copied by a fork.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from resight.data import decode
from resight.data.decode import Row, Source, name_of
from resight.errors import DataError

Rows = list[Row]

# Without these, glibc returns the memory of every image to the system: a fifth of the time.
_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}


def decode_chunks(
    chunks: Sequence[Sequence[Source]],
    *,
    size: tuple[int, int],
    images: Path,
    at: int,
    workers: int,
) -> Generator[tuple[int, Rows], None, None]:
    """Decode chunks of files into the file `images`; yield, in order, where each lies and its rows.

    A chunk is written to where it belongs if no file before it is broken, counted from byte `at`;
    its readable images lie together. One worker is this process. Raises OSError when `images`
    cannot be written, DataError when a worker is killed.
    """
    image_bytes = size[0] * size[1] * 3
    ends = accumulate((len(chunk) * image_bytes for chunk in chunks), initial=at)
    tasks = zip(ends, chunks, strict=False)
    if workers > 1:
        yield from _in_processes(tasks, size, images, workers)
        return
    with images.open("r+b", buffering=0) as file:
        for start, chunk in tasks:
            file.seek(start)
            yield start, decode.decode_chunk(chunk, size=size, to=file)


def _in_processes(
    tasks: Iterable[tuple[int, Sequence[Source]]], size: tuple[int, int], images: Path, workers: int
) -> Generator[tuple[int, Rows], None, None]:
    with ExitStack() as stack:
        idle: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(workers):
            idle.put(stack.enter_context(_Worker(size, images)))
        threads = ThreadPoolExecutor(workers)
        stack.callback(threads.shutdown, cancel_futures=True)
        pending: deque[tuple[int, Future[Rows]]] = deque()
        for start, chunk in tasks:
            if len(pending) == 2 * workers:
                place, future = pending.popleft()
                yield place, future.result()
            pending.append((start, threads.submit(_hand_out, idle, start, chunk)))
        for place, future in pending:
            yield place, future.result()


def _hand_out(idle: SimpleQueue[_Worker], at: int, chunk: Sequence[Source]) -> Rows:
    worker = idle.get()
    try:
        return worker.decode(at, chunk)
    finally:
        idle.put(worker)


class _Worker:
    """A process that decodes one chunk at a time."""

    def __init__(self, size: tuple[int, int], images: Path) -> None:
        script = [sys.executable, "-P", decode.__file__, str(images), *map(str, size)]
        self._process = subprocess.Popen(
            script,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | _KEEP_MEMORY,
        )

    def __enter__(self) -> _Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()

    def decode(self, at: int, files: Sequence[Source]) -> Rows:
        """Write the readable images of `files` from byte `at` on, and tell of each file."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps([at, *files]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise DataError(
                f"a process was ended (exit code {self._process.wait()}) while it decoded "
                f"{name_of(files[0])} … {name_of(files[-1])}, perhaps for lack of memory: "
                "try fewer workers"
            )
        answer = json.loads(line)
        if isinstance(answer, int):
            raise OSError(answer, os.strerror(answer))
        return [Row(*fields) for fields in answer]
