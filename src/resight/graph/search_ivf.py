"""Approximate nearest neighbours for a million samples: FAISS's inverted lists."""

from __future__ import annotations

import logging

import faiss
import numpy as np
import torch

from resight import progress
from resight.graph.rows import Indices, Values
from resight.records import FloatArray, IntArray

log = logging.getLogger(__name__)

SAMPLE = 1000
QUERIES = 8192
ADDED = 65536
POINTS_PER_LIST = 40
FIRST_PROBES = 4
SEED = 0

Found = tuple[Indices, Values]


def search(features: FloatArray, k: int, *, recall: float) -> Found:
    """(N, k) indices int32 and cosines float32 of nearly the k nearest, each sample itself first.

    Samples lie in lists around centroids (k-means); a sample is compared with those in the
    nearest lists. As many lists are looked into as find the share `recall` (0 … 1) of the true
    neighbours of a thousand samples, whose exact neighbours are searched for comparison.

    features: (N, D) float32, L2-normalised, contiguous; 1 <= k <= N.
    """
    index = _filled(features)
    known = np.random.default_rng(SEED).choice(len(features), min(SAMPLE, len(features)), False)
    exact = _exact(features, known, k)
    for probes in _growing(index.nlist):
        index.nprobe = probes
        found = float(np.mean(_in_common(_search(index, features[known], known, k)[0], exact)))
        if found >= recall:
            break
    log.info(
        "approximate neighbours: %.1f%% of the %d nearest found, in %d of %d lists",
        100 * found,
        k,
        index.nprobe,
        index.nlist,
    )
    indices = np.empty((len(features), k), np.int32)
    values = np.empty((len(features), k), np.float32)
    nearby = _by_list(index)
    with progress.bar("neighbours", len(features)) as shown:
        for start in range(0, len(features), QUERIES):
            rows = nearby[start : start + QUERIES]
            indices[rows], values[rows] = _search(index, features[rows], rows, k)
            progress.step(shown, len(rows))
    return indices, values


def lists_for(n: int) -> int:
    """How many lists hold n samples."""
    return max(1, min(int(4 * np.sqrt(n)), n // POINTS_PER_LIST))


def _filled(features: FloatArray) -> faiss.IndexIVFFlat:
    n, dim = features.shape
    lists = lists_for(n)
    quantizer = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFFlat(quantizer, dim, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.spherical = SEED + 1, True
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, POINTS_PER_LIST
    chosen = np.random.default_rng(SEED).choice(n, min(n, lists * POINTS_PER_LIST), False)
    index.train(features[np.sort(chosen)])
    for start in range(0, n, ADDED):
        index.add(features[start : start + ADDED])
    return index


def _growing(most: int) -> list[int]:
    """FIRST_PROBES, and half as many again each time, up to all lists."""
    steps = [min(FIRST_PROBES, most)]
    while steps[-1] < most:
        steps.append(min(most, steps[-1] + max(1, steps[-1] // 2)))
    return steps


def _by_list(index: faiss.IndexIVFFlat) -> IntArray:
    """All samples, those of one list together, so that queries one after another share lists."""
    lists = index.invlists
    assert lists is not None
    ids = (
        faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number)).copy()
        for number in range(index.nlist)
        if lists.list_size(number)
    )
    return np.concatenate(list(ids))


def _search(index: faiss.IndexIVFFlat, queries: FloatArray, rows: IntArray, k: int) -> Found:
    """The k nearest of these rows, itself first, also where its duplicates come before it."""
    values, indices = index.search(queries, k)
    few = np.flatnonzero((indices < 0).any(axis=1))
    if len(few):
        everywhere = faiss.SearchParametersIVF()
        everywhere.nprobe = index.nlist
        values[few], indices[few] = index.search(queries[few], k, params=everywhere)
    own = indices == rows[:, None]
    missing = ~own.any(axis=1)
    indices[missing, -1] = rows[missing]
    own[missing, -1] = True
    values[own] = np.inf
    order = np.lexsort((indices, -values))
    values = np.take_along_axis(values, order, axis=1)
    values[:, 0] = 1
    return np.take_along_axis(indices, order, axis=1).astype(np.int32), values


def _exact(features: FloatArray, rows: IntArray, k: int) -> IntArray:
    """(len(rows), k) the true neighbours, itself among them."""
    table, queries = torch.from_numpy(features), torch.from_numpy(features[rows])
    values, indices = [], []
    for start in range(0, len(table), ADDED):
        similar = queries @ table[start : start + ADDED].T
        found, where = similar.topk(min(k, similar.shape[1]))
        values.append(found)
        indices.append(where + start)
    best = torch.cat(values, dim=1).topk(k).indices
    return torch.cat(indices, dim=1).gather(1, best).numpy()


def _in_common(one: Indices, other: IntArray) -> FloatArray:
    """(N,) share of each row of `other` that is in that of `one`."""
    shares: FloatArray = (one[:, :, None] == other[:, None, :]).any(axis=1).mean(axis=1)
    return shares
