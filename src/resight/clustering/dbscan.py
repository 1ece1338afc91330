"""DBSCAN (Ester et al. 1996) on a sparse graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from resight.records import OUTLIER, BoolArray, Features, Graph, IntArray, PseudoLabels


@dataclass(frozen=True)
class DBSCAN:
    """Clusters are the connected core samples and what lies within `eps` of them.

    eps: largest distance of neighbours, inclusive, 0 <= eps < 1.
    min_samples: a sample with this many neighbours, itself included, is a core sample.
    """

    eps: float
    min_samples: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.eps < 1:
            raise ValueError(f"eps is {self.eps}, expected 0 <= eps < 1")
        if self.min_samples < 1:
            raise ValueError(f"min_samples is {self.min_samples}, expected at least 1")

    def __call__(self, graph: Graph, features: Features, rng: np.random.Generator) -> PseudoLabels:
        """Cluster the graph; features and rng are not looked at."""
        return dbscan(graph.near(self.eps), min_samples=self.min_samples)


def dbscan(near: scipy.sparse.csr_array, *, min_samples: int) -> PseudoLabels:
    """Labels and core mask from the pairs within eps: (N, N), symmetric, diagonal stored.

    Numbered as scikit-learn numbers them: clusters by their first core sample; a border sample
    belongs to the first of the clusters that have a core sample within eps.
    """
    degrees = np.diff(near.indptr)
    core = degrees >= min_samples
    numbers = np.full(len(core), len(core))
    numbers[core] = _components(near, core, degrees)
    nearby = numbers[near.indices]
    labels = np.minimum.reduceat(nearby, near.indptr[:-1]) if len(core) else nearby
    labels = np.where(core, numbers, labels)
    return PseudoLabels(np.where(labels < len(core), labels, OUTLIER).astype(np.int64), core)


def _components(
    near: scipy.sparse.csr_array, core: BoolArray, degrees: npt.NDArray[np.integer]
) -> IntArray:
    """(n_core,) connected component of each core sample, numbered by first appearance."""
    position = np.cumsum(core) - 1
    both = np.repeat(core, degrees) & core[near.indices]
    rows = np.repeat(position, degrees)[both]
    size = (int(core.sum()),) * 2
    edges = scipy.sparse.coo_array(
        (np.ones(len(rows), bool), (rows, position[near.indices[both]])), size
    )
    found = connected_components(edges, directed=False)[1]
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]
