"""Ranked lists of single queries, for pictures of what works and what does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from resight.errors import DataError
from resight.evaluation.record import Evaluation, Trial
from resight.evaluation.similarity import Scores, cosine
from resight.records import BoolArray, Crops, Features, FloatArray, IntArray

Kind = Literal["best", "worst", "typical"]
DROPPED = 4


@dataclass(frozen=True)
class Hit:
    """One answer: its row and path in the crops, its similarity, and whether it is right.

    dropped: the query's individual, but removed by the protocol, as in the query's own camera.
    """

    row: int
    path: str
    similarity: float
    right: bool
    dropped: bool = False


@dataclass(frozen=True)
class RankedList:
    """The first answers to one query, most similar first.

    kind: why the query was picked. row, path: the query among the crops. ap: its average precision
    in [0, 1]. hits: as many answers that count as asked for, or all of them, and where they would
    stand among these the nearest few of the query's individual that were dropped.
    """

    kind: Kind
    row: int
    path: str
    ap: float
    hits: tuple[Hit, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "hits": [asdict(hit) for hit in self.hits]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RankedList:
        """The list that `to_dict` described; raises DataError for anything else."""
        try:
            hits = tuple(Hit(**hit) for hit in values["hits"])
            ranked = cls(**{**values, "hits": hits})
        except (KeyError, TypeError) as error:
            raise DataError(f"this is no ranked list: {error}; write it again") from error
        if ranked.kind not in get_args(Kind):
            raise DataError(f"a ranked list has kind {ranked.kind!r}, expected {get_args(Kind)}")
        return ranked


def ranked_lists(
    features: Features,
    crops: Crops,
    evaluation: Evaluation,
    *,
    best: int = 4,
    typical: int = 4,
    worst: int = 4,
    length: int = 10,
    scores: Scores = cosine,
) -> tuple[RankedList, ...]:
    """The first `length` answers to the best, typical and worst queries of an evaluation.

    Best and worst have the highest and lowest average precision, typical ones are nearest to the
    median. Within a kind, one query per identity comes first, then ties go to the lower row; no
    query appears twice. In a list, wrong answers win ties, as in `rank`, then the lower row.
    Features, crops and scores must be those of the evaluation. Fewer lists come back when there are
    fewer queries. Raises DataError for an evaluation without a single ranking (camera-pairs,
    label-free), ValueError for negative numbers.
    """
    if min(best, typical, worst, length) < 0:
        raise ValueError(f"best, typical, worst, length are {best, typical, worst, length}, min 0")
    if evaluation.trial is None or evaluation.ranking is None:
        raise DataError(
            f"protocol {evaluation.protocol!r} ranks no single gallery; evaluate with protocol "
            "'market1501', 'cross-camera' or 'all' for ranked lists"
        )
    identities = evaluation.trial.truth(crops).query_ids
    ap = evaluation.ranking.ap
    picked = _pick(ap, identities, best=best, worst=worst, typical=typical)
    queries = np.array(sorted(picked), dtype=np.int64)
    lists = {
        query: RankedList(picked[query], row, crops.paths[row], float(ap[query]), hits)
        for query, row, hits in _answers(
            features, crops, evaluation.trial, queries, length=length, scores=scores
        )
    }
    return tuple(lists[query] for query in picked)


def _pick(
    ap: npt.NDArray[np.float64], identities: IntArray, *, best: int, worst: int, typical: int
) -> dict[int, Kind]:
    """Queries (rows of the trial) to show and why, best first, then typical, then worst."""
    counted = np.flatnonzero(~np.isnan(ap))
    if not len(counted):
        return {}
    distance: dict[Kind, npt.NDArray[np.float64]] = {
        "best": -ap[counted],
        "worst": ap[counted],
        "typical": np.abs(ap[counted] - np.median(ap[counted])),
    }
    number: dict[Kind, int] = {"best": best, "worst": worst, "typical": typical}
    picked: dict[int, Kind] = {}
    for kind, values in distance.items():
        order = counted[np.argsort(values, kind="stable")]
        order = order[~np.isin(order, list(picked))]
        spread = _identities_first(order, identities)[: number[kind]]
        picked |= dict.fromkeys(map(int, spread), kind)
    shown = ("best", "typical", "worst")
    return {q: kind for name in shown for q, kind in picked.items() if kind == name}


def _identities_first(order: IntArray, identities: IntArray) -> IntArray:
    """The same queries in the same order, but each identity's first one before all others."""
    first = np.zeros(len(order), dtype=bool)
    first[np.unique(identities[order], return_index=True)[1]] = True
    return np.concatenate([order[first], order[~first]])


def _answers(
    features: Features,
    crops: Crops,
    trial: Trial,
    queries: IntArray,
    *,
    length: int,
    scores: Scores,
) -> Iterator[tuple[int, int, tuple[Hit, ...]]]:
    """Each query's row in the trial, its row in the crops, and its first answers."""
    truth = trial.truth(crops)
    query_features, gallery_features = trial.sides(features)
    for rows, block in scores(query_features, gallery_features, queries):
        for query, similarities in zip(rows.tolist(), block, strict=True):
            right = truth.right(query)
            removed = truth.removed(query)
            top = _with_dropped(similarities, right, removed, length, own=truth.own_row(query))
            shown = trial.gallery[top], similarities[top], right[top], removed[top]
            hits = tuple(
                Hit(int(row), crops.paths[row], float(value), bool(is_right and not out), bool(out))
                for row, value, is_right, out in zip(*shown, strict=True)
            )
            yield query, int(trial.queries[query]), hits


def first_wrong(
    features: Features, crops: Crops, evaluation: Evaluation, *, scores: Scores = cosine
) -> IntArray:
    """(Q,) the crop that each query found first, where it is a wrong one; -1 for all others.

    Q are the queries of the evaluation's trial; of equal answers the lower row. Raises ValueError
    for an evaluation without a trial.
    """
    trial, ranking = evaluation.trial, evaluation.ranking
    if trial is None or ranking is None:
        raise ValueError(f"protocol {evaluation.protocol!r} ranks no single gallery")
    truth, found = trial.truth(crops), np.full(len(trial.queries), -1)
    failed = np.flatnonzero(ranking.first > 1)
    for rows, block in scores(*trial.sides(features), failed):
        for query, similarities in zip(rows.tolist(), block, strict=True):
            takes_part = ~(truth.right(query) | truth.removed(query))
            found[query] = trial.gallery[np.where(takes_part, similarities, -np.inf).argmax()]
    return found


def _with_dropped(
    similarities: FloatArray, right: BoolArray, removed: BoolArray, length: int, *, own: int
) -> IntArray:
    """The first `length` answers that count, and up to DROPPED removed right ones before their end.

    own: the query's row in the gallery, -1 where it has none; it is never shown.
    """
    top = _top(similarities, right, removed, length)
    dropped = right & removed
    dropped[own] &= own < 0
    if len(top) == length:
        dropped &= similarities >= similarities[top].min(initial=np.inf)
    rows = np.flatnonzero(dropped)
    rows = rows[np.argsort(-similarities[rows], kind="stable")[:DROPPED]]
    both = np.concatenate([top, rows])
    return both[np.argsort(-similarities[both], kind="stable")]


def _top(similarities: FloatArray, right: BoolArray, removed: BoolArray, length: int) -> IntArray:
    """(length,) gallery rows, most similar first; wrong before right, then lower row in ties."""
    rows = np.flatnonzero(~removed)
    order = np.lexsort((rows, right[rows], -similarities[rows]))
    return rows[order[:length]]
