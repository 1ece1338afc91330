"""Ranking a gallery for each query: CMC, mean average precision, mean inverse negative penalty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from resight.errors import ConfigError
from resight.evaluation.counting import FIRST, MARKET, PENALTY, STEP, summarise_rows
from resight.evaluation.similarity import ScoreBlock, check_finite, cosine_blocks
from resight.evaluation.truth import NO_ROW, Truth
from resight.graph.rows import over_rows
from resight.records import JUNK, BoolArray, FloatArray, IntArray

APRule = Literal["step", "market"]
AP_RULES: tuple[APRule, ...] = ("step", "market")
RANKS = (1, 5, 10)
TOGETHER = 8


@dataclass(frozen=True, eq=False)
class Ranking:
    """How well each of Q queries found its matches; figures are fractions in [0, 1].

    ap_step, ap_market: (Q,) float64 average precision under both rules, NaN for queries that do not
        count: not searched for (identity -1 or 0), or without any match (dropped).
    inp: (Q,) float64 inverse negative penalty, NaN likewise.
    first: (Q,) int64 rank of the first match from 1, 0 for queries that do not count.
    searched: (Q,) bool, which queries show a labelled individual.
    rule: the rule that `ap` and `mAP` follow. ranks: the ranks that `cmc` reports.
    """

    ap_step: npt.NDArray[np.float64]
    ap_market: npt.NDArray[np.float64]
    inp: npt.NDArray[np.float64]
    first: IntArray
    searched: BoolArray
    rule: APRule = "step"
    ranks: tuple[int, ...] = RANKS

    @property
    def ap(self) -> npt.NDArray[np.float64]:
        """(Q,) average precision under the chosen rule, NaN for queries that do not count."""
        return self.ap_step if self.rule == "step" else self.ap_market

    @property
    def counted(self) -> BoolArray:
        """(Q,) which queries the figures are means over."""
        return self.first > 0

    @property
    def n_queries(self) -> int:
        """How many queries the figures are means over."""
        return int(np.count_nonzero(self.counted))

    @property
    def dropped(self) -> int:
        """How many labelled queries have no match in the gallery and therefore do not count."""
        return int(np.count_nonzero(self.searched & ~self.counted))

    @property
    def mAP(self) -> float:
        """Mean average precision under the chosen rule; NaN without any query that counts."""
        return self._mean(self.ap)

    @property
    def mAP_market(self) -> float:
        """Mean average precision under the trapezoid rule of the Market-1501 code."""
        return self._mean(self.ap_market)

    @property
    def minp(self) -> float:
        """Mean inverse negative penalty."""
        return self._mean(self.inp)

    @property
    def cmc(self) -> dict[int, float]:
        """Share of queries whose first match is at this rank or better, for each of `ranks`."""
        return {rank: self._mean(self.first <= rank) for rank in self.ranks}

    def _mean(self, values: npt.NDArray[np.float64] | BoolArray) -> float:
        return float(np.mean(values[self.counted])) if self.n_queries else float("nan")

    def select(self, rows: IntArray | BoolArray) -> Ranking:
        """The ranking of these queries alone: a mask (Q,) or indices (M,), repeats allowed."""
        names = ("ap_step", "ap_market", "inp", "first", "searched")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def figures(self) -> dict[str, float]:
        """mAP, mAP_market, mINP and rank1 … in percent, NaN without any query that counts."""
        means = {"mAP": self.mAP, "mAP_market": self.mAP_market, "mINP": self.minp}
        means |= {f"rank{rank}": share for rank, share in self.cmc.items()}
        return {name: 100 * mean for name, mean in means.items()}

    def as_dict(self) -> dict[str, float | int | str | None]:
        """The figures in percent and the counts of queries, for JSON (NaN becomes None)."""
        percent = {k: None if np.isnan(v) else v for k, v in self.figures().items()}
        return {**percent, "ap": self.rule, "queries": self.n_queries, "dropped": self.dropped}


def rank(
    query: FloatArray,
    gallery: FloatArray,
    query_ids: IntArray,
    gallery_ids: IntArray,
    query_cameras: IntArray | None = None,
    gallery_cameras: IntArray | None = None,
    *,
    query_rows: IntArray | None = None,
    ap: APRule = "step",
    ranks: Sequence[int] = RANKS,
) -> Ranking:
    r"""Rank `gallery` (G, D) for each row of `query` (Q, D) by float32 cosine similarity, exactly.

    Removed for a query: gallery crops of identity -1, crops of its own identity in its own camera
    (with cameras), and its own crop (with `query_rows`, (Q,) its row in the gallery or -1). Gallery
    crops of identity 0 stay and are wrong. Queries of identity -1 or 0 are not searched for;
    queries without any match are dropped and counted.

    A right answer's rank is the number of right answers up to it plus the number of wrong ones that
    score as high or higher: wrong answers win ties. CMC, mINP and the market rule use these ranks.
    With P right answers at ranks r_1 < … < r_P:

    * ``ap="step"``: 1/P sum_i (right answers scoring >= s_i) / (all answers scoring >= s_i), which
      is sum_n (R_n - R_{n-1}) P_n over distinct scores (scikit-learn's average_precision_score).
    * ``ap="market"``: 1/P sum_i ((i-1)/(r_i-1) + i/r_i) / 2, with (i-1)/(r_i-1) = 1 at r_i = 1
      (the trapezoid rule of the Market-1501 code; Zheng et al., ICCV 2015).
    * mINP: mean of P / r_P (Ye et al., TPAMI 2021). CMC at k: share of queries with r_1 <= k.

    Memory besides the features stays near 0.3 GB: rows are scored in blocks and their right
    answers' ranks are counted, not sorted.
    Raises DataError for NaN or infinite features, ConfigError for an unknown rule, ValueError for
    arrays that do not fit together.
    """
    query, gallery = _matrices(query, gallery)
    truth = Truth(query_ids, gallery_ids, query_cameras, gallery_cameras, query_rows)
    _check_lengths(len(query), len(gallery), truth)
    check_finite(query, "query")
    check_finite(gallery, "gallery")
    blocks = cosine_blocks(query, gallery, truth.candidates)
    return rank_blocks(blocks, truth, ap=ap, ranks=ranks)


def rank_blocks(
    blocks: Iterable[ScoreBlock],
    truth: Truth,
    *,
    ap: APRule = "step",
    ranks: Sequence[int] = RANKS,
) -> Ranking:
    """Rank by any scores: blocks of (query rows (B,), scores (B, G) float32), higher is better.

    Rules and errors as in `rank`. Queries that no block covers count as dropped.
    """
    if ap not in AP_RULES:
        raise ConfigError(f"ap is {ap!r}; use one of {', '.join(AP_RULES)}")
    if not ranks or min(ranks) < 1:
        raise ValueError(f"ranks is {tuple(ranks)}, expected numbers from 1")
    table = _count(blocks, truth)
    return Ranking(
        ap_step=table[:, STEP],
        ap_market=table[:, MARKET],
        inp=table[:, PENALTY],
        first=np.nan_to_num(table[:, FIRST]).astype(np.int64),
        searched=truth.searched,
        rule=ap,
        ranks=tuple(ranks),
    )


def _count(blocks: Iterable[ScoreBlock], truth: Truth) -> npt.NDArray[np.float64]:
    """(Q, 4) what `summarise_rows` says of every query, NaN for those that no block covers."""
    order = np.argsort(truth.gallery_ids, kind="stable")
    by_identity = truth.gallery_ids[order]
    starts = np.searchsorted(by_identity, truth.query_ids, side="left")
    stops = np.searchsorted(by_identity, truth.query_ids, side="right")
    junk = np.flatnonzero(truth.gallery_ids == JUNK)
    query_cameras, gallery_cameras = _comparable_cameras(truth)
    own = truth.query_rows
    own = np.full(len(truth.query_ids), NO_ROW) if own is None else own.astype(np.int64)
    table = np.full((len(truth.query_ids), 4), np.nan)
    of_query = np.stack([starts, stops, query_cameras, own])
    for rows, scores in blocks:
        table[rows] = _summaries(scores, of_query[:, rows], order, gallery_cameras, junk)
    return table


def _summaries(
    scores: FloatArray,
    of_query: IntArray,
    order: IntArray,
    gallery_cameras: IntArray,
    junk: IntArray,
) -> npt.NDArray[np.float64]:
    """`summarise_rows` on all cores; of_query: (4, B) starts, stops, cameras and own rows."""

    def summarise(first: int, last: int) -> npt.NDArray[np.float64]:
        starts, stops, cameras, own = of_query[:, first:last]
        table: npt.NDArray[np.float64] = summarise_rows(
            scores[first:last], order, starts, stops, cameras, gallery_cameras, own, junk
        )
        return table

    return np.concatenate(over_rows(len(scores), summarise, least=TOGETHER))


def _comparable_cameras(truth: Truth) -> tuple[IntArray, IntArray]:
    """Cameras of both sides; without cameras, numbers that never agree."""
    if truth.query_cameras is None or truth.gallery_cameras is None:
        n, m = len(truth.query_ids), len(truth.gallery_ids)
        return np.ones(n, dtype=np.int64), np.zeros(m, dtype=np.int64)
    return truth.query_cameras.astype(np.int64), truth.gallery_cameras.astype(np.int64)


def _matrices(query: FloatArray, gallery: FloatArray) -> tuple[FloatArray, FloatArray]:
    query = np.asarray(query, dtype=np.float32)
    gallery = np.asarray(gallery, dtype=np.float32)
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"query has shape {query.shape} and gallery {gallery.shape}, "
            "expected (Q, D) and (G, D) with one D"
        )
    return query, gallery


def _check_lengths(n_query: int, n_gallery: int, truth: Truth) -> None:
    expected = (len(truth.query_ids), len(truth.gallery_ids))
    if (n_query, n_gallery) != expected:
        raise ValueError(
            f"{n_query} query and {n_gallery} gallery features, but {expected[0]} query_ids and "
            f"{expected[1]} gallery_ids"
        )
