"""Harmonic discrepancy clustering (3C: Zheng et al., Section 3.2, Algorithm 1) on a sparse graph.

Only pairs that share support have a discrepancy D = 1 - exp(-d) below FAR = 1 - exp(-1). The
harmonic mean of D and sim grows with both, so that of a cluster's members that share no support
with a sample only the most similar to the centroid counts, and no sharing member of lower
similarity beats it. The representative is found by walking the members in descending similarity,
up to the first that shares no support or could not win if it did not; where the first member
already shares none, HD is FAR.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from resight.clustering.euler import (
    Centroids,
    Doubles,
    Reach,
    euler_distances,
    largest_distance,
    represent,
    unseen,
)
from resight.clustering.hdc_init import NearPairs, RowSource, kmeans_plus_plus, nearest_seeds
from resight.clustering.how_many import NClusters, check_enough, resolve, too_many
from resight.errors import DataError
from resight.records import (
    OUTLIER,
    BoolArray,
    Crops,
    Features,
    FloatArray,
    Graph,
    IntArray,
    PseudoLabels,
)

Similarity: TypeAlias = Literal["released", "paper"]

log = logging.getLogger(__name__)

SHARPNESS = 5.0
WORTH_TELLING = 1.0
SETTLING = 10
PATIENCE = 5
SMALL = 5
ABSENT = np.float32(2)
STEPS = 2.0**40


@dataclass(frozen=True)
class HDC:
    """Clusters that each sample's discrepancy to the representatives of all others sets apart.

    n_clusters: K, at most the number of crops; "auto" for as many as DBSCAN finds at the eps that
        `propose_eps` proposes for the graph.
    init_indices: K different samples to start from; None draws them by k-means++.
    similarity: of a sample and a centroid. "released": exp(-5 dist / the largest dist of any
        sample and centroid) with dist = |sum (z(x) - z(c))^2|, as the released code computes it;
        "paper": exp(-dist) with the Euler cosine distance (Eq. 3).
    max_iterations: at least 1; see `hdc` for when it stops earlier.
    drop_peripheral: the last iteration's peripheral objects become outliers (the vehicle setting
        of 3C keeps them).
    cut: 0 <= cut < 1: pairs beyond it count as sharing no support, and an iteration needs no pass
        over the rows. No pair's discrepancy D grows by more than exp(-cut) - exp(-1), .04 at .9,
        but a representative can become another member, and labels differ. None is exact.
    """

    n_clusters: NClusters = "auto"
    init_indices: tuple[int, ...] | None = None
    similarity: Similarity = "released"
    max_iterations: int = 80
    drop_peripheral: bool = True
    cut: float | None = None

    def __post_init__(self) -> None:
        n_clusters = 1 if self.n_clusters == "auto" else self.n_clusters
        if self.n_clusters == "auto" and self.init_indices is not None:
            raise ValueError(
                f"n_clusters is auto, expected the number of init_indices, {len(self.init_indices)}"
            )
        _check(n_clusters, self.init_indices, self.similarity, self.max_iterations, self.cut)

    def unmet(self, crops: Crops) -> list[str]:
        """What the crops lack."""
        return too_many(self.n_clusters, crops)

    def __call__(self, graph: Graph, features: Features, rng: np.random.Generator) -> PseudoLabels:
        """Cluster the graph; centroids are means of what the graph compares. Core: not peripheral.

        Raises what `hdc` raises, and NothingToLearnError when nothing tells n_clusters "auto".
        """
        found = hdc(
            graph,
            features.vectors,
            n_clusters=resolve(self.n_clusters, graph, features),
            rng=rng,
            init_indices=self.init_indices,
            similarity=self.similarity,
            max_iterations=self.max_iterations,
            cut=self.cut,
        )
        dropped = found.peripheral & self.drop_peripheral
        return PseudoLabels(np.where(dropped, OUTLIER, found.labels), ~found.peripheral)


@dataclass(frozen=True, eq=False)
class HarmonicClusters:
    """Where HDC ended.

    labels: (N,) int64, 0 … K-1, none of them empty. peripheral: (N,) bool. shifts: squared
    distance that the centroids moved in each iteration, summed over clusters.
    """

    labels: IntArray
    peripheral: BoolArray
    shifts: tuple[float, ...]

    @property
    def iterations(self) -> int:
        """How many iterations ran."""
        return len(self.shifts)


def hdc(
    graph: Graph,
    vectors: FloatArray,
    *,
    n_clusters: int,
    rng: np.random.Generator,
    init_indices: tuple[int, ...] | None = None,
    similarity: Similarity = "released",
    max_iterations: int = 80,
    cut: float | None = None,
) -> HarmonicClusters:
    """Cluster N samples into K clusters by harmonic discrepancies.

    At first each sample belongs to the nearest of K starting samples, which are the centroids, as
    in the released code (Alg. 1 takes the means). Each iteration: the representative of cluster k
    for sample i is the member x that maximises the harmonic mean of D(i, x) = 1 - exp(-d(i, x)) and
    sim(x, c_k) (Eq. 8); HD_k(i) is its D (Eq. 9); i goes to the cluster of the largest mean HD to
    the others, which is that of the smallest HD (Eq. 10-11). Of equal ones, its cluster so far
    comes before others, and these in their order; a sample that is FAR from all stays where it is.
    Empty clusters, in their order, take over the samples of lowest mean HD to the other clusters
    (to 2^-40; the first of equals) from clusters of 5 or more, then from clusters of 2 or more.
    Peripheral objects, whose HD is above the cluster's mean + sample standard deviation (Eq. 12),
    are left out of the centroids; as in the released code they may still be representatives.

    Stops when the centroids do not move, or when after the 10th iteration the squared shift has
    not reached a new minimum for 5 iterations, or after max_iterations.

    vectors: (N, D) float32, whose rows are of length 1 or so. The other arguments: see `HDC`.
    The result does not depend on the number of threads. Raises DataError when K is above N or
    init_indices do not fit, ValueError for other wrong arguments. No samples give no labels.
    """
    _check(n_clusters, init_indices, similarity, max_iterations, cut)
    n = len(graph)
    if vectors.ndim != 2 or len(vectors) != n:
        raise ValueError(f"vectors have shape {vectors.shape}, expected ({n}, D)")
    if not n:
        return HarmonicClusters(np.empty(0, np.int64), np.empty(0, np.bool_), ())
    check_enough(n_clusters, n)
    if init_indices is not None and max(init_indices) >= n:
        raise DataError(f"init_indices name sample {max(init_indices)}, but there are only {n}")
    rows = graph if cut is None else NearPairs(graph.near(cut))
    seeds = kmeans_plus_plus(rows, n_clusters, rng) if init_indices is None else init_indices
    return _iterate(
        rows,
        np.ascontiguousarray(vectors, np.float32),
        np.array(seeds, np.int64),
        similarity,
        max_iterations,
    )


def _check(
    n_clusters: int,
    init_indices: tuple[int, ...] | None,
    similarity: str,
    max_iterations: int,
    cut: float | None,
) -> None:
    if n_clusters < 1 or max_iterations < 1:
        raise ValueError(
            f"n_clusters={n_clusters} and max_iterations={max_iterations} should be at least 1"
        )
    if init_indices is not None and (
        len(set(init_indices)) != len(init_indices)
        or len(init_indices) != n_clusters
        or min(init_indices) < 0
    ):
        raise ValueError(
            f"init_indices holds {len(set(init_indices))} different samples from "
            f"{min(init_indices, default=0)} on, expected n_clusters={n_clusters} from 0 on"
        )
    if similarity not in ("released", "paper"):
        raise ValueError(f"similarity is {similarity!r}, expected 'released' or 'paper'")
    if cut is not None and not 0 <= cut < 1:
        raise ValueError(f"cut is {cut}, expected 0 <= cut < 1, or None")


def _iterate(
    graph: RowSource,
    vectors: FloatArray,
    seeds: IntArray,
    similarity: Similarity,
    max_iterations: int,
) -> HarmonicClusters:
    labels = nearest_seeds(graph, seeds)
    started = time.perf_counter()
    peripheral = np.zeros(len(labels), np.bool_)
    centroids = represent(vectors[seeds].astype(np.float64))
    reach = unseen(*centroids.vectors.shape)
    shifts: list[float] = []
    while len(shifts) < max_iterations and not _settled(shifts):
        similarities, reach = _own_similarities(vectors, centroids, labels, reach, similarity)
        labels, discrepancies = _assign(graph, labels, similarities, len(seeds))
        peripheral = _peripheral(labels, discrepancies)
        means = _means(vectors, *_members(labels, ~peripheral, len(seeds)))
        shifts.append(float(np.sum((means - centroids.vectors) ** 2)))
        if len(shifts) == 1 and time.perf_counter() - started > WORTH_TELLING:
            seconds = time.perf_counter() - started
            log.info("HDC: up to %d iterations of about %.0f s", max_iterations, seconds)
        centroids = represent(means)
    return HarmonicClusters(labels, peripheral, tuple(shifts))


def _settled(shifts: list[float]) -> bool:
    late = shifts[SETTLING:]
    stale = len(late) - 1 - int(np.argmin(late)) if late else 0
    return stale >= PATIENCE or (bool(shifts) and shifts[-1] == 0)


def _own_similarities(
    vectors: FloatArray,
    centroids: Centroids,
    labels: IntArray,
    reach: Reach,
    similarity: Similarity,
) -> tuple[Doubles, Reach]:
    """(N,) float64 similarity of each sample to the centroid of its own cluster."""
    conjugate = similarity == "paper"
    own = euler_distances(vectors, centroids, np.arange(len(labels)), labels, conjugate=conjugate)
    if conjugate:
        return np.exp(-own), reach
    largest, reach = largest_distance(vectors, centroids, reach)
    return np.exp(-SHARPNESS * (own / largest if largest > 0 else own)), reach


def _members(labels: IntArray, among: BoolArray, n_clusters: int) -> tuple[IntArray, IntArray]:
    """The samples among these by cluster, and where each cluster's begin: (K + 1,)."""
    samples = np.flatnonzero(among)
    sizes = np.bincount(labels[samples], minlength=n_clusters)
    order = samples[np.argsort(labels[samples], kind="stable")]
    return order, np.concatenate(([0], np.cumsum(sizes)))


