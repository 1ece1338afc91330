"""Ranking a gallery for each query: CMC, mean average precision, mean inverse negative penalty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from resight.errors import ConfigError
from resight.evaluation import on_device
from resight.evaluation.counting import FIRST, MARKET, PENALTY, STEP, summarise_rows
from resight.evaluation.lookup import Lookup
from resight.evaluation.options import AP_RULES, APRule
from resight.evaluation.similarity import AnyFloat, ScoreBlock, check_finite, cosine_blocks
from resight.evaluation.truth import Truth
from resight.records import BoolArray, IntArray

RANKS = (1, 5, 10)


@dataclass(frozen=True, eq=False)
class Ranking:
    """How well each of Q queries found its matches; figures are fractions in [0, 1].

    ap_step, ap_market: (Q,) float64 average precision under both rules, NaN for queries that do not
        count: not searched for (identity -1 or 0), or without any match (dropped).
    inp: (Q,) float64 inverse negative penalty, NaN likewise.
    first: (Q,) int64 rank of the first match from 1, 0 for queries that do not count.
    searched: (Q,) bool, which queries show a labelled individual.
    rule: the rule that `ap` and `mAP` follow. ranks: the ranks that `cmc` reports.
    groups: (Q,) integers; figures are plain means over the groups' means, of queries where None.
    """

    ap_step: npt.NDArray[np.float64]
    ap_market: npt.NDArray[np.float64]
    inp: npt.NDArray[np.float64]
    first: IntArray
    searched: BoolArray
    rule: APRule = "step"
    ranks: tuple[int, ...] = RANKS
    groups: IntArray | None = None

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
        return self.cmc_at(self.ranks)

    def cmc_at(self, ranks: Iterable[int]) -> dict[int, float]:
        """`cmc` for other ranks."""
        return {rank: self._mean(self.first <= rank) for rank in ranks}

    def _mean(self, values: npt.NDArray[np.float64] | BoolArray) -> float:
        if not self.n_queries:
            return float("nan")
        if self.groups is None:
            return float(np.mean(values[self.counted]))
        groups = np.unique(self.groups[self.counted], return_inverse=True)[1]
        return float(np.mean(np.bincount(groups, values[self.counted]) / np.bincount(groups)))

    def select(self, rows: IntArray | BoolArray) -> Ranking:
        """The ranking of these queries alone: a mask (Q,) or indices (M,), repeats allowed."""
        names = ("ap_step", "ap_market", "inp", "first", "searched")
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, **{name: getattr(self, name)[rows] for name in names}, groups=groups)

    def figures(self) -> dict[str, float]:
        """mAP, mAP_market, mINP and rank1 … in percent, NaN without any query that counts."""
        means = {"mAP": self.mAP, "mAP_market": self.mAP_market, "mINP": self.minp}
        means |= {f"rank{rank}": share for rank, share in self.cmc.items()}
        return {name: 100 * mean for name, mean in means.items()}

    def as_dict(self) -> dict[str, float | int | str | None]:
        """The figures in percent and the counts of queries, for JSON (NaN becomes None)."""
        percent = {k: None if np.isnan(v) else v for k, v in self.figures().items()}
        return {**percent, "ap": self.rule, "queries": self.n_queries, "dropped": self.dropped}


def joined(rankings: Sequence[Ranking]) -> Ranking:
    """The queries of all these rankings, without groups, in their order; all have one rule."""
    return replace(
        rankings[0],
        ap_step=np.concatenate([one.ap_step for one in rankings]),
        ap_market=np.concatenate([one.ap_market for one in rankings]),
        inp=np.concatenate([one.inp for one in rankings]),
        first=np.concatenate([one.first for one in rankings]),
        searched=np.concatenate([one.searched for one in rankings]),
        groups=None,
    )


def rank(
    query: AnyFloat | torch.Tensor,
    gallery: AnyFloat | torch.Tensor,
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

    Features are arrays or tensors of any floating type; all is computed in float32, a tile at a
    time. Tensors on a device are ranked on that device. Identities and cameras are arrays of signed
    integers.

    Removed for a query: gallery crops of identity -1, crops of its own identity in its own camera
    (with cameras), and its own crop (with `query_rows`, (Q,) its row in the gallery or -1). Gallery
    crops of identity 0 stay and are wrong. Queries of identity -1 or 0 are not searched for;
    queries without any match are dropped and counted.

    A right answer's rank is the number of right answers up to it plus the number of wrong ones that
    score as high or higher: wrong answers win ties. CMC, mINP and the market rule use these ranks.
    In a gallery with fewer than k answers, CMC at k counts every query that has a match.
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
    truth = Truth(query_ids, gallery_ids, query_cameras, gallery_cameras, query_rows)
    _check_shapes(_shape("query", query), _shape("gallery", gallery), truth)
    _check_choices(ap, ranks)
    if isinstance(query, torch.Tensor) or isinstance(gallery, torch.Tensor):
        pair = torch.as_tensor(query).detach(), torch.as_tensor(gallery).detach()
        if {tensor.device.type for tensor in pair} != {"cpu"}:
            return _ranking(on_device.table(*pair, truth), truth, ap, ranks)
        query, gallery = (_as_array(tensor) for tensor in pair)
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
    _check_choices(ap, ranks)
    return _ranking(Lookup.of(truth).table(summarise_rows, blocks, 4), truth, ap, ranks)


def _ranking(
    table: npt.NDArray[np.float64], truth: Truth, ap: APRule, ranks: Sequence[int]
) -> Ranking:
    return Ranking(
        ap_step=table[:, STEP],
        ap_market=table[:, MARKET],
        inp=table[:, PENALTY],
        first=np.nan_to_num(table[:, FIRST]).astype(np.int64),
        searched=truth.searched,
        rule=ap,
        ranks=tuple(ranks),
    )


def _as_array(features: torch.Tensor) -> AnyFloat:
    """The same values, without a copy unless numpy lacks the type."""
    array: AnyFloat = (features.float() if features.dtype == torch.bfloat16 else features).numpy()
    return array


def _check_choices(ap: str, ranks: Sequence[int]) -> None:
    if ap not in AP_RULES:
        raise ConfigError(f"ap is {ap!r}; use one of {', '.join(AP_RULES)}")
    if not ranks or min(ranks) < 1:
        raise ValueError(f"ranks is {tuple(ranks)}, expected numbers from 1")


def _shape(name: str, features: object) -> tuple[int, ...]:
    if not isinstance(features, np.ndarray | torch.Tensor):
        kind = type(features).__name__
        raise ValueError(f"{name} is a {kind}, expected an array or a tensor of features")
    return tuple(features.shape)


def _check_shapes(query: tuple[int, ...], gallery: tuple[int, ...], truth: Truth) -> None:
    if len(query) != 2 or len(gallery) != 2 or query[1] != gallery[1]:
        raise ValueError(
            f"query has shape {query} and gallery {gallery}, expected (Q, D) and (G, D) with one D"
        )
    expected = (len(truth.query_ids), len(truth.gallery_ids))
    if (query[0], gallery[0]) != expected:
        raise ValueError(
            f"{query[0]} query and {gallery[0]} gallery features, but {expected[0]} query_ids and "
            f"{expected[1]} gallery_ids"
        )
