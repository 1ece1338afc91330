"""The k-reciprocal Jaccard distance (Zhong et al. 2017, Section 3) as a sparse graph."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch

from resight.graph.costs import Memory, announce, announce_graph, pair_seconds
from resight.graph.distances import Views, joined, near_bytes, near_pairs, rows_of
from resight.graph.knn import Neighbours, as_features, neighbours
from resight.graph.reciprocal import affinities
from resight.graph.rows import Indices, Rows, Values, over_rows, take, transpose
from resight.records import Distances, FloatArray, IntArray, Result


@dataclass(frozen=True, eq=False)
class JaccardGraph:
    """Affinities V of N samples, whose Jaccard distances are computed as they are asked for.

    affinities: V, rows of non-negative weights that sum to 1, with sorted columns; of several
    views one below the other. transposed: V^T, sorted too. links: (N, N) the cosines of the nearest
    neighbours. weights: of the views; they sum to 1. memory: bytes that its pairs may take, None
    for no limit.
    """

    affinities: Rows
    transposed: Rows
    links: Callable[[], scipy.sparse.csr_array]
    weights: tuple[float, ...] = (1.0,)
    memory: int | None = None

    def __len__(self) -> int:
        return self._views.n

    @functools.cached_property
    def _views(self) -> Views:
        return Views(self.affinities, self.transposed, np.array(self.weights))

    def near(self, cut: float) -> scipy.sparse.csr_array:
        """All pairs with distance <= `cut`: (N, N) float32, sorted, symmetric bit for bit.

        The zeros of the diagonal are stored; `cut` is compared in float32. A cut of 1 gives all
        pairs that share support, which because of hubs can be a quarter of all pairs. Raises
        ValueError unless 0 <= cut <= 1, CostError when they need more memory than the limit.
        """
        if not 0 <= np.float32(cut) <= 1:
            raise ValueError(f"cut is {cut}, expected 0 <= cut <= 1")
        needed = near_bytes(self._views, np.float32(cut))
        stage = f"the pairs of {len(self)} samples up to {cut:g}"
        Memory(self.memory).check(stage, needed, advice="give more, or a smaller cut or eps")
        announce(stage, pair_seconds(np.diff(self.transposed.indptr)), needed)
        rows = near_pairs(self._views, np.float32(cut))
        return scipy.sparse.csr_array(
            (rows.data, rows.indices, rows.indptr), shape=(len(self), len(self))
        )

    def rows(self, samples: IntArray) -> Distances:
        """The distances of these samples to all that share support with them."""
        samples = np.ascontiguousarray(samples, np.int64)
        parts = over_rows(len(samples), lambda start, stop: self._rows(samples[start:stop]))
        return joined(samples, parts)

    def reduce(self, kernel: Callable[[Distances], Result]) -> list[Result]:
        """`kernel` of all rows, in blocks in their order; see `resight.records.Graph`."""
        return over_rows(len(self), lambda start, stop: kernel(self._rows(np.arange(start, stop))))

    def _rows(self, samples: IntArray) -> Distances:
        return rows_of(self._views, samples)

    def select(self, samples: IntArray) -> JaccardGraph:
        """The same distances among these samples alone."""
        n = len(self)
        stacked = np.concatenate([samples + v * n for v in range(len(self.weights))])
        rows = take(self.affinities, stacked)
        links = self.links
        return JaccardGraph(
            rows,
            transpose(rows, self.transposed.n_rows),
            lambda: links()[samples][:, samples],
            self.weights,
            self.memory,
        )

    def nearest(self) -> scipy.sparse.csr_array:
        """(N, N) float32 cosines to the nearest neighbours that the graph was made of."""
        return self.links()


def jaccard_graph(
    features: FloatArray | torch.Tensor,
    *,
    k1: int = 30,
    k2: int = 6,
    self_counts: bool = True,
    nearest: Neighbours | None = None,
    memory: int | None = None,
) -> JaccardGraph:
    """The k-reciprocal Jaccard graph of N samples.

    R(i) are the mutual k1-neighbours of i, expanded by the half-size reciprocal set of each member
    of R(i) when more than 2/3 of it lies in R(i); V_i = softmax(-squared Euclidean distance) over
    the expanded set, averaged over the k2 nearest neighbours; d(i, j) = 1 - m / (2 - m),
    m = sum_l min(V_il, V_jl).

    features: (N, D) floating point, L2-normalised.
    k1, k2: neighbours of the lists and of the average, at least 1; clipped to N.
    self_counts: whether k1 counts the sample itself (Cluster Contrast, CGC, LP) or not (3C, with
        lists of k1 + 1). The half lists hold round(k1 / 2) + 1, half to even, either way.
    nearest: the neighbours, when they are known already; at least max(list size, k2) of them,
        as `neighbours` gives them.
    memory: bytes that neighbours, V and each `near` may take; None for no limit.

    The result does not depend on the number of threads. Raises what `neighbours` raises, and
    CostError when `memory` is too little.
    """
    if k1 < 1 or k2 < 1:
        raise ValueError(f"k1 is {k1} and k2 is {k2}, expected at least 1")
    list_size = k1 if self_counts else k1 + 1
    table = as_features(features)
    announce_graph(len(table), k1, Memory(memory))
    if nearest is None:
        nearest = neighbours(table, max(list_size, k2), memory=memory)
    else:
        _check_neighbours(nearest, len(table), min(max(list_size, k2), len(table)))
    rows = affinities(
        table.cpu().numpy(),
        nearest,
        list_size=list_size,
        half_size=round(k1 / 2) + 1,
        k2=k2,
    )
    links = functools.partial(
        _links, nearest.indices[:, 1:list_size], nearest.similarities[:, 1:list_size]
    )
    return JaccardGraph(rows, transpose(rows), links, memory=memory)


def fuse(graphs: Sequence[JaccardGraph], weights: Sequence[float]) -> JaccardGraph:
    """The weighted mean of the distances of several views: D = sum_v w_v D_v.

    A pair that shares no support in a view counts 1 there (LP, Eq. 4: weights 1 - n lambda1 for
    the global view and lambda1 for each of n parts).

    graphs: of the same N samples. weights: one each, none negative; they are scaled to sum to 1,
    and a view of weight 0 takes no part. The nearest neighbours are those of the first graph.
    Raises ValueError when the graphs or the weights do not fit together.
    """
    sizes = {len(graph) for graph in graphs}
    if len(sizes) != 1 or len(weights) != len(graphs):
        raise ValueError(
            f"{len(graphs)} graphs of {sorted(sizes)} samples with {len(weights)} weights, "
            "expected graphs of the same samples with a weight each"
        )
    if min(weights) < 0 or not np.isfinite(sum(weights)) or sum(weights) <= 0:
        raise ValueError(f"weights are {list(weights)}, expected none below 0 and a sum above 0")
    views = [(graph, w / sum(weights)) for graph, w in zip(graphs, weights, strict=True) if w > 0]
    shares = tuple(float(weight * own) for graph, weight in views for own in graph.weights)
    parts = [graph.affinities for graph, _ in views]
    columns = np.cumsum([0] + [graph.transposed.n_rows for graph, _ in views])
    rows = Rows(
        _joined_pointers(parts),
        np.concatenate(
            [part.indices + np.int32(before) for part, before in zip(parts, columns, strict=False)]
        ),
        np.concatenate([part.data for part in parts]),
    )
    return JaccardGraph(
        rows, transpose(rows, int(columns[-1])), graphs[0].links, shares, graphs[0].memory
    )


def _joined_pointers(parts: Sequence[Rows]) -> IntArray:
    counts = np.concatenate([np.diff(part.indptr) for part in parts])
    return np.concatenate(([0], np.cumsum(counts)))


def _links(indices: Indices, similarities: Values) -> scipy.sparse.csr_array:
    n, k = indices.shape
    return scipy.sparse.csr_array(
        (similarities.ravel(), indices.ravel(), np.arange(n + 1) * k), shape=(n, n)
    )


def _check_neighbours(nearest: Neighbours, n: int, needed: int) -> None:
    if len(nearest) != n or nearest.k < needed:
        raise ValueError(
            f"nearest holds {nearest.k} neighbours of {len(nearest)} samples, "
            f"expected at least {needed} of {n}"
        )
