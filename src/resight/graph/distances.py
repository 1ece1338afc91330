"""Jaccard distances from affinities, row by row: d(i, j) = 1 - sum_v w_v m_v / (2 - m_v).

m_v(i, j) = sum_l min(V_il, V_jl) in view v is summed over l in ascending order whichever of the two
rows is walked, and the views in their order, so d(i, j) and d(j, i) are the same bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from resight.graph.rows import Indices, Pointers, Rows, Values, over_rows, stack, transpose
from resight.records import Distances, IntArray

Accumulator = npt.NDArray[np.float64]


class Views(NamedTuple):
    """The affinities of one view or several, stacked: row v * N + i is that of sample i in view v.

    affinities: V, sorted, with the columns of each view behind those of the view before.
    transposed: V^T, sorted. weights: (views,) float64, which sum to 1.
    """

    affinities: Rows
    transposed: Rows
    weights: Accumulator

    @property
    def n(self) -> int:
        """N."""
        return self.affinities.n_rows // len(self.weights)


def near_pairs(views: Views, cut: np.float32) -> Rows:
    """All pairs that share support with d <= `cut`: sorted, symmetric, zeros on the diagonal."""
    upper = stack(
        over_rows(
            views.n, lambda start, stop: Rows(*_pairs(views, np.arange(start, stop), True, cut))
        )
    )
    lower = transpose(upper)
    return Rows(*_mirror(lower, transpose(lower)))


def rows_of(views: Views, samples: IntArray) -> Distances:
    """The distances of these samples to all that share support with them."""
    return Distances(samples, *_pairs(views, samples, False, np.float32(1)))


@numba.njit(cache=True, nogil=True)
def _pairs(
    views: Views, samples: IntArray, upper: bool, cut: np.float32
) -> tuple[Pointers, Indices, Values]:
    """The pairs (i, j) of these samples with d <= cut, in no order; with `upper` those of j > i."""
    n = (len(views.affinities.indptr) - 1) // len(views.weights)
    indptr = np.zeros(len(samples) + 1, np.int64)
    indices, data = np.empty(n, np.int32), np.empty(n, np.float32)
    overlap, touched = np.zeros(n, np.float32), np.empty(n, np.int32)
    closeness, sharing = np.zeros(n), np.empty(n, np.int32)
    used = 0
    for a in range(len(samples)):
        i = samples[a]
        low = i + 1 if upper else 0
        found = _closeness(views, n, i, low, overlap, touched, closeness, sharing)
        if used + found > len(indices):
            indices, data = _longer(indices, data, used, 2 * (used + found))
        for p in range(found):
            j = sharing[p]
            distance = np.float32(max(0.0, 1.0 - closeness[j]))
            closeness[j] = 0
            if distance <= cut:
                indices[used], data[used] = j, np.float32(0) if j == i else distance
                used += 1
        indptr[a + 1] = used
    return indptr, indices[:used].copy(), data[:used].copy()


@numba.njit(cache=True, nogil=True)
def _closeness(
    views: Views,
    n: int,
    i: int,
    low: int,
    overlap: Values,
    touched: Indices,
    closeness: Accumulator,
    sharing: Indices,
) -> int:
    """Add 1 - d(i, j) of every j >= `low` that shares support to `closeness`; list those j."""
    found = 0
    for v in range(len(views.weights)):
        for p in range(_overlaps(views, n, v, i, low, overlap, touched)):
            j = touched[p]
            if closeness[j] == 0:
                sharing[found] = j
                found += 1
            closeness[j] += views.weights[v] * (overlap[j] / (2.0 - overlap[j]))
            overlap[j] = 0
    return found


@numba.njit(cache=True, nogil=True)
def _overlaps(
    views: Views, n: int, v: int, i: int, low: int, overlap: Values, touched: Indices
) -> int:
    """Add m_v(i, j) of every j >= `low` that shares support to `overlap`; list those j."""
    affinities, transposed = views.affinities, views.transposed
    first_row, found = v * n, 0
    for p in range(affinities.indptr[first_row + i], affinities.indptr[first_row + i + 1]):
        column, weight = affinities.indices[p], affinities.data[p]
        first, stop = transposed.indptr[column], transposed.indptr[column + 1]
        end = stop
        while first < end:
            middle = (first + end) // 2
            if transposed.indices[middle] < first_row + low:
                first = middle + 1
            else:
                end = middle
        for q in range(first, stop):
            j = transposed.indices[q] - first_row
            if overlap[j] == 0:
                touched[found] = j
                found += 1
            overlap[j] += min(weight, transposed.data[q])
    return found


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
