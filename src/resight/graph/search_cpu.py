"""Exact nearest neighbours on the CPU: half of all products, and a heap per sample.

Where the CPU multiplies bfloat16 natively, candidates come from bfloat16 products and are scored
again in float32. Twice the largest error seen among all candidates tells for every sample whether
one can be missing, and samples where it can are searched in float32.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from resight import progress
from resight.graph.rows import Indices, Values, over_rows
from resight.records import BoolArray, FloatArray, IntArray

BLOCK = 2048
TRIED = 256
WORTH_IT = 0.1
SAFETY = 2

Found = tuple[Indices, Values]


def search(features: FloatArray, k: int, *, block: int = BLOCK, bf16: bool = False) -> Found:
    """(N, k) indices int32 and cosines float32 of the k nearest, each sample itself first.

    features: (N, D) float32, L2-normalised, contiguous; 1 <= k <= N. block: rows and columns of
    the products held at a time. bf16: whether candidates may come from bfloat16 products.
    """
    if bf16:
        found = _by_candidates(features, k, block)
        if found is not None:
            return found
    table = torch.from_numpy(features)
    return in_order(*_nearest(table, k, block))


def search_balanced(
    features: FloatArray, k: int, cameras: IntArray, *, block: int = BLOCK
) -> Found:
    """Like `search`, with neighbours spread over the cameras.

    A sample's nearest of every camera come first, then its second nearest of every camera, and so
    on until there are k; a camera with too few samples leaves room to the others.

    cameras: (N,) int64.
    """
    n, table = len(features), torch.from_numpy(features)
    indices, values = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    groups = [np.flatnonzero(cameras == camera) for camera in np.unique(cameras)]
    with progress.bar("neighbours", n) as shown:
        for start in range(0, n, block):
            rows = np.arange(start, min(start + block, n))
            found = [_nearest_of(table, rows, k, block, among=group) for group in groups]
            indices[rows], values[rows] = _in_turn(found, k, rows)
            progress.step(shown, len(rows))
    return indices, values


def _in_turn(found: list[Found], k: int, rows: IntArray) -> Found:
    """The sample itself, the first of every list, the second … until there are k."""
    lists = [in_order(indices, values, rows=rows) for indices, values in found]
    indices, values = (np.concatenate(parts, axis=1) for parts in zip(*lists, strict=True))
    places = np.concatenate([np.arange(part.shape[1]) for part, _ in lists])
    turns = np.where(indices == rows[:, None], -1, places)
    chosen = np.lexsort((indices, -values, turns))[:, :k]
    indices, values = (np.take_along_axis(part, chosen, axis=1) for part in (indices, values))
    return in_order(indices, values, rows=rows)


def _by_candidates(features: FloatArray, k: int, block: int) -> Found | None:
    """The same from bfloat16 products; None when too many samples would be searched twice."""
    n = len(features)
    kept = min(n, k + max(16, k // 2))
    table = torch.from_numpy(features)
    rounded = table.bfloat16()
    tried = np.unique(np.linspace(0, n - 1, min(n, TRIED)).astype(np.int64))
    candidates = _nearest_of(rounded, tried, kept, block)
    if np.mean(_unsure(features, candidates, k, tried)[0]) > WORTH_IT:
        return None
    candidates = _nearest(rounded, kept, block)
    unsure, indices, values = _unsure(features, candidates, k, np.arange(n))
    again = np.flatnonzero(unsure)
    for start in range(0, len(again), block):
        some = again[start : start + block]
        indices[some], values[some] = in_order(*_nearest_of(table, some, k, block), rows=some)
    return indices, values


def _unsure(
    features: FloatArray, candidates: Found, k: int, rows: IntArray
) -> tuple[BoolArray, Indices, Values]:
    """Whether a sample left out could belong to the k nearest; the k nearest of the candidates.

    A sample left out has a rounded product of at most the worst candidate's.
    """
    indices, rounded = candidates
    values = score(features, indices, rows)
    error = np.abs(values - rounded)[indices != rows[:, None]].max(initial=0)
    bound = rounded.min(axis=1) + SAFETY * error
    indices, values = in_order(indices, values, rows=rows)
    everyone = indices.shape[1] == len(features)
    unsure = np.zeros(len(rows), bool) if everyone else values[:, k - 1] <= bound
    return unsure, np.ascontiguousarray(indices[:, :k]), np.ascontiguousarray(values[:, :k])


def score(features: FloatArray, indices: Indices, rows: IntArray | None = None) -> Values:
    """(M, k) float32 cosines of the samples in `rows`, by default all, to those listed for them."""
    own = np.arange(len(indices)) if rows is None else rows
    values = np.empty(indices.shape, np.float32)
    over_rows(
        len(own),
        lambda start, stop: _score(
            features, own[start:stop], indices[start:stop], values[start:stop]
        ),
    )
    return values


def _nearest(table: Tensor, k: int, block: int) -> Found:
    """The k nearest of all samples, in no order; each product serves its rows and its columns."""
    n = len(table)
    indices, values = start_heaps(n, k, n)
    starts = range(0, n, block)
    with progress.bar("neighbours", len(starts) * (len(starts) + 1) // 2) as shown:
        for top in starts:
            for left in range(top, n, block):
                similar = (table[top : top + block] @ table[left : left + block].T).float()
                if top == left:
                    similar.fill_diagonal_(torch.inf)
                else:
                    _offer(similar.numpy(), indices, values, left, top, across=True)
                _offer(similar.numpy(), indices, values, top, left, across=False)
                progress.step(shown)
    return indices, values


def exact_of(features: FloatArray, rows: IntArray, k: int) -> Indices:
    """(len(rows), k) the k nearest of some samples, in no order, each itself among them."""
    return _nearest_of(torch.from_numpy(features), rows, k, BLOCK)[0]


def _nearest_of(
    table: Tensor, rows: IntArray, k: int, block: int, *, among: IntArray | None = None
) -> Found:
    """The k nearest of some samples, or as many as there are, in no order.

    among: ascending samples to choose from, by default all.
    """
    columns = np.arange(len(table)) if among is None else among
    indices, values = start_heaps(len(rows), min(k, len(columns)), len(table))
    queries = table[torch.from_numpy(rows)]
    for left in range(0, len(columns), block):
        those = columns[left : left + block]
        similar = (queries @ table[torch.from_numpy(those)].T).float().numpy()
        similar[rows[:, None] == those] = np.inf
        _offer(similar, indices, values, 0, left, across=False)
    return columns[indices].astype(np.int32), values


def start_heaps(rows: int, k: int, n: int) -> Found:
    """Heaps of k for these many of N samples, still empty: indices N, values -infinity."""
    return np.full((rows, k), n, np.int32), np.full((rows, k), -np.inf, np.float32)


def _offer(
    similar: FloatArray, indices: Indices, values: Values, first: int, offset: int, *, across: bool
) -> None:
    """Let the samples offset, offset + 1 … compete for the heaps of the rows from `first` on.

    similar: (rows, samples), or with `across` (samples, rows).
    """
    kernel = _offer_columns if across else _offer_rows
    over_rows(
        similar.shape[1 if across else 0],
        lambda start, stop: kernel(similar, indices, values, first, offset, start, stop),
    )


def in_order(indices: Indices, values: Values, *, rows: IntArray | None = None) -> Found:
    """Each row by (similarity descending, index ascending); the sample itself first, with 1."""
    own = np.arange(len(indices)) if rows is None else rows
    itself = indices == own[:, None]
    values[itself] = np.inf
    order = np.lexsort((indices, -values))
    values[itself] = 1
    return np.take_along_axis(indices, order, axis=1), np.take_along_axis(values, order, axis=1)


@numba.njit(cache=True, nogil=True)
def _offer_rows(
    similar: FloatArray,
    indices: Indices,
    values: Values,
    first: int,
    offset: int,
    start: int,
    stop: int,
) -> None:
    for i in range(start, stop):
        row = first + i
        worst = values[row, 0]
        for j in range(similar.shape[1]):
            if similar[i, j] > worst:
                replace_worst(values[row], indices[row], similar[i, j], offset + j)
                worst = values[row, 0]


@numba.njit(cache=True, nogil=True)
def _offer_columns(
    similar: FloatArray,
    indices: Indices,
    values: Values,
    first: int,
    offset: int,
    start: int,
    stop: int,
) -> None:
    worst = values[first + start : first + stop, 0].copy()
    for i in range(similar.shape[0]):
        for j in range(start, stop):
            if similar[i, j] > worst[j - start]:
                row = first + j
                replace_worst(values[row], indices[row], similar[i, j], offset + i)
                worst[j - start] = values[row, 0]


@numba.njit(cache=True, nogil=True)
def replace_worst(values: Values, indices: Indices, value: np.float32, index: int) -> None:
    """Put a sample in the place of a heap's root: the smallest value, of equal ones the last."""
    size = len(values)
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        other = child + 1
        if other < size and _is_worse(values, indices, other, child):
            child = other
        if value < values[child] or (value == values[child] and index > indices[child]):
            break
        values[place], indices[place] = values[child], indices[child]
        place = child
    values[place], indices[place] = value, index


@numba.njit(cache=True, nogil=True)
def _is_worse(values: Values, indices: Indices, one: int, other: int) -> bool:
    if values[one] == values[other]:
        worse: bool = indices[one] > indices[other]
        return worse
    smaller: bool = values[one] < values[other]
    return smaller


@numba.njit(cache=True, nogil=True, fastmath=True)
def _score(features: Values, rows: IntArray, indices: Indices, values: Values) -> None:
    for a in range(len(rows)):
        for b in range(indices.shape[1]):
            total = np.float32(0)
            for d in range(features.shape[1]):
                total += features[rows[a], d] * features[indices[a, b], d]
            values[a, b] = total
