"""Building an image store: chunks decoded by all cores into one file.

A store under construction is a folder of two files: `images.u8`, the readable images one after
the other, and `rows.jsonl`, a line per finished chunk. Workers write each chunk to where it
belongs if no file before it is broken; in the order of the chunks, gaps are closed and lines
written. A chunk counts once its line is whole, so that whatever interrupts the work, the next
call cuts off what hangs over and goes on. A finished store is the same folder under its final
name.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import accumulate
from pathlib import Path

import filelock
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resight.data.decode import Row, Source, count_readable, name_of, write_all
from resight.data.workers import decode_chunks
from resight.errors import DataError

logger = logging.getLogger(__name__)

IMAGES = "images.u8"
ROWS = "rows.jsonl"
CHUNK = 64

_FULL = (errno.ENOSPC, errno.EDQUOT)


def build_store(
    folder: Path, files: Sequence[Source], *, size: tuple[int, int], workers: int | None = None
) -> None:
    """Decode `files` to `size` = (H, W) into the store `folder`, unless it is there already.

    Goes on where an earlier call was interrupted; of several processes that build the same
    store, one works and the others wait. workers: processes, by default one per core.

    Raises DataError when no file is readable, when the folder cannot be written or its disk is
    full (what is decoded is kept), and when a worker is killed.
    """
    try:
        if _is_complete(folder, len(files), size):
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_name(f"{folder.name}.lock")):
            if not _is_complete(folder, len(files), size):
                shutil.rmtree(folder, ignore_errors=True)
                _build(folder, files, size, workers or _cores())
    except (OSError, NotImplementedError) as error:
        raise DataError(_told(error, folder.parent, len(files) * _bytes(size))) from error


def read_rows(folder: Path) -> list[Row]:
    """What is known of every file, in order, as far as its chunk is finished."""
    return [row for chunk in _finished_chunks(folder / ROWS) for row in chunk]


def _is_complete(folder: Path, n_files: int, size: tuple[int, int]) -> bool:
    """Whether the finished store knows `n_files` files and has all their pixels."""
    try:
        rows = read_rows(folder)
        length = (folder / IMAGES).stat().st_size
    except FileNotFoundError:
        return False
    return len(rows) == n_files and length == count_readable(rows) * _bytes(size)


def _build(folder: Path, files: Sequence[Source], size: tuple[int, int], workers: int) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(exist_ok=True)
    done = _cut_to_chunks(partial, size)
    if done:
        logger.info("%s of %s images were decoded before: going on", f"{done:,}", f"{len(files):,}")
    if shutil.disk_usage(partial).free < (len(files) - done) * _bytes(size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _append(partial, files, done, size, workers)
    rows = read_rows(partial)
    if not count_readable(rows):
        shutil.rmtree(partial)
        raise DataError(
            f"none of the {len(files):,} images can be read, the first is {name_of(files[0])}: "
            f"{rows[0].reason}"
        )
    os.replace(partial, folder)


def _cut_to_chunks(partial: Path, size: tuple[int, int]) -> int:
    """Cut off what hangs over the last finished chunk; how many files the chunks hold."""
    images, journal = partial / IMAGES, partial / ROWS
    images.touch()
    journal.touch()
    chunks = _finished_chunks(journal)
    ends = list(accumulate(count_readable(chunk) * _bytes(size) for chunk in chunks))
    length = images.stat().st_size
    kept = sum(end <= length for end in ends)
    _truncate(images, ends[kept - 1] if kept else 0)
    _truncate(journal, sum(len(_line(chunk)) for chunk in chunks[:kept]))
    return sum(map(len, chunks[:kept]))


def _truncate(file: Path, length: int) -> None:
    """Cut a file, if need be: ext4 writes out a file that was cut, when it is closed."""
    if file.stat().st_size > length:
        os.truncate(file, length)


def _append(
    partial: Path, files: Sequence[Source], done: int, size: tuple[int, int], workers: int
) -> None:
    """Decode the files after the first `done`, chunk by chunk, while the disk keeps up."""
    chunks = [files[start : start + CHUNK] for start in range(done, len(files), CHUNK)]
    workers = min(workers, len(chunks))
    images_file = partial / IMAGES
    end = images_file.stat().st_size
    decoded = decode_chunks(chunks, size=size, images=images_file, at=end, workers=workers)
    begun = time.perf_counter()
    with (
        images_file.open("r+b", buffering=0) as images,
        (partial / ROWS).open("ab") as journal,
        _progress(len(files), done) as advance,
        ThreadPoolExecutor(1) as flusher,
        closing(decoded),
    ):
        flushed = flusher.submit(os.fsync, images.fileno())
        for start, rows in decoded:
            length = count_readable(rows) * _bytes(size)
            if start > end:
                _move(images, start, end, length)
            end += length
            journal.write(_line(rows))
            journal.flush()
            advance(len(rows))
            if flushed.done():
                flushed.result()
                flushed = flusher.submit(os.fsync, images.fileno())
        flushed.result()
        images.truncate(end)
        os.fsync(images.fileno())
        os.fsync(journal.fileno())
    logger.info(
        "decoded %s images with %d workers in %.1f s",
        f"{len(files) - done:,}",
        workers,
        time.perf_counter() - begun,
    )


def _move(file: io.FileIO, start: int, to: int, length: int) -> None:
    """Move `length` bytes of the file towards its beginning."""
    file.seek(start)
    data = file.read(length)
    file.seek(to)
    write_all(file, data)


def _line(rows: Sequence[Row]) -> bytes:
    return json.dumps(rows, separators=(",", ":")).encode() + b"\n"


def _finished_chunks(journal: Path) -> list[list[Row]]:
    """The chunks up to the first line that is not whole."""
    chunks = []
    with journal.open("rb") as lines:
        for line in lines:
            try:
                chunks.append([Row(*fields) for fields in json.loads(line)])
            except ValueError:
                break
            if not line.endswith(b"\n"):
                chunks.pop()
    return chunks


def _bytes(size: tuple[int, int]) -> int:
    """Bytes of one decoded image."""
    return size[0] * size[1] * 3


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    lock = filelock.FileLock(file)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        logger.warning("another process decodes the same images: waiting for it to finish")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr when that is a terminal, nothing otherwise."""
    console = Console(stderr=True)
    columns = (
        TextColumn("decoding"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda count: bar.advance(task, count)


def _told(error: Exception, cache: Path, needed: int) -> str:
    if isinstance(error, OSError) and error.errno in _FULL:
        return (
            f"no space left for the decoded images in {cache}, which take {needed / 1e9:.2f} GB: "
            "free some, or point RESIGHT_CACHE to another disk; what is decoded so far is kept"
        )
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    return (
        f"cannot write the decoded images to {cache}: {reason}; point RESIGHT_CACHE to a folder "
        "that can be written"
    )
