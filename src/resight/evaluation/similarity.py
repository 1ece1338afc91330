"""Similarities of queries to a gallery, a block of whole rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from resight.errors import DataError
from resight.records import Features, FloatArray, IntArray

BLOCK_BYTES = 2**27
TILE, TILE_STEP = 4096, 64
ROWS = 256
UNIT_TOLERANCE = 1e-5
SHOWN_ROWS = 10

AnyFloat = npt.NDArray[np.floating]
ScoreBlock = tuple[IntArray, FloatArray]
Scores = Callable[[Features, Features, IntArray], Iterator[ScoreBlock]]
"""(query (Q, D), gallery (G, D), rows (R,) of the query) -> blocks of (rows (B,), scores (B, G)).

Higher scores are better; all are finite. A block may live in a buffer that the next block reuses.
"""


def cosine(query: Features, gallery: Features, rows: IntArray) -> Iterator[ScoreBlock]:
    """Cosine similarities of the global view, the `Scores` that every protocol uses by default."""
    return cosine_blocks(query.vectors, gallery.vectors, rows)


def cosine_blocks(query: AnyFloat, gallery: AnyFloat, rows: IntArray) -> Iterator[ScoreBlock]:
    """Cosine similarities in float32 of these rows of `query` (Q, D) to all of `gallery` (G, D).

    Features of other precision become float32 a tile at a time. A block and its buffers take about
    128 MB, or one row where a row is larger. Rows of unit length (within 1e-5) are taken as they
    are, so that their scores are those of the plain product; a row of zeros has similarity 0 to
    everything. Equal gallery rows score equally for a query. The buffer is reused from block to
    block.
    """
    height = max(1, BLOCK_BYTES // (4 * max(1, len(gallery) + query.shape[1])))
    buffer = np.empty((min(height, len(rows)), len(gallery)), dtype=np.float32)
    spare = np.empty((0 if gallery.dtype == np.float32 else TILE, query.shape[1]), np.float32)
    lengths = row_lengths(gallery)
    for start in range(0, len(rows), height):
        chunk = rows[start : start + height]
        unit = query[chunk].astype(np.float32, copy=False)  # (B, D)
        if (divisors := row_lengths(unit)) is not None:
            unit /= divisors[:, None]
        scores = buffer[: len(chunk)]  # (B, G)
        _multiply(unit, gallery, scores, spare)
        if lengths is not None:
            scores /= lengths
        yield chunk, scores


def _multiply(query: FloatArray, gallery: AnyFloat, scores: FloatArray, spare: FloatArray) -> None:
    """scores (B, G) = query (B, D) gallery^T, in tiles of one shape.

    spare: (TILE, D), overwritten, for tiles of a gallery that is not float32; else (0, D).
    BLAS rounds the last few columns of an odd shape differently, which would break the ties of
    equal gallery rows. Hence all products have one shape, the last with rows of zeros below.
    """
    n = len(gallery)
    whole = n - n % TILE
    for start in range(0, whole, TILE):
        tile = gallery[start : start + TILE]
        if len(spare):
            spare[:] = tile
            tile = spare
        np.matmul(query, tile.T, out=scores[:, start : start + TILE])
    if whole < n:
        height = TILE if whole else -(-n // TILE_STEP) * TILE_STEP
        tile = np.zeros((height, gallery.shape[1]), dtype=np.float32)
        tile[: n - whole] = gallery[whole:]
        scores[:, whole:] = np.matmul(query, tile.T)[:, : n - whole]


def row_lengths(vectors: AnyFloat) -> FloatArray | None:
    """(N,) what to divide each row by for unit length, or None where all rows have it already."""
    squares = _squares(vectors)
    leave = (np.abs(squares - 1) <= 2 * UNIT_TOLERANCE) | (squares == 0)
    return None if leave.all() else np.where(leave, np.float32(1), np.sqrt(squares))


def check_finite(vectors: AnyFloat, name: str) -> None:
    """Refuse rows with NaN or infinite values, naming the first of them.

    Raises DataError.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        refuse_rows(np.flatnonzero(~np.isfinite(_squares(vectors))), len(vectors), name)


def refuse_rows(bad: IntArray, n: int, name: str) -> None:
    """Raise DataError when any of the n rows is broken, naming the first of them."""
    if len(bad):
        shown = ", ".join(map(str, bad[:SHOWN_ROWS])) + (", …" if len(bad) > SHOWN_ROWS else "")
        raise DataError(
            f"{name} holds NaN or infinite values in {len(bad)} of {n} rows "
            f"(rows {shown}); extract these features again or leave those crops out"
        )


def _squares(vectors: AnyFloat) -> FloatArray:
    """(N,) squared lengths of the rows in float32, a few rows at a time."""
    squares = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), ROWS):
        tile = vectors[start : start + ROWS].astype(np.float32, copy=False)
        squares[start : start + ROWS] = np.einsum("nd,nd->n", tile, tile)
    return squares
