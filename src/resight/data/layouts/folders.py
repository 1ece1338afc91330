"""Plain folders: images of any depth, a folder per identity, a folder per camera."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from resight.data.columns import Columns
from resight.data.listing import is_folder, is_image, list_images, visible
from resight.errors import DataError

_CAMERA_FOLDER = re.compile(r"(c|cam|camera)[ _-]?\d+", re.IGNORECASE)


def read_images(root: Path) -> Columns:
    """Images of any depth; the folders' names mean nothing."""
    return Columns(paths=list_images(root))


def read_identities(root: Path) -> Columns:
    """The first-level folder is the identity."""
    paths = list_images(root)
    return Columns(paths=paths, identities=_first_folders(root, paths, "identities"))


def read_cameras(root: Path) -> Columns:
    """The first-level folder is the camera."""
    paths = list_images(root)
    return Columns(paths=paths, cameras=_first_folders(root, paths, "cameras"))


def fits_cameras(root: Path) -> bool:
    """Whether all first-level folders are named like cameras, with no image beside them."""
    entries = visible(root)
    folders = [entry.name for entry in entries if is_folder(entry)]
    loose = any(is_image(entry.name) for entry in entries if not is_folder(entry))
    return bool(folders) and not loose and all(map(_CAMERA_FOLDER.fullmatch, folders))


def _first_folders(root: Path, paths: Sequence[str], layout: str) -> list[str]:
    for path in paths:
        if "/" not in path:
            raise DataError(
                f"{root / path} lies in no folder, but the layout {layout!r} reads the names of "
                f"the folders in {root}: move the image, or choose the layout 'images'"
            )
    return [path.split("/", 1)[0] for path in paths]
