"""Spherical k-means (Dhillon and Modha 2001), started by k-means++ (Arthur, Vassilvitskii 2007)."""

from __future__ import annotations

import logging
import math
import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch

from resight.clustering.how_many import NClusters, check_enough, resolve, too_many
from resight.clustering.numbering import by_first_member
from resight.records import Crops, Features, FloatArray, Graph, IntArray, PseudoLabels

log = logging.getLogger(__name__)

WORTH_TELLING = 0.5
BLOCK_ENTRIES = 1 << 21


@dataclass(frozen=True)
class KMeans:
    """Spherical k-means on what the graph compares; see `spherical_kmeans`.

    n_clusters: how many clusters; all of them have members, and there are no outliers. "auto" for
        as many as DBSCAN finds at the eps that `propose_eps` proposes for the graph.
    iterations: at most this often are samples assigned to the nearest centroids.
    """

    n_clusters: NClusters = "auto"
    iterations: int = 50

    def __post_init__(self) -> None:
        if (self.n_clusters != "auto" and self.n_clusters < 1) or self.iterations < 1:
            raise ValueError(
                f"n_clusters={self.n_clusters} and iterations={self.iterations} "
                "should be at least 1"
            )

    def unmet(self, crops: Crops) -> list[str]:
        """What the crops lack."""
        return too_many(self.n_clusters, crops)

    def __call__(self, graph: Graph, features: Features, rng: np.random.Generator) -> PseudoLabels:
        """Cluster the features; the graph is looked at with n_clusters "auto" alone.

        Raises DataError when there are more clusters than crops, NothingToLearnError when nothing
        tells n_clusters "auto".
        """
        n_clusters = resolve(self.n_clusters, graph, features)
        return PseudoLabels(
            spherical_kmeans(features.vectors, n_clusters, iterations=self.iterations, rng=rng)
        )


def spherical_kmeans(
    features: FloatArray, n_clusters: int, *, iterations: int = 50, rng: np.random.Generator
) -> IntArray:
    """Clusters whose samples have the largest sum of cosines to their cluster's centroid.

    The start is greedy k-means++ with 2 + log K trials and the potential 1 - cosine. Each iteration
    assigns every sample to its nearest centroid, gives each empty cluster the sample that is
    farthest from its centroid and not the last of its cluster, and takes the normalised means for
    centroids; it stops when no label changes.

    features: (N, D) float32, L2-normalised. n_clusters: 1 … N. iterations: at least 1.
    Returns (N,) int64 labels, numbered by first member, every cluster with at least one. The same
    rng gives the same labels. O(N K D) work per iteration, in blocks of rows. Raises DataError
    when there are more clusters than samples, ValueError on other wrong arguments.
    """
    if features.ndim != 2:
        raise ValueError(f"features have shape {features.shape}, expected (N, D)")
    if n_clusters < 1 or iterations < 1:
        raise ValueError(
            f"n_clusters is {n_clusters} and iterations is {iterations}, expected at least 1"
        )
    check_enough(n_clusters, len(features))
    return by_first_member(_spherical_kmeans(_tensor(features), n_clusters, iterations, rng))


def _spherical_kmeans(
    table: torch.Tensor, n_clusters: int, iterations: int, rng: np.random.Generator
) -> IntArray:
    centroids = table[_start(table, n_clusters, rng)]  # (K, D)
    labels: IntArray = np.empty(0, np.int64)
    started = time.perf_counter()
    for done in range(iterations):
        if done == 1 and time.perf_counter() - started > WORTH_TELLING:
            seconds = time.perf_counter() - started
            log.info("k-means: up to %d iterations of about %.0f s", iterations, seconds)
        before = labels
        labels = _filled(*_nearest(table, centroids), n_clusters)
        if np.array_equal(labels, before):
            break
        centroids = _centroids(table, torch.from_numpy(labels), n_clusters)
    return labels


def _start(table: torch.Tensor, n_clusters: int, rng: np.random.Generator) -> IntArray:
    """(K,) the samples that greedy k-means++ starts from."""
    n, trials = len(table), 2 + int(math.log(n_clusters))
    chosen = np.empty(n_clusters, np.int64)
    chosen[0] = rng.integers(n)
    potential = _away(table, chosen[:1])[:, 0]  # (N,)
    for k in range(1, n_clusters):
        sums = np.cumsum(potential.numpy(), dtype=np.float64)
        tried = np.searchsorted(sums, rng.random(trials) * sums[-1], side="right")
        tried = np.minimum(tried, n - 1)
        potentials = torch.minimum(_away(table, tried), potential[:, None])  # (N, trials)
        best = int(potentials.sum(dim=0).argmin())
        chosen[k], potential = tried[best], potentials[:, best].contiguous()
    return chosen


def _away(table: torch.Tensor, samples: IntArray) -> torch.Tensor:
    """(N, M) 1 - cosine of all samples to these."""
    return (1 - table @ table[samples].T).clamp_(min=0)


def _nearest(table: torch.Tensor, centroids: torch.Tensor) -> tuple[IntArray, FloatArray]:
    """(N,) the nearest centroid of each sample, the first of equals, and (N,) its cosine."""
    labels = np.empty(len(table), np.int64)
    cosines = np.empty(len(table), np.float32)
    step = max(1, BLOCK_ENTRIES // len(centroids))
    for start in range(0, len(table), step):
        block = slice(start, start + step)
        values, found = (table[block] @ centroids.T).max(dim=1)
        labels[block], cosines[block] = found.numpy(), values.numpy()
    return labels, cosines


def _filled(labels: IntArray, cosines: FloatArray, n_clusters: int) -> IntArray:
    """Labels in which each empty cluster has one of the farthest samples.

    The nearest sample of each cluster stays where it is, so that no cluster is emptied.
    """
    empty = np.flatnonzero(np.bincount(labels, minlength=n_clusters) == 0)
    if not len(empty):
        return labels
    nearest_first = np.argsort(-cosines, kind="stable")
    _, staying = np.unique(labels[nearest_first], return_index=True)
    movable = np.delete(nearest_first, staying)
    filled = labels.copy()
    filled[movable[len(movable) - len(empty) :]] = empty
    return filled


def _centroids(table: torch.Tensor, labels: torch.Tensor, n_clusters: int) -> torch.Tensor:
    """(K, D) normalised means."""
    sums = table.new_zeros(n_clusters, table.shape[1]).index_add_(0, labels, table)
    return torch.nn.functional.normalize(sums, dim=1)


def _tensor(features: FloatArray) -> torch.Tensor:
    """PyTorch warns of arrays that it could not write to; these are only read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.ascontiguousarray(features, np.float32))
