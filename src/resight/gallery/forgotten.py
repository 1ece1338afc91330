"""What was deleted on purpose, so that indexing the same files does not bring it back.

forgotten.txt holds a digest of source, path and stamp of each such crop, a line each: enough to
know the crop when it is seen, and nothing that tells of it otherwise.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

import numpy as np

from resight.errors import GalleryError
from resight.files import write_atomically
from resight.gallery.folder import telling
from resight.gallery.records import Rows
from resight.records import BoolArray

FILE = "forgotten.txt"


def forget(folder: Path, rows: Rows) -> None:
    """Note that these crops were deleted; it is on the disk when this returns."""
    # The empty line keeps a last one that a power cut tore apart from the first of these.
    lines = "\n".join(["", *_digests(rows), ""])
    with telling(f"cannot write {folder / FILE}"), open(folder / FILE, "a") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def are_forgotten(folder: Path, rows: Rows) -> BoolArray:
    """(N,) which of these crops were deleted on purpose, with the stamps that they have now."""
    known = _read(folder)
    if not known:
        return np.zeros(len(rows), np.bool_)
    return np.array([digest in known for digest in _digests(rows)], dtype=np.bool_)


def restore(folder: Path, rows: Rows) -> None:
    """Let these crops be indexed again."""
    known = _read(folder)
    left = known.difference(_digests(rows))
    if len(left) < len(known):
        text = "".join(f"{digest}\n" for digest in sorted(left))
        write_atomically(folder / FILE, lambda draft: draft.write_text(text))


def _read(folder: Path) -> set[str]:
    try:
        return set((folder / FILE).read_text().split())
    except FileNotFoundError:
        return set()
    except (OSError, UnicodeDecodeError) as error:
        raise GalleryError(f"cannot read {folder / FILE}: {error}") from error


def _digests(rows: Rows) -> list[str]:
    named = zip(rows.sources, rows.paths, rows.stamps, strict=True)
    texts = ("\0".join(crop).encode("utf-8", "surrogatepass") for crop in named)
    return [blake2b(text, digest_size=12).hexdigest() for text in texts]
