"""Finding crops: folders of images, folders per identity or camera, Market-1501, tables."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import numpy as np

from resight.data.tables import TABLE_SUFFIXES, Columns, read_table, seconds, suggestion
from resight.errors import ConfigError, DataError
from resight.records import JUNK, Crops, IntArray

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
LAYOUTS = ("auto", "images", "identities", "cameras", "market1501", "table")

_MARKET_FOLDERS = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
_MARKET_NAME = re.compile(r"(-1|\d+)_(c\d+)")
_MARKET_DISTRACTOR = "0000"
_CAMERA_FOLDER = re.compile(r"(c|cam|camera)[ _-]?\d+", re.IGNORECASE)
_PATTERN_GROUPS = ("camera", "identity", "time")
_HIDDEN_FOLDERS = ("__MACOSX", "@eaDir")


def read_crops(
    data: str | Path, *, layout: str = "auto", camera_pattern: str | None = None
) -> Crops:
    """List the crops of a folder or table, sorted by path, with what is known about them.

    layout: "auto" (see `detect_layout`), "images" (any depth, folder names mean nothing),
    "identities" or "cameras" (the first-level folder is the identity or camera), "market1501"
    (bounding_box_train, query, bounding_box_test), "table" (see `read_table`).
    camera_pattern: a regular expression searched in each path (relative, with "/"); its group
    `camera` gives the camera, the optional groups `identity` and `time` give those. It goes
    before what the layout says.

    Identities are numbered from 1 in the sorted order of their names; unknown ones and "-1" are
    -1, the distractors of Market-1501 are 0. Cameras are None when nothing is known of them.
    Hidden files are ignored; a link to a folder is followed unless it leads back into itself.
    No image is opened.

    Raises DataError when nothing can be found or a path has no place in the layout, ConfigError
    for an unknown layout or a pattern that cannot be used.
    """
    if layout not in LAYOUTS:
        raise ConfigError(
            f"unknown layout {layout!r}, expected one of {', '.join(LAYOUTS)}"
            f"{suggestion(layout, LAYOUTS)}"
        )
    expression = None if camera_pattern is None else _compile(camera_pattern)
    path = _existing(data)
    found = detect_layout(path) if layout == "auto" else layout
    if (found == "table") != path.is_file():
        kind = "a file" if path.is_file() else "a folder"
        raise DataError(f"{path} is {kind}, which the layout {found!r} cannot read")
    columns = _READERS[found](path)
    if expression is not None:
        columns = _match(columns, expression)
    return _crops(path.parent if found == "table" else path, columns)


def detect_layout(data: str | Path) -> str:
    """The layout that "auto" stands for: "table", "market1501", "cameras" or "images".

    A .csv or .parquet file is a table; the three folders of Market-1501 give that; first-level
    folders that are all named like cameras (cam1, camera_03, c2) with no image beside them are
    cameras; anything else is images. Raises DataError when `data` is missing or another file.
    """
    path = _existing(data)
    if path.is_file():
        if path.suffix.lower() in TABLE_SUFFIXES:
            return "table"
        raise DataError(f"{path} is a file; give a folder of images, or a .csv or .parquet table")
    if all((path / folder).is_dir() for folder in _MARKET_FOLDERS):
        return "market1501"
    entries = [entry for entry in _entries(path) if not _is_hidden(entry.name)]
    folders = [entry.name for entry in entries if _is_folder(entry)]
    loose = any(_is_image(entry.name) for entry in entries if not _is_folder(entry))
    named = bool(folders) and all(_CAMERA_FOLDER.fullmatch(name) for name in folders)
    return "cameras" if named and not loose else "images"


def _existing(data: str | Path) -> Path:
    path = Path(data).expanduser().absolute()
    if path.exists():
        return path
    beside = os.listdir(path.parent) if path.parent.is_dir() else []
    near = get_close_matches(path.name, beside, n=1)
    raise DataError(f"{path} does not exist" + (f", did you mean {near[0]!r}?" if near else ""))


def _images(root: Path) -> Columns:
    return Columns(paths=_list_images(root))


def _identities(root: Path) -> Columns:
    paths = _list_images(root)
    return Columns(paths=paths, identities=_first_folders(root, paths, "identities"))


def _cameras(root: Path) -> Columns:
    paths = _list_images(root)
    return Columns(paths=paths, cameras=_first_folders(root, paths, "cameras"))


def _market1501(root: Path) -> Columns:
    missing = [folder for folder in _MARKET_FOLDERS if not (root / folder).is_dir()]
    if missing:
        raise DataError(f"{root} lacks {', '.join(missing)}, which the layout 'market1501' needs")
    paths, splits, cameras, identities = [], [], [], []
    for folder, split in _MARKET_FOLDERS.items():
        for path in _list_images(root / folder):
            match = _MARKET_NAME.match(PurePosixPath(path).name)
            if not match:
                raise DataError(
                    f"{root / folder / path} is not named as in Market-1501, where "
                    "0002_c1s1_000451_03.jpg is identity 2 seen by camera 1"
                )
            identity, camera = match.groups()
            paths.append(f"{folder}/{path}")
            splits.append(split)
            cameras.append(camera)
            identities.append(_MARKET_DISTRACTOR if identity.strip("0") == "" else identity)
    return Columns(paths, splits, cameras, identities, distractor=_MARKET_DISTRACTOR)


_READERS: dict[str, Callable[[Path], Columns]] = {
    "images": _images,
    "identities": _identities,
    "cameras": _cameras,
    "market1501": _market1501,
    "table": read_table,
}


def _first_folders(root: Path, paths: Sequence[str], layout: str) -> list[str]:
    for path in paths:
        if "/" not in path:
            raise DataError(
                f"{root / path} lies in no folder, but the layout {layout!r} reads the names of "
                f"the folders in {root}: move the image, or choose the layout 'images'"
            )
    return [path.split("/", 1)[0] for path in paths]


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"the camera pattern {pattern!r} is no regular expression: {error}"
        ) from error
    unknown = [name for name in expression.groupindex if name not in _PATTERN_GROUPS]
    if unknown:
        raise ConfigError(
            f"the camera pattern {pattern!r} has the group {unknown[0]!r}, expected only "
            f"{', '.join(_PATTERN_GROUPS)}{suggestion(unknown[0], _PATTERN_GROUPS)}"
        )
    if "camera" not in expression.groupindex:
        raise ConfigError(
            f"the camera pattern {pattern!r} has no group named camera: "
            r"write it as in 'cam(?P<camera>\d+)'"
        )
    return expression


def _match(columns: Columns, expression: re.Pattern[str]) -> Columns:
    """The columns with what the pattern says of each path."""
    found = [expression.search(path) for path in columns.paths]
    matches = [match for match in found if match is not None and match["camera"]]
    if len(matches) < len(found):
        lost = next(
            path
            for path, match in zip(columns.paths, found, strict=True)
            if match is None or not match["camera"]
        )
        raise DataError(
            f"the camera pattern {expression.pattern!r} finds no camera in "
            f"{len(found) - len(matches)} of {len(found)} paths, for example {lost!r}"
        )
    columns = replace(columns, cameras=[match["camera"] for match in matches])
    if "identity" in expression.groupindex:
        identities = [match["identity"] or None for match in matches]
        columns = replace(columns, identities=identities, distractor=None)
    if "time" in expression.groupindex:
        columns = replace(columns, times=[_matched_time(match) for match in matches])
    return columns


def _matched_time(match: re.Match[str]) -> float:
    try:
        return seconds(match["time"])
    except ValueError as error:
        raise DataError(
            f"the camera pattern {match.re.pattern!r} finds the time {match['time']!r} in "
            f"{match.string!r}, expected seconds or an ISO 8601 date"
        ) from error


def _crops(root: Path, columns: Columns) -> Crops:
    paths = columns.paths
    twice = next((path for path, count in Counter(paths).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{twice!r} is listed more than once in {root}: keep one row for it")
    splits = ["train"] * len(paths) if columns.splits is None else columns.splits
    cameras, camera_names = _number_cameras(columns.cameras)
    identities, identity_names = _number_identities(columns.identities, columns.distractor)
    crops = Crops(
        root=root,
        paths=tuple(paths),
        splits=np.array(splits),
        cameras=cameras,
        identities=identities,
        times=None if columns.times is None else np.array(columns.times, dtype=np.float64),
        camera_names=camera_names,
        identity_names=identity_names,
    )
    return crops.select(np.array(sorted(range(len(paths)), key=paths.__getitem__)))


def _number_cameras(names: Sequence[str] | None) -> tuple[IntArray | None, tuple[str, ...]]:
    """(N,) indices into the sorted names, and these."""
    if names is None:
        return None, ()
    known = sorted(set(names))
    number = {name: index for index, name in enumerate(known)}
    return np.array([number[name] for name in names], dtype=np.int64), tuple(known)


def _number_identities(
    names: Sequence[str | None] | None, distractor: str | None
) -> tuple[IntArray | None, tuple[str, ...]]:
    """(N,) numbers from 1 in the order of the sorted names, -1 unknown, 0 distractor."""
    if names is None:
        return None, ()
    unknown = (None, str(JUNK))
    known = sorted({name for name in names if name is not None} - {str(JUNK), distractor or ""})
    number: dict[str | None, int] = {name: index for index, name in enumerate(known, start=1)}
    number.update(dict.fromkeys(unknown, JUNK))
    if distractor is not None:
        number[distractor] = 0
    return np.array([number[name] for name in names], dtype=np.int64), tuple(known)


def _list_images(root: Path) -> list[str]:
    """The image files below `root`, relative to it, sorted."""
    files = sorted(_walk(root, "", frozenset()))
    images = [file for file in files if _is_image(file)]
    others = Counter(PurePosixPath(file).suffix.lower() or "no ending" for file in files)
    for suffix in IMAGE_SUFFIXES:
        del others[suffix]
    told = ", ".join(f"{count} × {suffix}" for suffix, count in others.most_common(5))
    if not images:
        raise DataError(
            f"no image in {root}: resight reads {', '.join(IMAGE_SUFFIXES)}"
            + (f", found {told}" if told else ", and the folder is empty")
        )
    if told:
        logger.info("%s: ignored files that are no images (%s)", root, told)
    return images


def _walk(folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """Every file that is not hidden; `above` holds the folders on the way here."""
    status = folder.stat()
    place = (status.st_dev, status.st_ino)
    if place in above:
        logger.warning("%s leads back to a folder that holds it: not followed", folder)
        return
    for entry in _entries(folder):
        if _is_hidden(entry.name):
            continue
        if _is_folder(entry):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", above | {place})
        elif entry.is_symlink() or entry.is_file():
            yield prefix + _readable_name(entry)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"cannot list the folder {folder}: {error.strerror}") from error


def _readable_name(entry: os.DirEntry[str]) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"the file name {os.fsencode(entry.path)!r} is not UTF-8: rename it") from (
            error
        )
    return entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _HIDDEN_FOLDERS
