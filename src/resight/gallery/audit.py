"""Who searched for what: searches.jsonl, kept by galleries that were asked to."""

from __future__ import annotations

import fcntl
import io
import os
import time
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resight.data.decode import write_all
from resight.errors import GalleryError
from resight.files import as_json
from resight.gallery.folder import telling

if TYPE_CHECKING:
    from resight.gallery.gallery import Gallery
    from resight.gallery.records import Filter
    from resight.gallery.searching import Answer, Query
    from resight.inference import Picture

FILE = "searches.jsonl"


def log(gallery: Gallery, query: Query, answer: Answer, *, by: str) -> None:
    """Append a line about a search, on the disk when this returns.

    The line holds when it was, who asked, which stored crops were searched for or the BLAKE2b
    digests (16 bytes) of the pictures, filters and options, and the ids that were answered; of
    pictures and embeddings it holds nothing. Raises GalleryError when it cannot be written, so that
    no search goes unlogged.
    """
    entry = {
        "time": time.time(),
        "by": by,
        "pictures": [digest_of(picture) for picture in query.pictures],
        "ids": list(query.ids),
        "where": _plain(query.where),
        "k": query.k,
        "same_camera": query.same_camera,
        "accepted_only": query.accepted_only,
        "reranked": answer.reranked,
        "unknown": answer.unknown,
        "answered": [hit.id for hit in answer.hits],
    }
    _append(gallery.path / FILE, as_json(entry).encode())


def digest_of(picture: Picture) -> str:
    """Of an image file, given by path or bytes, that of its bytes; otherwise that of its pixels."""
    if isinstance(picture, str | Path):
        with telling(f"cannot read {picture} again, to log the search"):
            data = Path(picture).read_bytes()
    elif isinstance(picture, bytes):
        data = picture
    else:
        data = np.asarray(picture).tobytes()
    return blake2b(data, digest_size=16).hexdigest()


def _plain(where: Filter) -> dict[str, Any]:
    """What a filter asks for, without what it leaves open."""
    asked = {key: value for key, value in asdict(where).items() if value not in (None, frozenset())}
    return {k: sorted(v) if isinstance(v, frozenset) else v for k, v in asked.items()}


def _append(file: Path, line: bytes) -> None:
    """Append a line whole, or leave the file as it was."""
    try:
        with open(file, "a+b", buffering=0, opener=_private) as log:
            fcntl.flock(log, fcntl.LOCK_EX)  # lines of several processes do not mix
            before = log.seek(0, os.SEEK_END)
            try:
                write_all(log, _end_of_torn_line(log) + line)
                os.fsync(log.fileno())
            except OSError:
                log.truncate(before)
                raise
    except OSError as error:
        raise GalleryError(
            f"the search cannot be logged in {file}: {error.strerror}; nothing is answered"
        ) from error


def _end_of_torn_line(log: io.FileIO) -> bytes:
    """What must come before the next line where a power cut tore the last one."""
    if not log.seek(0, os.SEEK_END):
        return b""
    log.seek(-1, os.SEEK_END)
    return b"" if log.read(1) == b"\n" else b"\n"


def _private(file: str, flags: int) -> int:
    return os.open(file, flags, 0o600)
