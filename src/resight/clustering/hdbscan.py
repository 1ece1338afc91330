"""HDBSCAN (Campello et al. 2013) on the near pairs of a graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import sklearn.cluster
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from resight.clustering.density import core_distances
from resight.clustering.numbering import by_first_member
from resight.records import OUTLIER, Features, Graph, IntArray, PseudoLabels

FAR = 1.0
BEYOND = 2.0
ALIKE = 1e-6


@dataclass(frozen=True)
class HDBSCAN:
    """The clusters that last longest while DBSCAN's eps grows; see `hdbscan`.

    min_cluster_size: smaller groups are no clusters, at least 2.
    min_samples: a sample is core at the distance of its `min_samples`-th nearest, itself included;
        None for min_cluster_size.
    cut: pairs at a larger distance count as far as can be, 0 <= cut < 1. Distances above the
        default are those of pairs that share a trace of support: many, and they tell little.
    """

    min_cluster_size: int = 4
    min_samples: int | None = None
    cut: float = 0.95

    def __post_init__(self) -> None:
        if self.min_cluster_size < 2:
            raise ValueError(f"min_cluster_size is {self.min_cluster_size}, expected at least 2")
        if self.min_samples is not None and self.min_samples < 1:
            raise ValueError(f"min_samples is {self.min_samples}, expected at least 1 or None")
        if not 0 <= self.cut < 1:
            raise ValueError(f"cut is {self.cut}, expected 0 <= cut < 1")

    def __call__(self, graph: Graph, features: Features, rng: np.random.Generator) -> PseudoLabels:
        """Cluster the graph; features and rng are not looked at."""
        return PseudoLabels(
            hdbscan(
                graph.near(self.cut),
                min_cluster_size=self.min_cluster_size,
                min_samples=self.min_samples or self.min_cluster_size,
            )
        )


def hdbscan(near: scipy.sparse.csr_array, *, min_cluster_size: int, min_samples: int) -> IntArray:
    """Labels from the near pairs; those that are not stored are at distance 1.

    Clusters are selected by excess of mass; as in scikit-learn, all samples together are none. A
    sample with fewer than `min_samples` pairs is at distance 1 from all others, and an outlier.
    Samples that only distance 1 connects are never one cluster. Distances below 1e-6 count as 1e-6:
    density, their inverse, would have no bounds among duplicates.

    near: (N, N) float32 distances below 1, symmetric, diagonal stored.
    min_cluster_size: at least 2. min_samples: at least 1.
    Returns (N,) int64 labels, numbered by first member, -1 for outliers.
    """
    n = near.shape[0]
    if n < min_cluster_size:
        return np.full(n, OUTLIER, np.int64)
    forest = minimum_spanning_tree(_mutual_reachability(near, min_samples))
    found = sklearn.cluster.HDBSCAN(
        min_cluster_size=min_cluster_size,
        min_samples=1,
        metric="precomputed",
        algorithm="brute",
        copy=False,
    ).fit_predict(_joined(forest, min_cluster_size))
    return by_first_member(found)


def _mutual_reachability(near: scipy.sparse.csr_array, min_samples: int) -> scipy.sparse.csr_array:
    """(N, N) float64 upper triangle of max(core_i, core_j, d_ij), where that is below 1."""
    core = core_distances(near, min_samples)
    pairs = scipy.sparse.triu(near, k=1, format="coo")
    reach = np.maximum(np.maximum(core[pairs.row], core[pairs.col]), pairs.data)
    linked = reach < FAR
    values = np.maximum(reach[linked].astype(np.float64), ALIKE)
    return scipy.sparse.csr_array(
        (values, (pairs.row[linked], pairs.col[linked])), shape=near.shape
    )


def _joined(forest: scipy.sparse.csr_array, min_cluster_size: int) -> scipy.sparse.csr_array:
    """One tree: symmetric, zeros on the diagonal stored, as scikit-learn takes it.

    The largest tree is joined with each other one, at distance 1, and with those that are too small
    for a cluster beyond it. So these are the first to part, as outliers; joined among themselves
    they would look like a cluster, and at distance 1 they could count as members of one.
    """
    n, edges = forest.shape[0], forest.tocoo()
    _, trees = connected_components(forest, directed=False)
    _, first, sizes = np.unique(trees, return_index=True, return_counts=True)
    hub = sizes.argmax()
    others = np.delete(first, hub)
    apart = np.where(np.delete(sizes, hub) < min_cluster_size, BEYOND, FAR)
    ends = (
        np.concatenate((edges.row, others)),
        np.concatenate((edges.col, np.full_like(others, first[hub]))),
    )
    values = np.concatenate((edges.data, apart))
    diagonal = np.arange(n)
    rows = np.concatenate((*ends, diagonal))
    columns = np.concatenate((*ends[::-1], diagonal))
    return scipy.sparse.csr_array(
        (np.concatenate((values, values, np.zeros(n))), (rows, columns)), shape=forest.shape
    )
