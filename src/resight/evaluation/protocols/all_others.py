"""Each crop against all others, without cameras."""

from __future__ import annotations

import numpy as np

from resight.evaluation.ranking import APRule
from resight.evaluation.record import Evaluation, Trial, labels_of, run_trial
from resight.evaluation.similarity import Scores
from resight.records import Crops, Features


def all_others(features: Features, crops: Crops, *, scores: Scores, ap: APRule) -> Evaluation:
    """Each labelled crop against all other crops; only the crop itself is removed.

    Splits and cameras are ignored, so that neighbouring frames of one camera count as matches: the
    figures are higher than under protocols that remove the query's camera.
    Raises DataError when no identity has two crops.
    """
    queries = np.flatnonzero(labels_of(crops) > 0)
    trial = Trial(queries, np.arange(len(crops)), by_camera=False)
    return run_trial("all", trial, features, crops, scores=scores, ap=ap)
