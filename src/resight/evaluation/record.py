"""What an evaluation hands back, and the one way to run a single query-gallery trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from resight.errors import DataError
from resight.evaluation.ranking import APRule, Ranking, rank_blocks
from resight.evaluation.similarity import Scores
from resight.evaluation.truth import NO_ROW, Truth
from resight.records import BoolArray, Crops, Features, IntArray

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trial:
    """Which crops are searched for, among which crops, and whether cameras matter.

    queries: (Q,) rows of the crops. gallery: (G,) rows of the crops, ascending.
    by_camera: crops of the query's identity in the query's camera are removed.
    A query that is in the gallery itself is always removed from its own list.
    """

    queries: IntArray
    gallery: IntArray
    by_camera: bool

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
    trial, ranking: the queries and their average precision, for protocols with a single trial.
    matrices: per figure (C, C) percent, queries' camera × gallery's camera, NaN where no query has
        a match; `cameras` names the rows. Only of the protocol camera-pairs.
    """

    protocol: str
    figures: Mapping[str, float]
    notes: tuple[str, ...] = ()
    trial: Trial | None = None
    ranking: Ranking | None = None
    matrices: Mapping[str, Matrix] = field(default_factory=dict)
    cameras: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Protocol, figures, notes, counts and matrices, for JSON (NaN becomes None)."""
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
        }


class Procedure(Protocol):
    """A protocol: features and crops to figures. Each lives in a file of `protocols`."""

    def __call__(
        self, features: Features, crops: Crops, *, scores: Scores, ap: APRule
    ) -> Evaluation:
        """Evaluate; raises DataError where the crops cannot be evaluated this way."""
        ...


def run_trial(
    protocol: str,
    trial: Trial,
    features: Features,
    crops: Crops,
    *,
    scores: Scores,
    ap: APRule,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Rank one trial and note the queries and gallery crops that do not count.

    Raises DataError when no query has a match in the gallery.
    """
    truth = trial.truth(crops)
    query, gallery = trial.sides(features)
    ranking = rank_blocks(scores(query, gallery, truth.candidates), truth, ap=ap)
    if not ranking.n_queries:
        raise DataError(_nothing_to_find(protocol, trial))
    notes += counted_notes(
        (ranking.dropped, "queries without a match in the gallery dropped"),
        (np.count_nonzero(~truth.searched), "queries without a labelled identity not searched for"),
        (np.count_nonzero(truth.gallery_ids < 0), "gallery crops with identity -1 (junk) removed"),
    )
    return Evaluation(protocol, ranking.figures(), notes, trial, ranking)


def counted_notes(*lines: tuple[int | np.intp, str]) -> tuple[str, ...]:
    """Those lines whose count is not zero, each with its count in front."""
    return tuple(f"{count} {text}" for count, text in lines if count)


def labels_of(crops: Crops) -> IntArray:
    """(N,) identities; raises DataError for crops without any."""
    if crops.identities is None:
        raise DataError(
            f"the {len(crops)} crops have no identities; use protocol 'label-free', "
            "or give identities with the data"
        )
    return crops.identities


def cameras_of(crops: Crops) -> IntArray:
    """(N,) cameras; raises DataError for crops without any."""
    if crops.cameras is None:
        raise DataError(
            f"the {len(crops)} crops have no cameras; use protocol 'all', "
            "or give cameras with the data"
        )
    return crops.cameras


def crosses_cameras(identities: IntArray, cameras: IntArray) -> BoolArray:
    """(N,) which crops show a labelled individual that at least two cameras have seen."""
    seen = np.unique(np.stack([identities, cameras]), axis=1)  # (2, pairs)
    ids, counts = np.unique(seen[0], return_counts=True)
    return (identities > 0) & np.isin(identities, ids[counts > 1])


def _nothing_to_find(protocol: str, trial: Trial) -> str:
    where = " from another camera" if trial.by_camera else ""
    advice = "; protocol 'all' ignores cameras and splits" if protocol != "all" else ""
    return (
        f"protocol {protocol!r}: none of {len(trial.queries)} queries has a match{where} among "
        f"{len(trial.gallery)} gallery crops, so there is nothing to measure{advice}"
    )


def _take(features: Features, rows: IntArray) -> Features:
    if not len(rows) or not (np.diff(rows) == 1).all():
        return features.select(rows)
    span = slice(rows[0], rows[-1] + 1)
    crops = None if features.crops is None else features.crops.select(rows)
    return Features({name: view[span] for name, view in features.views.items()}, crops)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
