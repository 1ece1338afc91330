"""Open-set search: some queries have no match, and the right answer is then "nobody"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from resight.errors import DataError
from resight.evaluation.counting import best_rows
from resight.evaluation.lookup import Lookup
from resight.evaluation.needs import labels_of
from resight.evaluation.notes import check_counted, removed_notes
from resight.evaluation.options import Options
from resight.evaluation.ranking import Ranking, rank_blocks
from resight.evaluation.record import Evaluation, Trial
from resight.evaluation.similarity import ScoreBlock, Scores
from resight.evaluation.truth import Truth
from resight.records import BoolArray, Crops, Features, IntArray

NAME = "open-set"
POINTS = 101
Values = npt.NDArray[np.float64]


def open_set(features: Features, crops: Crops, *, scores: Scores, options: Options) -> Evaluation:
    r"""How well known queries are found, and told from unknown ones by a threshold.

    Queries and gallery are the data's where it has both, otherwise each labelled crop against all
    others; with cameras, the query's own identity in its own camera is removed. Unknown are the
    queries without any match; where all have one, a random share `options.unknown` of the
    identities, drawn with `options.seed`, is taken out of the gallery.

    At a threshold t, in percent (Phillips et al., Handbook of Face Recognition, 2011):

    * FAR: share of unknown queries of which some answer scores above t.
    * DIR: share of known queries whose first answer is right and scores above t.
    * TPR: share of known queries of which some right answer scores above t, whatever its rank.

    ``DIR@0.01`` and ``TPR@0.01`` are taken at the lowest t whose FAR is at most 0.01. Curves hold
    FAR, DIR, TPR and t over the attainable FAR, 101 points at most. The figures of the ranking
    (mAP …) are those of the known queries. Wrong answers win ties.
    Raises DataError when no query has a match, or when fewer than two identities have one and
    none is unknown.
    """
    trial = _everyone(crops)
    truth = trial.truth(crops)
    natural = bool(_unknown(truth).any())
    if not natural:
        trial = _without(trial, truth, options)
        truth = trial.truth(crops)
    unknown = _unknown(truth)
    best, ranking = _both(trial, features, truth, scores, options)
    check_counted(NAME, ranking, truth)
    answers = Answers(best[ranking.counted], best[unknown, 1])
    notes = (
        *_about(answers, truth.query_ids[unknown], natural, options),
        *removed_notes(truth, ranking.counted),
    )
    figures = {**ranking.figures(), **answers.figures(options.far)}
    curves = answers.curves()
    return Evaluation(NAME, figures, notes, trial, ranking, trial.queries, curves=curves)


@dataclass(frozen=True, eq=False)
class Answers:
    """Best scores of K known queries (K, 2), right and wrong, and of U unknown ones (U,), wrong."""

    known: Values
    unknown: Values

    def threshold(self, allowed: int) -> float:
        """The lowest threshold that at most so many unknown queries score above."""
        if allowed >= len(self.unknown):
            return -np.inf
        return float(np.sort(self.unknown)[::-1][allowed])

    def rates(self, threshold: float) -> tuple[float, float, float]:
        """FAR, DIR and TPR in percent."""
        right, wrong = self.known.T
        accepted = right > threshold
        shares = (self.unknown > threshold, accepted & (right > wrong), accepted)
        far, dir_, tpr = (100 * float(share.mean()) for share in shares)
        return far, dir_, tpr

    def figures(self, far: Sequence[float]) -> dict[str, float]:
        """DIR and TPR at the lowest thresholds with these false alarm rates at most, in percent."""
        found: dict[str, float] = {}
        for rate in far:
            _, dir_, tpr = self.rates(self.threshold(allowed_of(rate, len(self.unknown))))
            found |= {f"DIR@{rate:g}": dir_, f"TPR@{rate:g}": tpr}
        return found

    def curves(self) -> dict[str, list[float]]:
        """FAR, DIR, TPR in percent and the thresholds, at evenly spread numbers of false alarms.

        The last point accepts everything; its threshold is the lowest score of a first answer.
        """
        n = len(self.unknown)
        allowed = np.unique(np.linspace(0, n, min(n + 1, POINTS)).astype(np.int64))
        thresholds = [self.threshold(int(k)) for k in allowed]
        far, dir_, tpr = zip(*(self.rates(t) for t in thresholds), strict=True)
        firsts = np.concatenate([self.unknown, self.known.max(axis=1)])
        lowest = float(firsts[np.isfinite(firsts)].min())
        shown = [t if np.isfinite(t) else lowest for t in thresholds]
        return {"FAR": [*far], "DIR": [*dir_], "TPR": [*tpr], "threshold": shown}


def allowed_of(rate: float, n: int) -> int:
    """How many of n unknown queries may raise an alarm at this rate."""
    return int(np.floor(rate * n + 1e-9))


def _everyone(crops: Crops) -> Trial:
    """All labelled queries against the gallery, or against all crops where there are no splits."""
    labelled = labels_of(crops) > 0
    by_camera = crops.cameras is not None
    queries, gallery = crops.splits == "query", crops.splits == "gallery"
    if queries.any() and gallery.any():
        return Trial(np.flatnonzero(queries), np.flatnonzero(gallery), by_camera)
    return Trial(np.flatnonzero(labelled), np.arange(len(crops)), by_camera)


def _unknown(truth: Truth) -> BoolArray:
    """(Q,) which labelled queries have no match in the gallery."""
    unknown: BoolArray = truth.searched & (truth.n_right() == 0)
    return unknown


def _without(trial: Trial, truth: Truth, options: Options) -> Trial:
    """The same queries, and a gallery that lacks a random share of their identities."""
    identities = np.unique(truth.query_ids[truth.searched])
    if len(identities) < 2:
        raise DataError(
            f"protocol {NAME!r}: the queries show {len(identities)} identities, too few to leave "
            "one out of the gallery; at least 2 are needed"
        )
    n = min(len(identities) - 1, max(1, round(options.unknown * len(identities))))
    gone = np.random.default_rng(options.seed).choice(identities, n, replace=False)
    return replace(trial, gallery=trial.gallery[~np.isin(truth.gallery_ids, gone)])


def _both(
    trial: Trial, features: Features, truth: Truth, scores: Scores, options: Options
) -> tuple[Values, Ranking]:
    """Best right and wrong scores of each query (Q, 2), and the ranking, in one pass."""
    lookup = Lookup.of(truth)
    best = np.full((len(truth.query_ids), 2), -np.inf)

    def noted(blocks: Iterator[ScoreBlock]) -> Iterator[ScoreBlock]:
        for rows, block in blocks:
            best[rows] = lookup.run(best_rows, rows, block)
            yield rows, block

    blocks = scores(*trial.sides(features), np.flatnonzero(truth.searched))
    return best, rank_blocks(noted(blocks), truth, ap=options.ap)


def _about(
    answers: Answers, unknown_ids: IntArray, natural: bool, options: Options
) -> tuple[str, ...]:
    """Who is unknown and why, and which false alarm rates are finer than their number allows."""
    n, identities = len(answers.unknown), len(np.unique(unknown_ids))
    why = (
        "unknown queries have no match in the gallery as the data stand"
        if natural
        else f"queries are unknown: {identities} random identities ({options.unknown:.0%}, seed "
        f"{options.seed}) are left out of the gallery"
    )
    fine = [f"{rate:g}" for rate in options.far if not allowed_of(rate, n)]
    coarse = (
        f"{n} unknown queries cannot tell FAR {', '.join(fine)} from 0: its threshold is their "
        "highest score",
    )
    known = f"{len(answers.known)} queries are known"
    return (known, f"{n} {why}", *(coarse if fine else ()))
