"""What an evaluation hands back, and the one way to run a single query-gallery trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from resight.evaluation.needs import labels_of
from resight.evaluation.notes import ranked_notes
from resight.evaluation.options import Options
from resight.evaluation.ranking import Ranking, rank_blocks
from resight.evaluation.similarity import Scores
from resight.evaluation.truth import NO_ROW, Excluded, Truth
from resight.records import Crops, Features, IntArray

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trial:
    """Which crops are searched for, among which crops, and whether cameras matter.

    queries: (Q,) rows of the crops. gallery: (G,) rows of the crops, ascending.
    by_camera: crops of the query's identity in the query's camera are removed.
    excluded: further gallery crops that are removed for a query, whatever their identity.
    A query that is in the gallery itself is always removed from its own list.
    """

    queries: IntArray
    gallery: IntArray
    by_camera: bool
    excluded: tuple[Excluded, ...] = ()

    def truth(self, crops: Crops) -> Truth:
        """Right, wrong and removed answers of this trial."""
        identities = labels_of(crops)
        cameras = crops.cameras if self.by_camera else None
        return Truth(
            identities[self.queries],
            identities[self.gallery],
            None if cameras is None else cameras[self.queries],
            None if cameras is None else cameras[self.gallery],
            self._query_rows(),
            self.excluded,
        )

    def sides(self, features: Features) -> tuple[Features, Features]:
        """Features of the queries and of the gallery, without a copy where rows are contiguous."""
        return _take(features, self.queries), _take(features, self.gallery)

    def _query_rows(self) -> IntArray:
        if not len(self.gallery):
            return np.full(len(self.queries), NO_ROW)
        place = np.searchsorted(self.gallery, self.queries).clip(max=len(self.gallery) - 1)
        return np.where(self.gallery[place] == self.queries, place, NO_ROW)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The figures of one protocol, and what they rest on.

    protocol: its name. figures: mAP, mAP_market, mINP, rank1 … in percent; protocols without
        identities say their own units. notes: what was left out and why, with counts.
    ranking: how each query fared, for protocols that rank; `queries` are its rows of the crops, of
        several crops in one query the first. trial: who was searched for among whom, where queries
        and gallery are plain crops.
    galleries: (Q,) the camera whose crops alone each query was ranked among. matrices: per figure
        (C, C) percent, queries' camera × gallery's camera, NaN where no query has a match;
        `cameras` names the rows. Only of the protocol camera-pairs.
    curves: columns of one length, percent and thresholds. Only of the protocol open-set.
    """

    protocol: str
    figures: Mapping[str, float]
    notes: tuple[str, ...] = ()
    trial: Trial | None = None
    ranking: Ranking | None = None
    queries: IntArray | None = None
    galleries: IntArray | None = None
    matrices: Mapping[str, Matrix] = field(default_factory=dict)
    cameras: tuple[str, ...] = ()
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """Protocol, figures, notes, counts, matrices and curves, for JSON (NaN becomes None)."""
        ranking = self.ranking
        counted: dict[str, object] = {}
        if ranking is not None:
            counted = {
                "ap": ranking.rule,
                "queries": ranking.n_queries,
                "dropped": ranking.dropped,
            }
        matrices = {
            name: [[_or_none(value) for value in row] for row in matrix.tolist()]
            for name, matrix in self.matrices.items()
        }
        return {
            "protocol": self.protocol,
            "figures": {name: _or_none(value) for name, value in self.figures.items()},
            "notes": list(self.notes),
            **counted,
            **({"cameras": list(self.cameras), "matrices": matrices} if matrices else {}),
            **({"curves": {k: list(v) for k, v in self.curves.items()}} if self.curves else {}),
        }


class Procedure(Protocol):
    """A protocol: features and crops to figures. Each lives in a file of `protocols`."""

    def __call__(
        self, features: Features, crops: Crops, *, scores: Scores, options: Options
    ) -> Evaluation:
        """Evaluate; raises DataError where the crops cannot be evaluated this way."""
        ...


@dataclass(frozen=True)
class Listed:
    """A protocol among others: what runs it, one line about it, and the options it looks at.

    options: names of `Options`, besides `ap`. ranks: whether galleries are ranked at all; only then
    do `ap` and scores play a part.
    """

    procedure: Procedure
    line: str
    options: tuple[str, ...] = ()
    ranks: bool = True

    @property
    def used(self) -> tuple[str, ...]:
        """The names of all `Options` that play a part."""
        return ("ap", *self.options) if self.ranks else self.options


def run_trial(
    protocol: str,
    trial: Trial,
    features: Features,
    crops: Crops,
    *,
    scores: Scores,
    options: Options,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Rank one trial and note the queries and gallery crops that do not count.

    Raises DataError when no query has a match in the gallery.
    """
    truth = trial.truth(crops)
    blocks = scores(*trial.sides(features), truth.candidates)
    ranking = rank_blocks(blocks, truth, ap=options.ap)
    notes += ranked_notes(protocol, ranking, truth)
    return Evaluation(protocol, ranking.figures(), notes, trial, ranking, trial.queries)


def _take(features: Features, rows: IntArray) -> Features:
    if not len(rows) or not (np.diff(rows) == 1).all():
        return features.select(rows)
    span = slice(rows[0], rows[-1] + 1)
    crops = None if features.crops is None else features.crops.select(rows)
    return Features({name: view[span] for name, view in features.views.items()}, crops)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
