"""Listing the images of a folder without opening any."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from resight.errors import DataError

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")

_HIDDEN_FOLDERS = ("__MACOSX", "@eaDir")


def list_images(root: Path) -> list[str]:
    """The image files below `root`, relative to it, sorted.

    Hidden files are ignored, and a link that leads back into its own folder is not followed.
    Raises DataError when there is none or a folder cannot be listed.
    """
    files = sorted(_walk(root))
    images = [file for file in files if is_image(file)]
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


def images_in(folder: Path) -> list[str]:
    """The names of the images right in `folder`, sorted."""
    return sorted(entry.name for entry in visible(folder) if is_image(entry.name))


def visible(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder that are not hidden, in no order."""
    return [entry for entry in _entries(folder) if not _is_hidden(entry.name)]


def folders_in(folder: Path) -> list[str]:
    """The names of the folders in `folder` that are not hidden, sorted."""
    return sorted(entry.name for entry in visible(folder) if is_folder(entry))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether the entry is a folder or leads to one."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_image(name: str) -> bool:
    """Whether a file of this name is an image that resight reads."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def _walk(root: Path) -> Iterator[str]:
    """Every file below `root` that is not hidden, relative to it, in no order."""
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while pending:
        prefix, above = pending.pop()  # a folder, and the folders on the way to it
        folder = root / prefix
        place = _place(folder)
        if place in above:
            logger.warning("%s leads back to a folder that holds it: not followed", folder)
            continue
        for entry in visible(folder):
            if is_folder(entry):
                pending.append((f"{prefix}{entry.name}/", above | {place}))
            elif entry.is_symlink() or entry.is_file():
                yield prefix + entry.name


def _place(folder: Path) -> tuple[int, int]:
    """What a folder is, by whatever name it was reached."""
    try:
        status = folder.stat()
    except OSError as error:
        raise DataError(f"cannot list the folder {folder}: {error.strerror}") from error
    return status.st_dev, status.st_ino


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"cannot list the folder {folder}: {error.strerror}") from error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _HIDDEN_FOLDERS
