"""Rows for tests of the embedded store; imports little, as writers that are killed need it too."""

from __future__ import annotations

import numpy as np

from resight.gallery.records import NO_ROW, Rows
from resight.records import FloatArray

DIM = 8


def rows_of(paths: list[str], *, camera: str = "c", source: str = "s") -> Rows:
    n = len(paths)
    return Rows(
        sources=(source,) * n,
        paths=tuple(paths),
        stamps=("",) * n,
        cameras=(camera,) * n,
        times=np.full(n, np.nan),
        tracks=np.full(n, -1),
        added=np.zeros(n),
        ids=np.full(n, NO_ROW),
    )


def numbered(first: int, n: int) -> tuple[Rows, FloatArray]:
    """Rows whose embeddings follow from their names, so that any mix-up shows."""
    vectors = np.zeros((n, DIM), np.float32)
    bits = (np.arange(first, first + n)[:, None] >> np.arange(DIM)) & 1
    vectors[:] = np.where(bits, 0.5, -0.25)
    return rows_of([f"{number}.jpg" for number in range(first, first + n)]), vectors
