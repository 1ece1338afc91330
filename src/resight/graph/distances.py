"""Jaccard distances from affinities, row by row: d(i, j) = 1 - m / (2 - m).

m(i, j) = sum_l min(V_il, V_jl) is summed over l in ascending order whichever of the two rows is
walked, so d(i, j) and d(j, i) are the same bits.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from resight.graph.rows import Indices, Pointers, Rows, Values, over_rows, stack, transpose
from resight.records import FloatArray, IntArray


def near_pairs(affinities: Rows, transposed: Rows, cut: np.float32) -> Rows:
    """All pairs with d <= `cut` < 1: sorted, symmetric, with the zeros of the diagonal."""
    upper = stack(
        over_rows(
            affinities.n_rows,
            lambda start, stop: Rows(*_near(affinities, transposed, cut, start, stop)),
        )
    )
    lower = transpose(upper)
    return Rows(*_mirror(lower, transpose(lower)))


def mean_to_clusters(
    affinities: Rows, transposed: Rows, labels: IntArray
) -> tuple[FloatArray, FloatArray]:
    """See `Graph.mean_distances`."""
    sizes = np.bincount(labels[labels >= 0], minlength=1)
    blocks = over_rows(
        affinities.n_rows,
        lambda start, stop: _mean_to_clusters(affinities, transposed, labels, sizes, start, stop),
    )
    means = np.concatenate(blocks) if blocks else np.empty((0, 2), np.float32)
    return means[:, 0].copy(), means[:, 1].copy()


@numba.njit(cache=True, nogil=True)
def _overlaps(
    affinities: Rows, transposed: Rows, i: int, low: int, overlap: Values, sharing: Indices
) -> int:
    """Add m(i, j) of every j >= `low` that shares support to `overlap`; list those j."""
    found = 0
    for p in range(affinities.indptr[i], affinities.indptr[i + 1]):
        column, weight = affinities.indices[p], affinities.data[p]
        first, stop = transposed.indptr[column], transposed.indptr[column + 1]
        end = stop
        while first < end:
            middle = (first + end) // 2
            if transposed.indices[middle] < low:
                first = middle + 1
            else:
                end = middle
        for q in range(first, stop):
            j = transposed.indices[q]
            if overlap[j] == 0:
                sharing[found] = j
                found += 1
            overlap[j] += min(weight, transposed.data[q])
    return found


@numba.njit(cache=True, nogil=True)
def _near(
    affinities: Rows, transposed: Rows, cut: np.float32, start: int, stop: int
) -> tuple[Pointers, Indices, Values]:
    """The pairs j > i with d <= cut, in no order."""
    n = len(affinities.indptr) - 1
    indptr = np.zeros(stop - start + 1, np.int64)
    indices, data = np.empty(n, np.int32), np.empty(n, np.float32)
    overlap = np.zeros(n, np.float32)
    sharing = np.empty(n, np.int32)
    used = 0
    for i in range(start, stop):
        found = _overlaps(affinities, transposed, i, i + 1, overlap, sharing)
        if used + found > len(indices):
            indices, data = _longer(indices, data, used, 2 * (used + found))
        for p in range(found):
            j = sharing[p]
            distance = np.float32(max(0.0, 1.0 - overlap[j] / (2.0 - overlap[j])))
            overlap[j] = 0
            if distance <= cut:
                indices[used], data[used] = j, distance
                used += 1
        indptr[i - start + 1] = used
    return indptr, indices[:used].copy(), data[:used].copy()


@numba.njit(cache=True, nogil=True)
def _longer(indices: Indices, data: Values, used: int, room: int) -> tuple[Indices, Values]:
    """Copies of the first `used` entries with room for `room`."""
    more_indices, more_data = np.empty(room, np.int32), np.empty(room, np.float32)
    for p in range(used):
        more_indices[p], more_data[p] = indices[p], data[p]
    return more_indices, more_data


@numba.njit(cache=True, nogil=True)
def _mirror(lower: Rows, upper: Rows) -> tuple[Pointers, Indices, Values]:
    """Join row by row: the lower triangle, a zero on the diagonal, the upper triangle."""
    n = len(upper.indptr) - 1
    room = len(lower.indices) + n + len(upper.indices)
    indptr = np.zeros(n + 1, np.int64)
    indices, data = np.empty(room, np.int32), np.empty(room, np.float32)
    used = 0
    for i in range(n):
        for p in range(lower.indptr[i], lower.indptr[i + 1]):
            indices[used], data[used] = lower.indices[p], lower.data[p]
            used += 1
        indices[used], data[used] = i, 0
        used += 1
        for p in range(upper.indptr[i], upper.indptr[i + 1]):
            indices[used], data[used] = upper.indices[p], upper.data[p]
            used += 1
        indptr[i + 1] = used
    return indptr, indices, data


@numba.njit(cache=True, nogil=True)
def _mean_to_clusters(
    affinities: Rows,
    transposed: Rows,
    labels: IntArray,
    sizes: IntArray,
    start: int,
    stop: int,
) -> npt.NDArray[np.float32]:
    n = len(labels)
    means = np.full((stop - start, 2), np.nan, np.float32)
    several = np.count_nonzero(sizes) > 1
    overlap = np.zeros(n, np.float32)
    sharing = np.empty(n, np.int32)
    closeness = np.zeros(len(sizes))
    for i in range(start, stop):
        own = labels[i]
        if own < 0:
            continue
        found = _overlaps(affinities, transposed, i, 0, overlap, sharing)
        for p in range(found):
            j = sharing[p]
            if labels[j] >= 0 and j != i:
                closeness[labels[j]] += min(1.0, overlap[j] / (2.0 - overlap[j]))
            overlap[j] = 0
        if sizes[own] > 1:
            means[i - start, 0] = 1 - closeness[own] / (sizes[own] - 1)
        nearest = 1.0
        for p in range(found):
            cluster = labels[sharing[p]]
            if cluster >= 0 and cluster != own:
                nearest = min(nearest, 1 - closeness[cluster] / sizes[cluster])
        for p in range(found):
            if labels[sharing[p]] >= 0:
                closeness[labels[sharing[p]]] = 0
        if several:
            means[i - start, 1] = nearest
    return means
