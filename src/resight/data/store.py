"""The image store: every crop decoded once, in one memory-mapped file of uint8."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from resight.data.build import IMAGES, build_store, read_rows
from resight.data.decode import Cut, Row, Source, name_of
from resight.errors import DataError
from resight.records import Crops, IntArray

logger = logging.getLogger(__name__)

_VERSION = 1
_SHOWN = 5


@dataclass(frozen=True)
class Broken:
    """A crop that could not be read: its path below the data's root, and why."""

    path: str
    reason: str


@dataclass(frozen=True, eq=False)
class ImageStore:
    """N decoded crops, the rows of `crops` in the same order.

    images: (N, H, W, 3) uint8 RGB, read only, on disk. original_sizes: (N, 2) int64 height and
    width of the files, or of what lies within a box. digests: (N,) hexadecimal blake2b of the
    files' bytes and boxes, equal for duplicates. broken: what was left out. folder: where the store
    lies.
    """

    crops: Crops
    images: npt.NDArray[np.uint8]
    original_sizes: IntArray
    digests: npt.NDArray[np.str_]
    broken: tuple[Broken, ...]
    folder: Path

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def open(
        cls,
        crops: Crops,
        *,
        size: tuple[int, int] = (256, 128),
        cache: Path | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> ImageStore:
        """Open the store of these crops at `size` = (H, W); decode what no earlier call has.

        A store is found again by its files' relative paths, sizes and times of change, and by
        `size`. It lies in `cache`, else in $RESIGHT_CACHE, else in the user's cache folder.
        Crops that cannot be read, and those whose box lies outside their frame, are logged and
        left out, or an error when `strict`.
        workers: decoding processes, by default one per core.

        Raises DataError when no crop can be read, when one cannot and `strict`, and when the
        cache cannot be written.
        """
        if min(size) < 1 or len(size) != 2:
            raise ValueError(f"size is {size}, expected (height, width), both >= 1")
        if workers is not None and workers < 1:
            raise ValueError(f"workers is {workers}, expected >= 1")
        if not len(crops):
            raise DataError(f"{crops.root} holds no crops")
        files = _sources(crops)
        folder = (cache or cache_folder()).expanduser() / "images" / _key(crops.paths, files, size)
        build_store(folder, files, size=size, workers=workers)
        store = _load(folder, crops, size)
        _report(store, strict)
        return store

    def batch(self, indices: IntArray | torch.Tensor) -> torch.Tensor:
        """The images of these rows: (B, 3, H, W) uint8 in the channels-last memory format."""
        rows = np.asarray(indices, dtype=np.int64)
        # NumPy copies whole rows; torch starts its threads for each, a hundred times slower
        # while the cores are busy.
        return torch.from_numpy(self.images[rows]).permute(0, 3, 1, 2)


def cache_folder() -> Path:
    """$RESIGHT_CACHE, or the folder that the platform has for a user's caches."""
    if chosen := os.environ.get("RESIGHT_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "resight"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "resight"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resight"


def _sources(crops: Crops) -> list[Source]:
    if crops.boxes is None:
        return [os.path.join(crops.root, path) for path in crops.paths]
    files = (str(crops.file(row)) for row in range(len(crops)))
    return [Cut(file, tuple(box)) for file, box in zip(files, crops.boxes.tolist(), strict=True)]


def _key(paths: Sequence[str], files: Sequence[Source], size: tuple[int, int]) -> str:
    """The name of the store: changes with any file's path, length, time of change or box."""
    digest = blake2b(f"{_VERSION} {size[0]} {size[1]}".encode(), digest_size=12)
    stamp = lru_cache(maxsize=1)(_stamp)  # crops of one frame follow each other
    for path, file in zip(paths, files, strict=True):
        box = "" if isinstance(file, str) else f" {file.box}"
        digest.update(f"\0{path}\0{stamp(name_of(file))}{box}".encode())
    return f"{digest.hexdigest()}-{size[0]}x{size[1]}"


def _stamp(file: str) -> str:
    """Length and time of change; none where the file is missing or may not be read."""
    try:
        status = os.stat(file)
    except (OSError, ValueError):  # ValueError for a name with a zero byte
        return ""
    return f"{status.st_size} {status.st_mtime_ns}" if os.access(file, os.R_OK) else ""


def _load(folder: Path, crops: Crops, size: tuple[int, int]) -> ImageStore:
    rows = read_rows(folder)
    readable = np.array([not row.reason for row in rows])
    kept = [row for row in rows if not row.reason]
    return ImageStore(
        crops=crops if len(kept) == len(rows) else crops.select(readable),
        images=np.memmap(folder / IMAGES, np.uint8, mode="r", shape=(len(kept), *size, 3)),
        original_sizes=np.array([(row.height, row.width) for row in kept], dtype=np.int64),
        digests=np.array([row.digest for row in kept]),
        broken=_broken(crops.paths, rows),
        folder=folder,
    )


def _broken(paths: Sequence[str], rows: Sequence[Row]) -> tuple[Broken, ...]:
    pairs = zip(paths, rows, strict=True)
    return tuple(Broken(path, row.reason) for path, row in pairs if row.reason)


def _report(store: ImageStore, strict: bool) -> None:
    if not store.broken:
        return
    count, total = len(store.broken), len(store) + len(store.broken)
    first = "; ".join(f"{broken.path}: {broken.reason}" for broken in store.broken[:_SHOWN])
    more = f"; and {count - _SHOWN} more" if count > _SHOWN else ""
    message = f"{count:,} of {total:,} images in {store.crops.root} cannot be read: {first}{more}"
    if strict:
        raise DataError(message)
    logger.warning("%s; they are left out", message)
