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

ROUNDING = 1e-4
SKIPPED = 0.25
TRIALS, TRIED_ROWS = 16, 8
BYTES_OF_PAIR = 20


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
    upper = stack(over_rows(views.n, lambda start, stop: Rows(*_near(views, cut, start, stop))))
    lower = transpose(upper)
    return Rows(*_mirror(lower, transpose(lower)))


def near_bytes(views: Views, cut: np.float32) -> int:
    """About what `near_pairs` takes while it works, from some rows spread over all."""
    starts = np.unique(np.linspace(0, max(0, views.n - TRIED_ROWS), TRIALS).astype(np.int64))
    counts = [len(_near(views, cut, i, min(i + TRIED_ROWS, views.n))[1]) for i in starts]
    upper = sum(counts) / max(1, TRIED_ROWS * len(starts)) * views.n
    return int(BYTES_OF_PAIR * (2 * upper + views.n))


def rows_of(views: Views, samples: IntArray) -> Distances:
    """The distances of these samples to all that share support with them."""
    return Distances(samples, *_sharing(views, samples))


def joined(samples: IntArray, parts: list[Distances]) -> Distances:
    """The rows of several parts, one after the other, as those of `samples`."""
    rows = stack([Rows(part.indptr, part.indices, part.values) for part in parts])
    return Distances(samples, *rows)


@numba.njit(cache=True, nogil=True)
def _near(views: Views, cut: np.float32, start: int, stop: int) -> tuple[Pointers, Indices, Values]:
    """The pairs (i, j > i) of these rows with d <= cut, in no order.

    d <= cut takes m >= 2 (1 - cut) / (2 - cut) in some view. A row sums to 1, so once the columns
    still to come weigh less than that, they cannot bring in another j. The longest columns, those
    of hubs, come last and mostly need no walk; the distances of the js found are summed row by row.
    """
    n = (len(views.affinities.indptr) - 1) // len(views.weights)
    needed = float(2 * (1.0 - cut) / (2.0 - cut)) - ROUNDING
    indptr = np.zeros(stop - start + 1, np.int64)
    indices, data = np.empty(n, np.int32), np.empty(n, np.float32)
    partial, touched = np.zeros(n, np.float32), np.empty(n, np.int32)
    used = 0
    for i in range(start, stop):
        found, rest = 0, 0.0
        for v in range(len(views.weights)):
            found, left = _candidates(views, n, v, i, needed, partial, touched, found)
            rest += left
        if used + found > len(indices):
            indices, data = _longer(indices, data, used, 2 * (used + found))
        for p in range(found):
            j, most = touched[p], partial[touched[p]] + rest
            partial[j] = 0
            if most >= needed:
                distance = _distance(views, n, i, j)
                if distance <= cut:
                    indices[used], data[used] = j, distance
                    used += 1
        indptr[i - start + 1] = used
    return indptr, indices[:used].copy(), data[:used].copy()


@numba.njit(cache=True, nogil=True)
def _candidates(
    views: Views,
    n: int,
    v: int,
    i: int,
    needed: float,
    partial: Values,
    touched: Indices,
    found: int,
) -> tuple[int, float]:
    """Add what the short columns of view v hold of m(i, j), j > i, and list those j.

    Returns how many are listed, and what the columns that were not walked weigh.
    """
    affinities, transposed = views.affinities, views.transposed
    first, stop = affinities.indptr[v * n + i], affinities.indptr[v * n + i + 1]
    lengths = np.empty(stop - first, np.int64)
    rest = 0.0
    for p in range(first, stop):
        column = affinities.indices[p]
        lengths[p - first] = transposed.indptr[column + 1] - transposed.indptr[column]
        rest += affinities.data[p]
    for p in first + np.argsort(lengths):
        if rest < SKIPPED * needed:
            break
        column, weight = affinities.indices[p], affinities.data[p]
        begin = _first_from(transposed, column, v * n + i + 1)
        for q in range(begin, transposed.indptr[column + 1]):
            j = transposed.indices[q] - v * n
            if partial[j] == 0:
                touched[found] = j
                found += 1
            partial[j] += min(weight, transposed.data[q])
        rest -= weight
    return found, rest


