"""The k-reciprocal Jaccard distance (Zhong et al. 2017, Section 3) as a sparse graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch

from resight.graph.distances import mean_to_clusters, near_pairs
from resight.graph.knn import Neighbours, check_normalised, neighbours
from resight.graph.reciprocal import affinities
from resight.graph.rows import Rows, transpose
from resight.records import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class JaccardGraph:
    """Affinities V of N samples, whose Jaccard distances are computed as they are asked for.

    affinities: V, rows of non-negative weights that sum to 1, with sorted columns.
    transposed: V^T, sorted too.
    """

    affinities: Rows
    transposed: Rows

    def __len__(self) -> int:
        return self.affinities.n_rows

    def near(self, cut: float) -> scipy.sparse.csr_array:
        """All pairs with distance <= `cut`: (N, N) float32, sorted, symmetric bit for bit.

        The zeros of the diagonal are stored; `cut` is compared in float32. Raises ValueError
        unless 0 <= cut < 1.
        """
        if not 0 <= np.float32(cut) < 1:
            raise ValueError(f"cut is {cut}, expected 0 <= cut < 1")
        rows = near_pairs(self.affinities, self.transposed, np.float32(cut))
        return scipy.sparse.csr_array(
            (rows.data, rows.indices, rows.indptr), shape=(len(self), len(self))
        )

    def mean_distances(self, labels: IntArray) -> tuple[FloatArray, FloatArray]:
        """Two (N,) float32: mean distance to the own cluster's others, and to the nearest other.

        labels: (N,) int64, -1 for outliers. Members that share no support count exactly 1 each;
        nothing is cut off. NaN for outliers and where a value does not exist: the first in a
        cluster of one, the second when there is only one cluster.
        """
        if labels.shape != (len(self),):
            raise ValueError(f"labels have shape {labels.shape}, expected ({len(self)},)")
        return mean_to_clusters(
            self.affinities, self.transposed, np.ascontiguousarray(labels, np.int64)
        )


def jaccard_graph(
    features: FloatArray | torch.Tensor,
    *,
    k1: int = 30,
    k2: int = 6,
    self_counts: bool = True,
    nearest: Neighbours | None = None,
) -> JaccardGraph:
    """The k-reciprocal Jaccard graph of N samples.

    R(i) are the mutual k1-neighbours of i, expanded by the half-size reciprocal set of each member
    of R(i) when more than 2/3 of it lies in R(i); V_i = softmax(-squared Euclidean distance) over
    the expanded set, averaged over the k2 nearest neighbours; d(i, j) = 1 - m / (2 - m),
    m = sum_l min(V_il, V_jl).

    features: (N, D) float32, L2-normalised.
    k1, k2: neighbours of the lists and of the average, at least 1; clipped to N.
    self_counts: whether k1 counts the sample itself (Cluster Contrast, CGC, LP) or not (3C, with
        lists of k1 + 1). The half lists hold round(k1 / 2) + 1, half to even, either way.
    nearest: the neighbours, when they are known already; at least max(list size, k2) of them,
        as `neighbours` gives them.

    The result does not depend on the number of threads. Raises what `neighbours` raises.
    """
    if k1 < 1 or k2 < 1:
        raise ValueError(f"k1 is {k1} and k2 is {k2}, expected at least 1")
    list_size = k1 if self_counts else k1 + 1
    table = torch.as_tensor(features).detach()
    if nearest is None:
        nearest = neighbours(table, max(list_size, k2))
    else:
        check_normalised(table)
        _check_neighbours(nearest, len(table), min(max(list_size, k2), len(table)))
    rows = affinities(
        np.ascontiguousarray(table.cpu().numpy()),
        nearest,
        list_size=list_size,
        half_size=round(k1 / 2) + 1,
        k2=k2,
    )
    return JaccardGraph(rows, transpose(rows))


def _check_neighbours(nearest: Neighbours, n: int, needed: int) -> None:
    if len(nearest) != n or nearest.k < needed:
        raise ValueError(
            f"nearest holds {nearest.k} neighbours of {len(nearest)} samples, "
            f"expected at least {needed} of {n}"
        )
