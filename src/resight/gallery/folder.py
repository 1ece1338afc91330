"""The folder of a gallery: whether it is free, and what killed work leaves in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resight.errors import GalleryError
from resight.evaluation.threshold import FILE as THRESHOLD
from resight.files import LOCK
from resight.gallery.settings import DESCRIPTION, FILE, WEIGHTS

STORE = "store"
SCRATCH = ".decoding"

_WRITTEN_FIRST = {LOCK, WEIGHTS, DESCRIPTION, THRESHOLD, STORE}
_DRAFTS = ".*.tmp"


def make_free(folder: Path) -> None:
    """Make a folder that is absent or empty one that its owner alone can read.

    What the making of a gallery leaves when it is cut short does not matter; gallery.json is
    written last. Raises GalleryError when there is anything else.
    """
    with telling(f"cannot write to {folder}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        drafts = set(folder.glob(_DRAFTS))
        taken = {file.name for file in folder.iterdir() if file not in drafts} - _WRITTEN_FIRST
    if FILE in taken:
        raise GalleryError(f"{folder} is a gallery already: open it, or choose another folder")
    if taken:
        raise GalleryError(f"{folder} holds other files: choose a new or empty folder")
    with telling(f"cannot keep others from reading {folder}"):
        folder.chmod(0o700)


def remove_drafts(folder: Path) -> None:
    """Remove what writing files atomically leaves when it is killed."""
    for draft in folder.glob(_DRAFTS):
        draft.unlink(missing_ok=True)


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Raise GalleryError saying what could not be done, and why, instead of OSError."""
    try:
        yield
    except OSError as error:
        raise GalleryError(f"{what}: {error.strerror or error}") from error
