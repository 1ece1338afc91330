"""Crops decoded by all cores while somebody else uses the pixels, a bounded number ahead."""

from __future__ import annotations

import os
import queue
import shutil
import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from resight.data.decode import Row, Source, count_readable
from resight.data.workers import decode_chunks
from resight.errors import GalleryError
from resight.records import IntArray

CHUNK = 64
_CHUNKS_PER_FILE = 32
_AHEAD = 8
_PAUSE = 0.1


class Decoded(NamedTuple):
    """Some of the sources, in their order: B that could be read, and those that could not.

    rows: (B,) which of the sources. pixels: (B, H, W, 3) uint8 RGB. sizes: (B, 2) height and width
    of the originals. broken: which others, and why.
    """

    rows: IntArray
    pixels: npt.NDArray[np.uint8]
    sizes: IntArray
    broken: tuple[tuple[int, str], ...]


def decoded(
    sources: Sequence[Source], *, size: tuple[int, int], scratch: Path, workers: int | None = None
) -> Generator[Decoded, None, None]:
    """Decode sources to `size` = (H, W), 64 at a time, in processes of their own.

    At most about 900 are decoded ahead. scratch: a folder for at most 2048 decoded crops, which is
    emptied first and removed in the end. workers: processes, by default one per core.
    Raises GalleryError when it cannot be written, DataError when a process is killed.
    """
    ready: queue.Queue[Decoded | BaseException | None] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def put(item: Decoded | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=_PAUSE)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            with closing(_decoded(sources, size, scratch, workers or _cores())) as parts:
                for part in parts:
                    if not put(part):
                        return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="decoding", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def _decoded(
    sources: Sequence[Source], size: tuple[int, int], scratch: Path, workers: int
) -> Generator[Decoded, None, None]:
    """The same in this thread, through one file after the other."""
    length = _CHUNKS_PER_FILE * CHUNK
    images = scratch / "images.u8"
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        for first in range(0, len(sources), length):
            images.touch()
            part = sources[first : first + length]
            chunks = [part[start : start + CHUNK] for start in range(0, len(part), CHUNK)]
            told = decode_chunks(
                chunks, size=size, images=images, at=0, workers=min(workers, len(chunks))
            )
            with closing(told):
                for start, rows in told:
                    yield _taken(images, start, rows, size, first)
                    first += len(rows)
            images.unlink()
    except OSError as error:
        raise GalleryError(f"cannot write to {scratch}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _taken(
    images: Path, start: int, rows: Sequence[Row], size: tuple[int, int], first: int
) -> Decoded:
    """The pixels of a chunk, whose first source is number `first`."""
    n = count_readable(rows)
    pixels = np.fromfile(images, np.uint8, n * size[0] * size[1] * 3, offset=start)
    numbered = list(enumerate(rows, start=first))
    return Decoded(
        np.array([number for number, row in numbered if not row.reason], dtype=np.int64),
        pixels.reshape(n, *size, 3),
        np.array([(row.height, row.width) for row in rows if not row.reason]).reshape(-1, 2),
        tuple((number, row.reason) for number, row in numbered if row.reason),
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
