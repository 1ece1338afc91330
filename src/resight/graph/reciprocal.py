"""k-reciprocal affinities: the sparse rows V of Zhong et al. 2017, Section 3."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from resight.graph.knn import Neighbours
from resight.graph.rows import Indices, Pointers, Rows, Values, over_rows, stack, transpose

RankArray = npt.NDArray[np.int32]
Block = tuple[Pointers, Indices, Values]


def affinities(
    features: Values, nearest: Neighbours, *, list_size: int, half_size: int, k2: int
) -> Rows:
    """V (N, N): each row sums to 1 and has sorted columns.

    R(i) = mutual members of the lists of `list_size`; R is expanded by R_half(j) for each j in R(i)
    when more than 2/3 of R_half(j) lies in R(i); V_i = softmax(-squared Euclidean distance) over
    the expanded set, then the mean over the `k2` nearest neighbours of i.
    """
    n = len(nearest)
    lists = np.ascontiguousarray(nearest.indices[:, :list_size])
    close = np.ascontiguousarray(nearest.similarities[:, :list_size])
    half = min(half_size, lists.shape[1])
    ranks = np.concatenate(
        over_rows(n, lambda start, stop: _ranks(lists, start, stop)) or [lists.copy()]
    )
    plain = stack(
        over_rows(
            n,
            lambda start, stop: Rows(
                *_reciprocal(features, lists, close, ranks, half, start, stop)
            ),
        )
    )
    averaged = np.ascontiguousarray(nearest.indices[:, :k2])
    mixed = stack(over_rows(n, lambda start, stop: Rows(*_average(*plain, averaged, start, stop))))
    return transpose(transpose(mixed))


@numba.njit(cache=True, nogil=True)
def _ranks(lists: Indices, start: int, stop: int) -> RankArray:
    """Where i stands in the list of each of its neighbours; the list's length when it does not."""
    k = lists.shape[1]
    ranks = np.full((stop - start, k), k, np.int32)
    for i in range(start, stop):
        for a in range(k):
            j = lists[i, a]
            for b in range(k):
                if lists[j, b] == i:
                    ranks[i - start, a] = b
                    break
    return ranks


@numba.njit(cache=True, nogil=True, fastmath=True)
def _dot(a: Values, b: Values) -> np.float32:
    total = np.float32(0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@numba.njit(cache=True, nogil=True)
def _reciprocal(
    features: Values,
    lists: Indices,
    close: Values,
    ranks: RankArray,
    half: int,
    start: int,
    stop: int,
) -> Block:
    n, k = lists.shape
    room = (stop - start) * k * (half + 1)
    indptr = np.zeros(stop - start + 1, np.int64)
    indices, data = np.empty(room, np.int32), np.empty(room, np.float32)
    mutual, member = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    used = 0
    for i in range(start, stop):
        first = used
        for a in range(k):
            if ranks[i, a] < k:
                j = lists[i, a]
                mutual[j] = member[j] = i
                indices[used], data[used] = j, close[i, a]
                used += 1
        mutuals = used
        for p in range(first, mutuals):
            if not _joins(indices[p], i, lists, ranks, half, mutual):
                continue
            for b in range(half):
                candidate = lists[indices[p], b]
                if ranks[indices[p], b] < half and member[candidate] != i:
                    member[candidate] = i
                    indices[used] = candidate
                    data[used] = _dot(features[i], features[candidate])
                    used += 1
        _softmax(data[first:used])
        indptr[i - start + 1] = used
    return indptr, indices[:used].copy(), data[:used].copy()


@numba.njit(cache=True, nogil=True)
def _joins(j: int, i: int, lists: Indices, ranks: RankArray, half: int, mutual: Indices) -> bool:
    """Whether more than 2/3 of R_half(j) lies in R(i), whose members are marked with i."""
    size = inside = 0
    for b in range(half):
        if ranks[j, b] < half:
            size += 1
            if mutual[lists[j, b]] == i:
                inside += 1
    return 3 * inside > 2 * size


@numba.njit(cache=True, nogil=True)
def _softmax(similarities: Values) -> None:
    """In place: softmax of the negative squared Euclidean distance, 2 cos - 2."""
    total = 0.0
    for p in range(len(similarities)):
        similarities[p] = np.exp(2 * (similarities[p] - 1))
        total += similarities[p]
    for p in range(len(similarities)):
        similarities[p] /= total


@numba.njit(cache=True, nogil=True)
def _average(
    indptr: Pointers, indices: Indices, data: Values, averaged: Indices, start: int, stop: int
) -> Block:
    n, k2 = averaged.shape
    room = 0
    for i in range(start, stop):
        for a in range(k2):
            room += indptr[averaged[i, a] + 1] - indptr[averaged[i, a]]
    out_indptr = np.zeros(stop - start + 1, np.int64)
    out_indices, out_data = np.empty(room, np.int32), np.empty(room, np.float32)
    sums = np.zeros(n, np.float64)
    used = 0
    for i in range(start, stop):
        first = used
        for a in range(k2):
            j = averaged[i, a]
            for p in range(indptr[j], indptr[j + 1]):
                if sums[indices[p]] == 0:
                    out_indices[used] = indices[p]
                    used += 1
                sums[indices[p]] += data[p]
        for p in range(first, used):
            out_data[p] = sums[out_indices[p]] / k2
            sums[out_indices[p]] = 0
        out_indptr[i - start + 1] = used
    return out_indptr, out_indices[:used].copy(), out_data[:used].copy()
