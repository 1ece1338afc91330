"""Silhouettes (Rousseeuw 1987), on a graph and on features."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse

from resight.records import Distances, FloatArray, Graph, IntArray

BLOCK_ENTRIES = 1 << 22
ROWS = 256
SMALL = np.float32(1e-6)


def silhouette(graph: Graph, labels: IntArray, *, wanted: IntArray | None = None) -> FloatArray:
    """How much nearer each sample is to its own cluster than to the nearest other one.

    s = (b - a) / max(a, b), with a the mean distance to the other members of the own cluster and b
    the smallest mean distance to another cluster; 0 in a cluster of one, and where a = b = 0.

    labels: (N,) int64, -1 for outliers. wanted: (M,) the samples whose values are asked for, by
    default all. Returns (M,) float32 in [-1, 1]; NaN for outliers, and for all when there are fewer
    than two clusters. Exact, in one pass over the rows of the graph.
    """
    own, other = mean_distances(graph, labels, wanted=wanted)
    larger = np.fmax(own, other)
    with np.errstate(invalid="ignore"):
        values = np.where(larger > 0, (other - own) / larger, np.float32(0))
    values[np.isnan(own)] = 0
    values[np.isnan(other)] = np.nan
    return values.astype(np.float32)


def mean_distances(
    graph: Graph, labels: IntArray, *, wanted: IntArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Two (M,) float32: mean distance to the own cluster's others, and to the nearest other.

    labels: (N,) int64, -1 for outliers. Members that share no support count exactly 1 each;
    nothing is cut off. NaN for outliers and where a value does not exist: the first in a
    cluster of one, the second when there is only one cluster. wanted: as in `silhouette`.
    """
    if labels.shape != (len(graph),):
        raise ValueError(f"labels have shape {labels.shape}, expected ({len(graph)},)")
    sizes = np.bincount(labels[labels >= 0], minlength=1)
    groups = np.where(labels >= 0, labels, len(sizes)).astype(np.int32)

    def of(distances: Distances) -> FloatArray:
        means: FloatArray = _mean_distances(*distances, groups, sizes)
        return means

    if wanted is None:
        blocks = graph.reduce(of)
    else:
        starts = range(0, len(wanted), ROWS)
        blocks = [of(graph.rows(wanted[start : start + ROWS])) for start in starts]
    means = np.concatenate(blocks) if blocks else np.empty((0, 2), np.float32)
    return means[:, 0].copy(), means[:, 1].copy()


@numba.njit(cache=True, nogil=True)
def _mean_distances(
    samples: IntArray,
    indptr: IntArray,
    indices: npt.NDArray[np.int32],
    values: FloatArray,
    groups: npt.NDArray[np.int32],
    sizes: IntArray,
) -> FloatArray:
    """groups: (N,) the cluster of each sample; outliers are in the group behind the clusters."""
    outliers = len(sizes)
    means = np.full((len(samples), 2), np.nan, np.float32)
    several = np.count_nonzero(sizes) > 1
    closeness, row_of = np.zeros(outliers + 1), np.full(outliers + 1, -1)
    touched = np.empty(outliers + 1, np.int64)
    for a in range(len(samples)):
        own, n_touched = groups[samples[a]], 0
        if own == outliers:
            continue
        for p in range(indptr[a], indptr[a + 1]):
            cluster = groups[indices[p]]
            if row_of[cluster] != a:
                row_of[cluster] = a
                closeness[cluster] = 0
                touched[n_touched] = cluster
                n_touched += 1
            closeness[cluster] += 1 - values[p]
        if sizes[own] > 1:
            means[a, 0] = 1 - (closeness[own] - 1) / (sizes[own] - 1)
        nearest = 1.0
        for cluster in touched[:n_touched]:
            if cluster != own and cluster != outliers:
                nearest = min(nearest, 1 - closeness[cluster] / sizes[cluster])
        if several:
            means[a, 1] = nearest
    return means