def _assign(
    graph: RowSource, labels: IntArray, similarities: Doubles, n_clusters: int
) -> tuple[IntArray, Doubles]:
    """Each sample's new cluster, none of them empty, and its discrepancy to it: (N,) both."""
    order = np.lexsort((-similarities, labels))
    starts = np.searchsorted(labels[order], np.arange(n_clusters + 1))
    leads = np.zeros(len(labels), np.bool_)
    leads[order[starts[:-1]]] = True
    blocks = graph.reduce(
        lambda rows: _nearest_clusters(*rows, labels, similarities, order, starts, leads)
    )
    chosen, discrepancies, closeness = (np.concatenate(part) for part in zip(*blocks, strict=True))
    _fill_empty(chosen, np.argsort(-closeness, kind="stable"), n_clusters)
    return chosen, discrepancies


def _peripheral(labels: IntArray, discrepancies: Doubles) -> BoolArray:
    """(N,) whether HD is above the mean + sample standard deviation of its cluster (Eq. 12)."""
    sizes = np.bincount(labels)
    above = discrepancies - (np.bincount(labels, discrepancies) / sizes)[labels]
    variances = np.bincount(labels, above**2) / np.maximum(sizes - 1, 1)
    found: BoolArray = above > np.sqrt(variances)[labels]
    return found


