"""The Euler representation (Fitch et al. 2005) and the two distances that 3C takes from it.

z(x) = exp(i 1.9 pi x) / sqrt(2), entry by entry. Of a sample x and a centroid c:

    paper     sum |z(x) - z(c)|^2 = sum 1 - cos(1.9 pi (x - c)), the Euler cosine distance
    released  |sum (z(x) - z(c))^2| = |sum z(x)^2 + sum z(c)^2 - 2 z(x) . z(c)|, not conjugated

The second is at most the first, and 1 - cos(t) <= t^2 / 2: both are at most FACTOR |x - c|^2.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import torch

from resight.records import FloatArray, IntArray

Doubles = npt.NDArray[np.float64]

ALPHA = 1.9
FACTOR = (ALPHA * math.pi) ** 2 / 2
TABLE_ENTRIES = 1 << 22
BLOCK_ENTRIES = 1 << 19


class Centroids(NamedTuple):
    """K centroids, with the cosines and sines of 1.9 pi times their entries: each (K, D)."""

    vectors: Doubles
    cosines: Doubles
    sines: Doubles


def represent(vectors: Doubles) -> Centroids:
    """The Euler representation of (K, D) centroids."""
    return Centroids(vectors, *_represent(np.ascontiguousarray(vectors, np.float64)))


def euler_distances(
    vectors: FloatArray,
    centroids: Centroids,
    samples: IntArray,
    clusters: IntArray,
    *,
    conjugate: bool,
) -> Doubles:
    """The distance of each of M samples to the centroid of the cluster named beside it.

    vectors: (N, D) float32. samples, clusters: (M,) int64. conjugate: the paper's distance, not
    that of the released code. Returns (M,) float64, to 1e-14.
    """
    step = _pairs_a_block(vectors)
    blocks = [slice(i, i + step) for i in range(0, len(samples), step)]
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        parts = pool.map(
            lambda block: _distances(
                vectors,
                centroids.cosines,
                centroids.sines,
                samples[block],
                clusters[block],
                conjugate,
            ),
            blocks,
        )
        return np.concatenate([np.empty(0), *parts])


def _pairs_a_block(vectors: FloatArray) -> int:
    dim: int = vectors.shape[1]
    return max(1, BLOCK_ENTRIES // max(1, dim))


class Reach(NamedTuple):
    """How far the samples are from each cluster's centroid, as it was when last looked at.

    centroids: (K, D) float64 at that time. radii: (K,) float64, none of the Euclidean distances
    |x - c| was larger. samples: (K,) int64, about the farthest one.
    """

    centroids: Doubles
    radii: Doubles
    samples: IntArray


def unseen(n_clusters: int, dim: int) -> Reach:
    """Nothing is known yet."""
    return Reach(
        np.zeros((n_clusters, dim)), np.full(n_clusters, np.inf), np.zeros(n_clusters, np.int64)
    )


def largest_distance(
    vectors: FloatArray, centroids: Centroids, reach: Reach
) -> tuple[float, Reach]:
    """The largest released distance between any of N samples and K centroids, exactly.

    A cluster's distances are at most FACTOR (radius + |how far its centroid has moved since|)^2:
    only clusters where that is above the largest value found so far are compared with all samples,
    by one real product, and only pairs with FACTOR |x - c|^2 above it are evaluated.

    vectors: (N, D) float32, N at least 1. reach: `unseen`, or what an earlier call with the same
    vectors returned. Returns the largest value, and what is now known of the clusters.
    """
    reach = Reach(reach.centroids.copy(), reach.radii.copy(), reach.samples.copy())
    moved = np.linalg.norm(centroids.vectors - reach.centroids, axis=1)
    limits = FACTOR * (reach.radii + moved) ** 2
    best = _largest(vectors, centroids, reach.samples, np.arange(len(limits)), 0.0)
    order = np.argsort(-limits, kind="stable")
    step = max(1, TABLE_ENTRIES // len(vectors))
    for start in range(0, len(order), step):
        clusters = order[start : start + step]
        clusters = clusters[limits[clusters] > best]
        if not len(clusters):
            break
        bounds = _squared_bounds(vectors, centroids.vectors[clusters])  # (B, N)
        farthest = bounds.argmax(axis=1)
        reach.centroids[clusters] = centroids.vectors[clusters]
        reach.radii[clusters] = np.sqrt(bounds.max(axis=1))
        reach.samples[clusters] = farthest
        best = _largest(vectors, centroids, farthest, clusters, best)
        best = _largest_of_table(vectors, centroids, clusters, FACTOR * bounds, best)
    return best, reach


def _largest_of_table(
    vectors: FloatArray, centroids: Centroids, clusters: IntArray, bounds: FloatArray, best: float
) -> float:
    """The largest of `best` and the distances of all pairs, whose upper bounds are (B, N)."""
    rows, samples = np.nonzero(bounds > best)
    limits = bounds[rows, samples]
    order = np.argsort(-limits, kind="stable")
    start, step = 0, 2 * _pairs_a_block(vectors)
    while start < len(order) and limits[order[start]] > best:
        some = order[start : start + step]
        best = _largest(vectors, centroids, samples[some], clusters[rows[some]], best)
        start, step = start + step, 2 * step
    return best


def _largest(
    vectors: FloatArray, centroids: Centroids, samples: IntArray, clusters: IntArray, least: float
) -> float:
    found = euler_distances(vectors, centroids, samples, clusters, conjugate=False)
    return float(found.max(initial=least))


def _squared_bounds(vectors: FloatArray, centroids: Doubles) -> FloatArray:
    """(B, N) float32, none below |x - c|^2, whatever the rounding of the product."""
    squares = np.einsum("nd,nd->n", vectors, vectors)
    lengths = np.einsum("kd,kd->k", centroids, centroids)
    rounding = 4 * (vectors.shape[1] + 8) * np.finfo(np.float32).eps
    slack = rounding * (lengths + squares.max())
    table: FloatArray = np.matmul(-2 * centroids.astype(np.float32), vectors.T)
    table += squares
    table += (lengths + slack).astype(np.float32)[:, None]
    return table


@numba.njit(cache=True, nogil=True, inline="always")
def _sine(w: float) -> float:
    """sin(w) to 1e-16, |w| <= pi / 4."""
    q = w * w
    p = -1 / 1307674368000.0
    p = p * q + 1 / 6227020800.0
    p = p * q - 1 / 39916800.0
    p = p * q + 1 / 362880.0
    p = p * q - 1 / 5040.0
    p = p * q + 1 / 120.0
    p = p * q - 1 / 6.0
    return w + w * q * p


@numba.njit(cache=True, nogil=True, inline="always")
def _cosine(w: float) -> float:
    """cos(w) to 1e-16, |w| <= pi / 4."""
    q = w * w
    p = 1 / 20922789888000.0
    p = p * q - 1 / 87178291200.0
    p = p * q + 1 / 479001600.0
    p = p * q - 1 / 3628800.0
    p = p * q + 1 / 40320.0
    p = p * q - 1 / 720.0
    p = p * q + 1 / 24.0
    p = p * q - 1 / 2.0
    return 1 + q * p


@numba.njit(cache=True, nogil=True, inline="always")
def _point(x: float) -> tuple[float, float]:
    """Cosine and sine of 1.9 pi x, in arithmetic that vectorises."""
    turns = 0.95 * x
    w = 0.5 * math.pi * (turns - np.rint(turns))
    sine, cosine = _sine(w), _cosine(w)
    cosine, sine = 1 - 2 * sine * sine, 2 * sine * cosine
    return 1 - 2 * sine * sine, 2 * sine * cosine


@numba.njit(cache=True, nogil=True)
def _represent(vectors: Doubles) -> tuple[Doubles, Doubles]:
    cosines, sines = np.empty_like(vectors), np.empty_like(vectors)
    for k in range(vectors.shape[0]):
        for d in range(vectors.shape[1]):
            cosines[k, d], sines[k, d] = _point(vectors[k, d])
    return cosines, sines


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _distances(
    vectors: FloatArray,
    cosines: Doubles,
    sines: Doubles,
    samples: IntArray,
    clusters: IntArray,
    conjugate: bool,
) -> Doubles:
    found = np.empty(len(samples))
    for a in range(len(samples)):
        i, k = samples[a], clusters[a]
        real, imaginary, both = 0.0, 0.0, 0.0
        for d in range(vectors.shape[1]):
            cosine, sine = _point(vectors[i, d])
            cosine -= cosines[k, d]
            sine -= sines[k, d]
            real += cosine * cosine
            imaginary += sine * sine
            both += cosine * sine
        if conjugate:
            found[a] = 0.5 * (real + imaginary)
        else:
            found[a] = 0.5 * math.hypot(real - imaginary, 2 * both)
    return found
