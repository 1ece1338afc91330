"""A folder for each of train, query and gallery, where file names tell the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from resight.data.columns import Listed
from resight.data.listing import list_images
from resight.errors import DataError


class Name(NamedTuple):
    """What a file name tells."""

    identity: str
    camera: str
    time: float = math.nan


def has_folders(root: Path, folders: Mapping[str, str]) -> bool:
    """Whether all of these folders are there."""
    return all((root / folder).is_dir() for folder in folders)


def read_folders(
    root: Path,
    folders: Mapping[str, str],
    parse: Callable[[str], Name | None],
    *,
    layout: str,
    like: str,
) -> list[Listed]:
    """The images of {folder: split}, as `parse` reads their names.

    layout: named in errors. like: an example of a name and what it means. Raises DataError for
    missing folders and for names that `parse` gives None for.
    """
    missing = [folder for folder in folders if not (root / folder).is_dir()]
    if missing:
        raise DataError(f"{root} lacks {', '.join(missing)}, which the layout {layout!r} needs")
    rows = []
    for folder, split in folders.items():
        for path in list_images(root / folder):
            name = parse(PurePosixPath(path).name)
            if name is None:
                raise DataError(
                    f"{root / folder / path} is not named as in the layout {layout!r}, where {like}"
                )
            row = Listed(f"{folder}/{path}", split, name.camera, name.identity, name.time)
            rows.append(row)
    return rows
