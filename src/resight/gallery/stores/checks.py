"""What every store checks before it keeps or searches anything, so that all refuse the same."""

from __future__ import annotations

import numpy as np

from resight.errors import StoreError
from resight.gallery.records import Rows
from resight.records import FloatArray

LONGEST = {"sources": 4096, "paths": 4096, "stamps": 4096, "cameras": 1024}
_SHOWN = 40


def check_new(rows: Rows, vectors: FloatArray, dim: int) -> None:
    """Raise ValueError for rows that a store must refuse, StoreError for texts that none can keep.

    vectors: (N, dim). Texts: see `check_texts`.
    """
    if vectors.shape != (len(rows), dim):
        raise ValueError(f"vectors has shape {vectors.shape}, expected ({len(rows)}, {dim})")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors holds values that are not finite")
    if np.isinf(rows.times).any() or not np.isfinite(rows.added).all():
        raise ValueError("times or added holds values that are no times")
    if len(set(zip(rows.sources, rows.paths, strict=True))) < len(rows):
        raise ValueError("the same source and path occurs twice")
    check_texts(rows)


def check_texts(rows: Rows) -> None:
    """Raise StoreError unless every text is UTF-8 without NUL, of at most `LONGEST` bytes."""
    for column, longest in LONGEST.items():
        for text in set(getattr(rows, column)):
            _check_text(column, text, longest)


def check_queries(queries: FloatArray, k: int, dim: int) -> None:
    """Raise ValueError unless queries are (Q, dim), finite, and k is at least 1."""
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise ValueError(f"queries has shape {queries.shape}, expected (Q, {dim})")
    if not np.isfinite(queries).all():
        raise ValueError("queries holds values that are not finite")
    if k < 1:
        raise ValueError(f"k is {k}, expected 1 or more")


def is_storable(text: str) -> bool:
    """Whether all characters of a text can be kept: no NUL, no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _check_text(column: str, text: str, longest: int) -> None:
    shown = ascii(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else "")
    if not is_storable(text):
        raise StoreError(
            f"one of the {column}, {shown}, has a NUL or is no valid Unicode: no store can keep "
            "it, so rename it"
        )
    if len(text.encode()) > longest:
        raise StoreError(
            f"one of the {column}, {shown}, has {len(text.encode())} bytes: a store keeps at most "
            f"{longest}, so shorten it"
        )
