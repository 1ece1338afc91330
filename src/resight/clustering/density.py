"""DBSCAN (Ester et al. 1996) on the near pairs of a graph."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from resight.records import OUTLIER, BoolArray, FloatArray, IntArray, PseudoLabels


def dbscan(near: scipy.sparse.csr_array, *, min_samples: int) -> PseudoLabels:
    """Labels and core mask from the pairs within eps: (N, N), symmetric, diagonal stored.

    Clusters are the connected core samples, those with `min_samples` neighbours, themselves
    included, and what lies within eps of them.

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


def core_distances(near: scipy.sparse.csr_array, min_samples: int) -> FloatArray:
    """(N,) float32 distance of each sample to its `min_samples`-th nearest, itself included.

    1 where there are fewer near pairs: near: (N, N) float32. min_samples: at least 1.
    """
    found: FloatArray = _nth_smallest(near.indptr.astype(np.int64), near.data, min_samples - 1)
    return found


@numba.njit(cache=True, nogil=True)
def _nth_smallest(indptr: IntArray, distances: FloatArray, n: int) -> FloatArray:
    """The n-th smallest value of each row, counted from 0; 1 in shorter rows."""
    found = np.ones(len(indptr) - 1, np.float32)
    for i in range(len(found)):
        row = distances[indptr[i] : indptr[i + 1]]
        if len(row) > n:
            found[i] = np.partition(row, n)[n]
    return found


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