def cosine_silhouette(features: FloatArray, labels: IntArray) -> FloatArray:
    """The silhouette (as above) with the cosine distance, 1 - the inner product.

    The mean distance to a cluster's members follows from the sum of their features, so that it is
    exact in O(N C D), without distances between samples.

    features: (N, D) float32, L2-normalised. labels: (N,) int64, -1 for outliers. Returns (N,)
    float32 in [-1, 1]; NaN for outliers, and for all when there are fewer than two clusters.
    """
    values = np.full(len(labels), np.nan, np.float32)
    rows = np.flatnonzero(labels >= 0)
    names, own, sizes = np.unique(labels[rows], return_inverse=True, return_counts=True)
    if len(names) < 2:
        return values
    sums = _sums(features[rows], own)  # (C, D)
    step = max(1, BLOCK_ENTRIES // len(names))
    for start in range(0, len(rows), step):
        block, mine = rows[start : start + step], own[start : start + step]
        inner = features[block] @ sums.T  # (B, C)
        each = np.arange(len(block))
        others = np.maximum(sizes[mine] - 1, 1)
        a = 1 - (inner[each, mine] - 1) / others
        inner /= sizes
        inner[each, mine] = -np.inf
        b = 1 - inner.max(axis=1)
        larger = np.maximum(np.maximum(a, b), SMALL)
        values[block] = np.where(sizes[mine] == 1, 0, np.clip((b - a) / larger, -1, 1))
    return values


def feature_silhouette(
    features: FloatArray,
    labels: IntArray,
    *,
    cameras: IntArray | None = None,
    wanted: IntArray | None = None,
) -> FloatArray:
    """The simplified silhouette (Hruschka et al. 2006): distances to centroids, not to members.

    s = (b - a) / max(a, b), a = 1 - cosine to the centroid of the own cluster's other members,
    b = 1 - the largest cosine to the centroid of another cluster; 0 in a cluster of one. With
    cameras, the own centroid is that of the members from other cameras, and s = 0 when there are
    none: then only clusters that span cameras count, not those that split an individual by view.

    features: (N, D) float32, L2-normalised. labels: (N,) int64 without gaps, -1 for outliers.
    cameras: (N,) int64, or None. wanted: (M,) the samples whose values are asked for, by default
    all. Returns (M,) float32 in [-1, 1]; NaN for outliers, and for all when there are fewer than
    two clusters. O(M C D) work, in blocks.
    """
    asked = np.arange(len(labels)) if wanted is None else wanted
    values = np.full(len(asked), np.nan, np.float32)
    if labels.max(initial=-1) >= 1:
        inside = labels >= 0
        cams = None if cameras is None else cameras[inside]
        place = np.cumsum(inside) - 1
        clustered = inside[asked]
        values[clustered] = _feature_silhouette(
            features if inside.all() else features[inside],
            labels[inside],
            cams,
            place[asked[clustered]],
        )
    return values


def _feature_silhouette(
    features: FloatArray, labels: IntArray, cameras: IntArray | None, wanted: IntArray
) -> FloatArray:
    """Without outliers; a sample is compared with its cluster less the group that it is in."""
    sums = _sums(features, labels)  # (C, D)
    groups, parts = np.arange(len(labels)), features  # (G, D)
    if cameras is not None:
        pairs = labels * (cameras.max() + 1) + cameras
        groups = np.unique(pairs, return_inverse=True)[1]
        parts = _sums(features, groups)
    alone = np.bincount(labels)[labels] == np.bincount(groups)[groups]
    centroids = sums / _lengths(sums)
    values = np.empty(len(wanted), np.float32)
    step = max(1, BLOCK_ENTRIES // len(sums))
    for start in range(0, len(wanted), step):
        block = wanted[start : start + step]
        own, members = labels[block], features[block]
        others = sums[own] - parts[groups[block]]
        a = 1 - np.einsum("bd,bd->b", members, others / _lengths(others))
        cosines = members @ centroids.T  # (B, C)
        cosines[np.arange(len(own)), own] = -np.inf
        b = 1 - cosines.max(axis=1)
        larger = np.maximum(np.maximum(a, b), SMALL)
        found = np.where(alone[block], 0, np.clip((b - a) / larger, -1, 1))
        values[start : start + len(block)] = found
    return values


def _sums(features: FloatArray, groups: IntArray) -> FloatArray:
    """(G, D) sum of the features of each group."""
    n = len(groups)
    member = scipy.sparse.csr_array((np.ones(n, np.float32), (groups, np.arange(n))))
    return np.asarray(member @ features)


def _lengths(vectors: FloatArray) -> FloatArray:
    lengths: FloatArray = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.maximum(lengths, SMALL)