@numba.njit(cache=True, nogil=True)
def _distance(views: Views, n: int, i: int, j: int) -> np.float32:
    """d(i, j) from the two rows of every view."""
    rows, closeness = views.affinities, 0.0
    for v in range(len(views.weights)):
        p, p_end = rows.indptr[v * n + i], rows.indptr[v * n + i + 1]
        q, q_end = rows.indptr[v * n + j], rows.indptr[v * n + j + 1]
        overlap = np.float32(0)
        while p < p_end and q < q_end:
            if rows.indices[p] == rows.indices[q]:
                overlap += min(rows.data[p], rows.data[q])
            p, q = (
                p + (rows.indices[p] <= rows.indices[q]),
                q + (rows.indices[q] <= rows.indices[p]),
            )
        closeness += views.weights[v] * (overlap / (2.0 - overlap))
    return np.float32(max(0.0, 1.0 - closeness))


@numba.njit(cache=True, nogil=True)
def _first_from(rows: Rows, row: int, low: int) -> int:
    """Where the entries >= `low` of a sorted row begin."""
    first, end = rows.indptr[row], rows.indptr[row + 1]
    while first < end:
        middle = (first + end) // 2
        if rows.indices[middle] < low:
            first = middle + 1
        else:
            end = middle
    return int(first)


@numba.njit(cache=True, nogil=True)
def _sharing(views: Views, samples: IntArray) -> tuple[Pointers, Indices, Values]:
    """The pairs (i, j) of these samples that share support, in no order."""
    n = (len(views.affinities.indptr) - 1) // len(views.weights)
    indptr = np.zeros(len(samples) + 1, np.int64)
    indices, data = np.empty(n, np.int32), np.empty(n, np.float32)
    overlap, touched = np.zeros(n, np.float32), np.empty(n, np.int32)
    closeness, sharing = np.zeros(n), np.empty(n, np.int32)
    used = 0
    for a in range(len(samples)):
        i = samples[a]
        found = _closeness(views, n, i, overlap, touched, closeness, sharing)
        if used + found > len(indices):
            indices, data = _longer(indices, data, used, 2 * (used + found))
        for p in range(found):
            j = sharing[p]
            indices[used] = j
            data[used] = np.float32(0) if j == i else np.float32(max(0.0, 1.0 - closeness[j]))
            closeness[j] = 0
            used += 1
        indptr[a + 1] = used
    return indptr, indices[:used].copy(), data[:used].copy()


@numba.njit(cache=True, nogil=True)
def _closeness(
    views: Views,
    n: int,
    i: int,
    overlap: Values,
    touched: Indices,
    closeness: Accumulator,
    sharing: Indices,
) -> int:
    """Add 1 - d(i, j) of every j that shares support to `closeness`; list those j."""
    found = 0
    for v in range(len(views.weights)):
        for p in range(_overlaps(views, n, v, i, overlap, touched)):
            j = touched[p]
            if closeness[j] == 0:
                sharing[found] = j
                found += 1
            closeness[j] += views.weights[v] * (overlap[j] / (2.0 - overlap[j]))
            overlap[j] = 0
    return found


@numba.njit(cache=True, nogil=True)
def _overlaps(views: Views, n: int, v: int, i: int, overlap: Values, touched: Indices) -> int:
    """Add m_v(i, j) of every j that shares support to `overlap`; list those j."""
    affinities, transposed = views.affinities, views.transposed
    found = 0
    for p in range(affinities.indptr[v * n + i], affinities.indptr[v * n + i + 1]):
        column, weight = affinities.indices[p], affinities.data[p]
        for q in range(transposed.indptr[column], transposed.indptr[column + 1]):
            j = transposed.indices[q] - v * n
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
