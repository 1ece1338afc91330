"""What the features of queries and gallery tell of the answers that a protocol removes."""

from __future__ import annotations

import numpy as np

from resight.errors import DataError
from resight.evaluation.similarity import row_lengths
from resight.evaluation.truth import NO_ROW
from resight.records import JUNK, BoolArray, Features, FloatArray, IntArray


def unit_rows(vectors: FloatArray) -> FloatArray:
    """(N, D) with rows of length 1; those that have it already, and rows of zeros, as they are."""
    lengths = row_lengths(vectors)
    return vectors if lengths is None else vectors / lengths[:, None]


def refuse_zeros(vectors: FloatArray) -> None:
    """Raise DataError when any row (N, D) is all zeros: it is near to nothing, in no graph."""
    n = len(vectors) - int(np.count_nonzero(vectors.any(axis=1)))
    if n:
        raise DataError(
            f"{n} of {len(vectors)} crops have features of zeros, which have no neighbours to "
            "cluster or re-rank by; train the encoder further or leave those crops out"
        )


def own_rows(query: Features, gallery: Features) -> IntArray:
    """(Q,) each query's own row in the gallery, -1 where it has none or its crop is not known.

    A crop is known by its file: features without crops have none in common.
    """
    if query.crops is None or gallery.crops is None or query.crops.root != gallery.crops.root:
        return np.full(len(query), NO_ROW)
    places = {path: row for row, path in enumerate(gallery.crops.paths)}
    return np.array([places.get(path, NO_ROW) for path in query.crops.paths], dtype=np.int64)


def junk_rows(gallery: Features) -> BoolArray:
    """(G,) which gallery crops have identity -1, which every protocol removes."""
    if gallery.crops is None or gallery.crops.identities is None:
        return np.zeros(len(gallery), dtype=np.bool_)
    junk: BoolArray = gallery.crops.identities == JUNK
    return junk


def origins(query: Features, gallery: Features) -> list[tuple[IntArray, IntArray]]:
    """Cameras (Q,) and (G,), and tracks (Q,) and (G,), as far as those of both sides are known.

    Unknown tracks (-1) of queries are made -2, which no gallery crop has.
    """
    mine, theirs = query.crops, gallery.crops
    found = []
    if mine is not None and theirs is not None:
        if mine.cameras is not None and theirs.cameras is not None:
            found.append((mine.cameras, theirs.cameras))
        if mine.tracks is not None and theirs.tracks is not None:
            found.append((np.where(mine.tracks >= 0, mine.tracks, -2), theirs.tracks))
    return found
