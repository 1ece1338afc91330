"""What is known of crops, as rows of a store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags

from resight.data.decode import Cut, Source, read_file, upright_size
from resight.gallery.records import NO_ROW, NO_TRACK, Rows
from resight.records import Crops, IntArray

if TYPE_CHECKING:
    from resight.inference import Picture

Kind = TypeVar("Kind", bound=np.generic)

GONE = ""
_SIDEWAYS = range(5, 9)


def describe(
    source: str,
    paths: Sequence[str],
    *,
    cameras: str | Sequence[str] = "",
    times: float | Sequence[float] | npt.NDArray[np.float64] = float("nan"),
    tracks: int | Sequence[int] | IntArray = NO_TRACK,
    stamps: Sequence[str] | None = None,
) -> Rows:
    """N rows for a store, of crops from one source.

    source: where they come from, such as the name of a live stream. paths: a name for each, by
    which it is found again. cameras, times (seconds), tracks: of each crop, or one for all.
    stamps: change when a crop does.
    Raises ValueError for lists that do not have a value per path.
    """
    n = len(paths)
    names = (cameras,) * n if isinstance(cameras, str) else tuple(cameras)
    return Rows(
        sources=(source,) * n,
        paths=tuple(paths),
        stamps=(GONE,) * n if stamps is None else tuple(stamps),
        cameras=names,
        times=_each(times, n, np.float64),
        tracks=_each(tracks, n, np.int64),
        added=np.zeros(n),
        ids=np.full(n, NO_ROW),
    )


def describe_crops(crops: Crops) -> Rows:
    """The rows of listed crops; the stamp of one whose file is not there is empty.

    A stamp is the length and the time of change of a file, and the box that is cut from it.
    """
    stamp = lru_cache(maxsize=1)(_stamp)  # crops of one frame follow each other
    files = (str(crops.file(row)) for row in range(len(crops)))
    stamps = [stamp(file) for file in files]
    if crops.boxes is not None:
        boxes = crops.boxes.tolist()
        pairs = zip(stamps, boxes, strict=True)
        stamps = [f"{told} {box}" if told else GONE for told, box in pairs]
    cameras = crops.cameras
    names = "" if cameras is None else [crops.camera_names[camera] for camera in cameras]
    return describe(
        str(crops.root),
        crops.paths,
        cameras=names,
        times=float("nan") if crops.times is None else crops.times,
        tracks=NO_TRACK if crops.tracks is None else crops.tracks,
        stamps=stamps,
    )


def source_files(crops: Crops, rows: IntArray) -> list[Source]:
    """What to decode for these crops: files, or cuts from them."""
    if crops.boxes is None:
        return [os.path.join(crops.root, crops.paths[row]) for row in rows]
    boxes = crops.boxes[rows].tolist()
    files = (str(crops.file(row)) for row in rows)
    return [Cut(file, tuple(box)) for file, box in zip(files, boxes, strict=True)]


def original_sizes(pictures: Sequence[Picture]) -> IntArray:
    """(N, 2) height and width of readable pictures, upright."""
    return np.array([_original_size(picture) for picture in pictures]).reshape(-1, 2)


def _original_size(picture: Picture) -> tuple[int, int]:
    if isinstance(picture, np.ndarray):
        return picture.shape[0], picture.shape[1]
    if isinstance(picture, str | os.PathLike):
        picture = read_file(os.fspath(picture))
    if isinstance(picture, bytes):
        return upright_size(picture)
    with suppress(Exception):  # a broken note about the picture does not break it
        if picture.getexif().get(ExifTags.Base.Orientation, 1) in _SIDEWAYS:
            return picture.width, picture.height
    return picture.height, picture.width


def _stamp(file: str) -> str:
    """Length and time of change of a file, empty where it is not there."""
    try:
        status = os.stat(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError for a zero byte
        return GONE
    except OSError as error:
        return f"unreadable: {error.errno}"
    return f"{status.st_size} {status.st_mtime_ns}"


def _each(values: npt.ArrayLike, n: int, kind: type[Kind]) -> npt.NDArray[Kind]:
    """(N,) of one value for all, or of a value each."""
    array = np.asarray(values, kind)
    return np.full(n, array) if array.ndim == 0 else array
