"""Queries and gallery as the data names them: the benchmark protocol."""

from __future__ import annotations

import numpy as np

from resight.errors import DataError
from resight.evaluation.ranking import APRule
from resight.evaluation.record import Evaluation, Trial, counted_notes, run_trial
from resight.evaluation.similarity import Scores
from resight.records import Crops, Features


def splits(features: Features, crops: Crops, *, scores: Scores, ap: APRule) -> Evaluation:
    """Crops of split "query" against those of split "gallery"; other crops take no part.

    With cameras, same identity in the same camera is removed (Zheng et al., ICCV 2015).
    Raises DataError when a split is missing or no query has a match.
    """
    queries = np.flatnonzero(crops.splits == "query")
    gallery = np.flatnonzero(crops.splits == "gallery")
    if not (len(queries) and len(gallery)):
        raise DataError(
            f"protocol 'splits' found {len(queries)} query and {len(gallery)} gallery crops; "
            "both are needed (protocols 'cross-camera' and 'all' need no splits)"
        )
    trial = Trial(queries, gallery, by_camera=crops.cameras is not None)
    unused = len(crops) - len(queries) - len(gallery)
    notes = counted_notes((unused, "crops of split train not used"))
    return run_trial("splits", trial, features, crops, scores=scores, ap=ap, notes=notes)