@numba.njit(cache=True, nogil=True)
def _nearest_clusters(
    samples: IntArray,
    indptr: IntArray,
    indices: npt.NDArray[np.int32],
    values: FloatArray,
    labels: IntArray,
    similarities: Doubles,
    order: IntArray,
    starts: IntArray,
    leads: BoolArray,
) -> tuple[IntArray, Doubles, IntArray]:
    """Cluster of smallest HD, that HD, and sum over other clusters of FAR - HD in STEPS.

    order: samples by cluster, in descending similarity, cluster k from starts[k] to starts[k + 1].
    leads: the first of each cluster. The sum is of whole numbers, so that a row's order is nothing.
    """
    chosen, smallest = labels[samples], np.full(len(samples), _discrepancy(1.0))
    closeness = np.zeros(len(samples), np.int64)
    distances = np.full(len(labels), ABSENT)
    shared = np.empty(len(starts), np.int64)
    for a in range(len(samples)):
        own, own_share, n_shared = chosen[a], np.int64(0), 0
        for p in range(indptr[a], indptr[a + 1]):
            distances[indices[p]] = values[p]
            if leads[indices[p]]:
                shared[n_shared] = labels[indices[p]]
                n_shared += 1
        for k in shared[:n_shared]:
            hd = _to_cluster(distances, similarities, order, starts[k], starts[k + 1])
            share = np.int64(np.rint((_discrepancy(1.0) - hd) * STEPS))
            closeness[a] += share
            first = k == own or (chosen[a] != own and k < chosen[a])
            if hd < smallest[a] or (hd == smallest[a] and first):
                chosen[a], smallest[a], own_share = k, hd, share
        closeness[a] -= own_share
        for p in range(indptr[a], indptr[a + 1]):
            distances[indices[p]] = ABSENT
    return chosen, smallest, closeness


