"""Approximate nearest neighbours for a million samples: inverted lists, searched by products.

Samples lie in lists around centroids (k-means by FAISS), and each is compared with those in the
lists nearest to it. Instead of query by query, the lists are taken one after the other, each with
all samples that look into it, so that the work is matrix products.
"""

from __future__ import annotations

import logging

import faiss
import numba
import numpy as np
import numpy.typing as npt
import torch

from resight import progress
from resight.graph.rows import Indices, Values, over_rows
from resight.graph.search_cpu import exact_of, in_order, replace_worst, score, start_heaps
from resight.records import FloatArray, IntArray

log = logging.getLogger(__name__)

SAMPLE = 1000
QUERIES = 16384
CHUNK = 2**17
MEMBERS = 2048
ROUNDS = 8
POINTS_PER_LIST = 24
MOST_LISTS = 2**15
SEED = 0

ListArray = npt.NDArray[np.uint16]
BLOCK = 4096
DECODED = torch.arange(2**16).to(torch.int16).view(torch.bfloat16).float().numpy()

Found = tuple[Indices, Values]


def search(features: FloatArray, k: int, *, recall: float, bf16: bool = False) -> Found:
    """(N, k) indices int32 and cosines float32 of nearly the k nearest, each sample itself first.

    As many lists are looked into as hold the share `recall` (0 … 1) of the true neighbours of a
    thousand samples, whose exact neighbours are searched for comparison; the log tells how many.

    features: (N, D) float32, L2-normalised, contiguous; 1 <= k <= N. bf16: whether candidates, half
    as many again as k, may come from bfloat16 products; they are scored again in float32.
    """
    centroids = faiss.IndexFlatIP(features.shape[1])
    centroids.add(_centroids(features))
    home = _nearest_lists(features, centroids, 1)
    probes = _probes(features, k, centroids, home[:, 0], recall)
    n = len(features)
    kept = min(n, k + max(16, k // 2)) if bf16 else k
    indices, values = start_heaps(n, kept, n)
    table = torch.from_numpy(features)
    table = table.bfloat16() if bf16 else table
    lists = _by_list(home, centroids.ntotal)
    with progress.bar("neighbours", n) as shown:
        for start in range(0, n, CHUNK):
            rows = np.arange(start, min(start + CHUNK, n))
            nearby = _nearest_lists(features[rows], centroids, probes)
            lookers = _by_list(nearby, centroids.ntotal)
            _compare(table, rows, lists, lookers, indices, values)
            progress.step(shown, len(rows))
    _complete(features, kept, indices, values)
    _include_itself(indices)
    if bf16:
        values = score(features, indices)
    indices, values = in_order(indices, values)
    return indices[:, :k].copy(), values[:, :k].copy()


def lists_for(n: int) -> int:
    """How many lists hold n samples."""
    return max(1, min(int(2 * np.sqrt(n)), n // POINTS_PER_LIST, MOST_LISTS))


def _centroids(features: FloatArray) -> FloatArray:
    n, dim = features.shape
    lists = lists_for(n)
    chosen = np.random.default_rng(SEED).choice(n, min(n, lists * POINTS_PER_LIST), replace=False)
    clustering = faiss.Kmeans(
        dim,
        lists,
        niter=ROUNDS,
        spherical=True,
        seed=SEED + 1,
        min_points_per_centroid=1,
        max_points_per_centroid=POINTS_PER_LIST,
    )
    clustering.train(features[np.sort(chosen)])
    return np.asarray(clustering.centroids, np.float32)


def _nearest_lists(features: FloatArray, centroids: faiss.IndexFlatIP, k: int) -> ListArray:
    """(N, k) the lists around the nearest centroids, nearest first; uint16 saves memory."""
    found = np.empty((len(features), k), np.uint16)
    with progress.bar("lists", len(features)) as shown:
        for start in range(0, len(features), QUERIES):
            rows = slice(start, start + QUERIES)
            found[rows] = centroids.search(features[rows], k)[1]
            progress.step(shown, len(found[rows]))
    return found


def _probes(
    features: FloatArray, k: int, centroids: faiss.IndexFlatIP, home: ListArray, recall: float
) -> int:
    """How many lists a sample must look into to meet this share of its true neighbours."""
    n = len(features)
    rows = np.random.default_rng(SEED).choice(n, min(SAMPLE, n), replace=False)
    true = exact_of(features, rows, k)
    order = centroids.search(features[rows], centroids.ntotal)[1]
    places = np.argsort(order, axis=1)  # (S, lists) rank of each list
    ranks = np.take_along_axis(places, home[true].astype(np.int64), axis=1)
    shares = np.cumsum(np.bincount(ranks.ravel(), minlength=centroids.ntotal)) / ranks.size
    probes = int(np.searchsorted(shares, recall)) + 1
    log.info(
        "approximate neighbours: %.1f%% of the %d nearest are found in %d of %d lists",
        100 * shares[probes - 1],
        k,
        probes,
        centroids.ntotal,
    )
    return probes


def _by_list(lists: ListArray, n_lists: int) -> tuple[IntArray, IntArray]:
    """The samples of each list, one list after the other, and where each begins."""
    samples = np.argsort(lists.ravel(), kind="stable") // lists.shape[1]
    sizes = np.bincount(lists.ravel(), minlength=n_lists)
    return samples, np.concatenate(([0], np.cumsum(sizes)))


def _compare(
    table: torch.Tensor,
    rows: IntArray,
    lists: tuple[IntArray, IntArray],
    lookers: tuple[IntArray, IntArray],
    indices: Indices,
    values: Values,
) -> None:
    """Let the members of each list compete for the heaps of those `rows` that look into it."""
    (members, member_starts), (places, starts) = lists, lookers
    for number in range(len(starts) - 1):
        there = rows[places[starts[number] : starts[number + 1]]]
        for first in range(member_starts[number], member_starts[number + 1], MEMBERS):
            those = members[first : min(first + MEMBERS, member_starts[number + 1])]
            for start in range(0, len(there), QUERIES):
                some = there[start : start + QUERIES]
                similar = table[torch.from_numpy(some)] @ table[torch.from_numpy(those)].T
                _offer(similar, some, those, indices, values)


def _offer(
    similar: torch.Tensor, rows: IntArray, those: IntArray, indices: Indices, values: Values
) -> None:
    """Let `those` samples compete for the heaps of `rows`; similar: (rows, those)."""
    if similar.dtype == torch.bfloat16:
        bits = similar.view(torch.int16).numpy()
        over_rows(
            len(rows),
            lambda start, stop: _offer_bits(
                bits, DECODED, rows, those, indices, values, start, stop
            ),
            least=BLOCK,
        )
        return
    table = similar.numpy()
    over_rows(
        len(rows),
        lambda start, stop: _offer_to(table, rows, those, indices, values, start, stop),
        least=BLOCK,
    )


def _complete(features: FloatArray, k: int, indices: Indices, values: Values) -> None:
    """Search all samples for those whose lists held fewer than k."""
    short = np.flatnonzero(values.min(axis=1) == -np.inf)
    for start in range(0, len(short), SAMPLE):
        rows = short[start : start + SAMPLE]
        indices[rows] = exact_of(features, rows, k)
        values[rows] = score(features, indices[rows], rows)


def _include_itself(indices: Indices) -> None:
    """Among many duplicates a sample may have been pushed out of its own list."""
    own = np.arange(len(indices), dtype=indices.dtype)
    missing = ~(indices == own[:, None]).any(axis=1)
    indices[missing, 0] = own[missing]


@numba.njit(cache=True, nogil=True)
def _offer_to(
    similar: FloatArray,
    rows: IntArray,
    those: IntArray,
    indices: Indices,
    values: Values,
    start: int,
    stop: int,
) -> None:
    for a in range(start, stop):
        row = rows[a]
        worst = values[row, 0]
        for b in range(len(those)):
            if similar[a, b] > worst:
                replace_worst(values[row], indices[row], similar[a, b], those[b])
                worst = values[row, 0]


@numba.njit(cache=True, nogil=True)
def _offer_bits(
    bits: npt.NDArray[np.int16],
    decoded: Values,
    rows: IntArray,
    those: IntArray,
    indices: Indices,
    values: Values,
    start: int,
    stop: int,
) -> None:
    """The same on bfloat16, whose bits are in the order of the values where these are positive."""
    for a in range(start, stop):
        row = rows[a]
        worst = values[row, 0]
        least = _bits_of(worst)
        for b in range(len(those)):
            if bits[a, b] > least:
                value = decoded[np.uint16(bits[a, b])]
                if value > worst:
                    replace_worst(values[row], indices[row], value, those[b])
                    worst = values[row, 0]
                    least = _bits_of(worst)


@numba.njit(cache=True, nogil=True)
def _bits_of(value: np.float32) -> int:
    """The bits of a bfloat16 held as float32; below all others for what is not positive."""
    return int(np.float32(value).view(np.int32) >> 16) if value > 0 else -(2**15) - 1
