"""Query expansion: average (Chum et al., ICCV 2007) and alpha-weighted (Radenović et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from resight.evaluation.sides import junk_rows, origins, own_rows, unit_rows
from resight.evaluation.similarity import ScoreBlock, cosine_blocks
from resight.evaluation.truth import NO_ROW
from resight.records import Features, FloatArray, IntArray


@dataclass(frozen=True)
class Expanded:
    """`Scores` after query expansion: cosines of q' = q + sum_i max(0, cos(q, g_i))^alpha g_i.

    g_i are the n gallery crops most similar to the query q, the lower row first among equals; fewer
    where the gallery has fewer. alpha 0 gives the plain mean of the query and its answers, alpha 3
    is the published choice.

    What the protocol removes takes no part: gallery crops of identity -1, the query's own crop
    (known by its file), and, where cameras and tracks are known, all crops of the query's camera
    and of its track. No identity of a query is looked at, so that other individuals of its camera
    take no part either; moments that a protocol removes are known only as far as cameras are.

    Features without crops tell none of this, and every gallery crop takes part.
    """

    n: int = 5
    alpha: float = 3.0

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n={self.n} should be at least 1")
        if not 0 <= self.alpha < np.inf:
            raise ValueError(f"alpha={self.alpha} should be a number from 0")

    def __call__(self, query: Features, gallery: Features, rows: IntArray) -> Iterator[ScoreBlock]:
        """Blocks of scores, higher is better, as those of `cosine_blocks`."""
        expanded = self._expand(query, gallery, rows)  # (R, D)
        for places, scores in cosine_blocks(expanded, gallery.vectors, np.arange(len(rows))):
            yield rows[places], scores

    def _expand(self, query: Features, gallery: Features, rows: IntArray) -> FloatArray:
        """(R, D) the expanded queries of these rows, of unit length."""
        expanded = unit_rows(query.vectors[rows])
        answers = unit_rows(gallery.vectors)
        own, junk = own_rows(query, gallery), np.flatnonzero(junk_rows(gallery))
        places = origins(query, gallery)
        start = 0
        for chunk, scores in cosine_blocks(query.vectors, gallery.vectors, rows):
            scores[:, junk] = -np.inf
            there = np.flatnonzero(own[chunk] != NO_ROW)
            scores[there, own[chunk[there]]] = -np.inf
            for mine, theirs in places:
                scores[mine[chunk, None] == theirs] = -np.inf
            self._add_best(expanded[start : start + len(chunk)], answers, scores)
            start += len(chunk)
        return unit_rows(expanded)

    def _add_best(self, expanded: FloatArray, answers: FloatArray, scores: FloatArray) -> None:
        """In place: add the n best answers, and take them out of the scores (B, G)."""
        lines = np.arange(len(scores))
        for _ in range(min(self.n, scores.shape[1])):
            best = scores.argmax(axis=1)  # (B,)
            found = scores[lines, best]
            weights = np.where(np.isfinite(found), np.maximum(found, 0) ** self.alpha, 0)
            expanded += weights[:, None].astype(np.float32) * answers[best]
            scores[lines, best] = -np.inf