@numba.njit(cache=True, nogil=True)
def _to_cluster(
    distances: FloatArray, similarities: Doubles, order: IntArray, start: int, stop: int
) -> float:
    """HD to the cluster of order[start:stop]: D of its representative."""
    far = _discrepancy(1.0)
    best, found = -1.0, far
    for p in range(start, stop):
        j = order[p]
        if _harmonic_mean(far, similarities[j]) <= best:
            break
        if distances[j] == ABSENT:
            return far
        discrepancy = _discrepancy(np.float64(distances[j]))
        mean = _harmonic_mean(discrepancy, similarities[j])
        if mean > best:
            best, found = mean, discrepancy
    return found


@numba.njit(cache=True, nogil=True)
def _discrepancy(distance: float) -> float:
    return 1 - math.exp(-distance)


@numba.njit(cache=True, nogil=True)
def _harmonic_mean(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b > 0 else 0.0


@numba.njit(cache=True, nogil=True)
def _fill_empty(labels: IntArray, order: IntArray, n_clusters: int) -> None:
    """Give each empty cluster one sample, the first in `order` whose own cluster can spare it."""
    sizes = np.bincount(labels, minlength=n_clusters)
    empty = np.flatnonzero(sizes == 0)
    filled = 0
    for least in (SMALL, 2):
        for i in order:
            if filled == len(empty):
                return
            if sizes[labels[i]] >= least:
                sizes[labels[i]] -= 1
                labels[i] = empty[filled]
                sizes[labels[i]] = 1
                filled += 1


@numba.njit(cache=True, nogil=True)
def _means(vectors: FloatArray, members: IntArray, starts: IntArray) -> Doubles:
    """(K, D) mean of the vectors of each cluster's members, in double precision."""
    means = np.zeros((len(starts) - 1, vectors.shape[1]))
    for k in range(len(means)):
        for p in range(starts[k], starts[k + 1]):
            for d in range(vectors.shape[1]):
                means[k, d] += vectors[members[p], d]
        means[k] /= starts[k + 1] - starts[k]
    return means
