"""k-reciprocal re-ranking (Zhong et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from resight.evaluation.sides import junk_rows, own_rows, refuse_zeros, unit_rows
from resight.evaluation.similarity import ScoreBlock, cosine_blocks
from resight.evaluation.truth import NO_ROW
from resight.graph import JaccardGraph, jaccard_graph
from resight.records import Features, FloatArray, IntArray


@dataclass(frozen=True)
class Reranked:
    """`Scores` after k-reciprocal re-ranking, exact and without a dense table of pairs.

    The score is -((1 - weight) d_J + weight d) (Eq. 12). d = 2 - 2 cos is the squared Euclidean
    distance of the L2-normalised features, the paper's Mahalanobis distance with M = I; the
    authors' code divides it by its largest value among each query's distances, the paper does not.
    d_J is the Jaccard distance of the k-reciprocal sets among queries and gallery together (Eq. 10)
    as `jaccard_graph` has it: the k1 neighbours do not count the crop itself, the k2 ones do, and a
    set grows by those of which more than 2/3 lie in it (the authors' code; Eq. 5 has at least 2/3).

    k1, k2: neighbours of the sets and of the average, at least 1. weight: lambda, 0 … 1.
    top: how many of a query's answers are re-ranked, with ties of the last one; None for all. Junk
    and the query itself are none of them. The others are scored as if they shared no neighbour with
    the query (d_J = 1), which leaves them in their order behind the re-ranked; with weight 0 all
    answers of d_J = 1 tie.

    What the protocol removes: gallery crops of identity -1 are in nobody's neighbourhood. A query
    that is in the gallery itself is one crop there, not two. Crops of the query's camera stay in
    the graph, as in the paper, since without labels nobody could tell the removed ones from others;
    all queries are in the graph too, so that scores depend on which crops are searched for.

    Raises DataError for NaN or infinite features and for rows of zeros.
    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3
    top: int | None = None

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1:
            raise ValueError(f"k1={self.k1} and k2={self.k2} should be at least 1")
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight={self.weight} should be between 0 and 1")
        if self.top is not None and self.top < 1:
            raise ValueError(f"top={self.top} should be at least 1, or None for all answers")

    def __call__(self, query: Features, gallery: Features, rows: IntArray) -> Iterator[ScoreBlock]:
        """Blocks of scores, higher is better; blocks are as large as those of `cosine_blocks`."""
        if not len(rows) or not len(gallery):
            yield from cosine_blocks(query.vectors, gallery.vectors, rows)
            return
        nodes = _nodes(query, gallery)
        graph = jaccard_graph(nodes.vectors, k1=self.k1, k2=self.k2, self_counts=False)
        for chunk, scores in cosine_blocks(query.vectors, gallery.vectors, rows):
            self._rerank(scores, graph, nodes, chunk)
            yield chunk, scores

    def _rerank(
        self, scores: FloatArray, graph: JaccardGraph, nodes: _Nodes, chunk: IntArray
    ) -> None:
        """In place: cosines (B, G) of these queries become scores.

        All get the score of d_J = 1 first; those that share neighbours then gain what d_J is less.
        """
        found = graph.rows(nodes.of_queries[chunk])
        lines = np.repeat(np.arange(len(chunk)), np.diff(found.indptr))
        columns = nodes.gallery_rows[found.indices]
        kept = columns != NO_ROW
        if self.top is not None and self.top < scores.shape[1]:
            kept &= scores[lines, columns] >= _last(scores, self.top, nodes, chunk)[lines]
        gained = np.float32(1 - self.weight) * (1 - found.values[kept])
        scores *= np.float32(2 * self.weight)
        scores -= np.float32(1 + self.weight)
        scores[lines[kept], columns[kept]] += gained


class _Nodes(NamedTuple):
    """The crops of the graph: the gallery without junk, then the queries that are not in it.

    vectors: (M, D) of unit length. gallery_rows: (M,) their rows in the gallery, -1 for queries.
    of_queries: (Q,) the node of each query.
    """

    vectors: FloatArray
    gallery_rows: IntArray
    of_queries: IntArray


def _last(scores: FloatArray, top: int, nodes: _Nodes, chunk: IntArray) -> FloatArray:
    """(B,) the score of each query's answer number `top`; -inf where it has fewer."""
    among = np.full_like(scores, -np.inf)
    rows = nodes.gallery_rows[nodes.gallery_rows != NO_ROW]
    among[:, rows] = scores[:, rows]
    own = nodes.gallery_rows[nodes.of_queries[chunk]]
    inside = np.flatnonzero(own != NO_ROW)
    among[inside, own[inside]] = -np.inf
    last: FloatArray = np.partition(among, -top, axis=1)[:, -top]
    return last


def _nodes(query: Features, gallery: Features) -> _Nodes:
    kept = np.flatnonzero(~junk_rows(gallery))
    node_of_row = np.full(len(gallery) + 1, NO_ROW)  # the last one is for queries without a row
    node_of_row[kept] = np.arange(len(kept))
    of_queries = node_of_row[own_rows(query, gallery)]
    alone = np.flatnonzero(of_queries == NO_ROW)
    of_queries[alone] = len(kept) + np.arange(len(alone))
    vectors = np.concatenate([gallery.vectors[kept], query.vectors[alone]])
    refuse_zeros(vectors)
    gallery_rows = np.concatenate([kept, np.full(len(alone), NO_ROW)])
    return _Nodes(unit_rows(vectors), gallery_rows, of_queries)
