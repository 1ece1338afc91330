"""Finding crops: what a folder or a table holds, numbered."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from resight.data import layouts
from resight.data.columns import Columns
from resight.data.tables import seconds, suggestion
from resight.errors import ConfigError, DataError
from resight.records import JUNK, Crops, IntArray

LAYOUTS = ("auto", *layouts.LAYOUTS)

_PATTERN_GROUPS = ("camera", "identity", "time")
_JUNK_NAME = re.compile(r"-\d+(\.0*)?")  # -1.0: whole numbers beside gaps, as pandas writes them


def read_crops(
    data: str | Path, *, layout: str = "auto", camera_pattern: str | None = None
) -> Crops:
    """List the crops of a folder or table, sorted by path, with what is known about them.

    layout: one of `LAYOUTS`; "auto" (see `detect_layout`) tells most of them. General ones are
    "images" (any depth, folder names mean nothing), "identities" or "cameras" (the first-level
    folder is the identity or camera) and "table" (see `read_table`); the others are of published
    data sets, see docs/datasets.md.
    camera_pattern: a regular expression searched in each path (relative, with "/"); its group
    `camera` gives the camera, the optional groups `identity` and `time` give those. It goes
    before what the layout says.

    Identities are numbered from 1 in the sorted order of their names; unknown ones and negative
    numbers are -1, distractors are 0. Cameras are None when nothing is known of them. Images that
    a list names are listed whether or not they are there: decoding counts and names the missing.
    Hidden files are ignored; a link to a folder is followed unless it leads back into itself.
    No image is opened.

    Raises DataError when nothing can be found or a path has no place in the layout, ConfigError
    for an unknown layout or a pattern that cannot be used.
    """
    chosen = None if layout == "auto" else _named(layout)
    expression = None if camera_pattern is None else _compile(camera_pattern)
    path = _existing(data)
    name = layout if chosen else layouts.find_layout(path)
    reader = chosen or layouts.LAYOUTS[name]
    is_file = path.is_file()
    if not (reader.of_files if is_file else reader.of_folders):
        kind = "a file" if is_file else "a folder"
        raise DataError(f"{path} is {kind}, which the layout {name!r} cannot read")
    columns = reader.read(path)
    if expression is not None:
        columns = _match(columns, expression)
    return _crops(path.parent if is_file else path, columns)


def detect_layout(data: str | Path) -> str:
    """The layout that "auto" stands for, told from the names of files and folders.

    A .csv or .parquet file is a table; data sets are known by the folders and lists that they are
    published with; first-level folders that are all named like cameras (cam1, camera_03, c2) with
    no image beside them are cameras; anything else is images.

    Raises DataError when `data` is missing or another file, and for folders whose only sensible
    reading must be chosen: those that hold a data set one level below, or CUHK03 twice.
    """
    return layouts.find_layout(_existing(data))


def _named(layout: str) -> layouts.Layout:
    chosen = layouts.layout_named(layout)
    if chosen is None:
        raise ConfigError(
            f"unknown layout {layout!r}, expected one of {', '.join(LAYOUTS)}"
            f"{suggestion(layout, LAYOUTS)}"
        )
    return chosen


def _existing(data: str | Path) -> Path:
    try:
        path = Path(data).expanduser().absolute()
        if ".." in path.parts:  # the same folder has one name, from wherever it is named
            path = path.resolve()
        if path.exists():
            return path
        beside = os.listdir(path.parent) if path.parent.is_dir() else []
    except (OSError, RuntimeError) as error:
        raise DataError(f"cannot look for {data}: {_reason(error)}") from error
    near = get_close_matches(path.name, beside, n=1)
    raise DataError(f"{path} does not exist" + (f", did you mean {near[0]!r}?" if near else ""))


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


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
    _check_names(root, paths)
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
        tracks=_number_tracks(columns.tracks),
        boxes=None if columns.boxes is None else np.array(columns.boxes, dtype=np.float32),
    )
    return crops.select(np.array(sorted(range(len(paths)), key=paths.__getitem__)))


def _check_names(root: Path, paths: Sequence[str]) -> None:
    """Raise DataError for a name whose bytes are not UTF-8, which no record could hold."""
    for path in (str(root), *paths):
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"the name {path!a} is not UTF-8: rename it") from error


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
    different = {name for name in names if name is not None} - {distractor}
    known = sorted(name for name in different if not _JUNK_NAME.fullmatch(name))
    number: dict[str | None, int] = {name: index for index, name in enumerate(known, start=1)}
    if distractor is not None:
        number[distractor] = 0
    return np.array([number.get(name, JUNK) for name in names], dtype=np.int64), tuple(known)


def _number_tracks(names: Sequence[str | None] | None) -> IntArray | None:
    """(N,) indices into the sorted names, -1 without one."""
    if names is None:
        return None
    number = {name: index for index, name in enumerate(sorted({n for n in names if n is not None}))}
    return np.array([-1 if name is None else number[name] for name in names], dtype=np.int64)
