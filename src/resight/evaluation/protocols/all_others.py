"""Each crop against all others, without cameras."""

from __future__ import annotations

import numpy as np

from resight.evaluation.needs import labels_of
from resight.evaluation.options import Options
from resight.evaluation.record import Evaluation, Trial, run_trial
from resight.evaluation.similarity import Scores
from resight.records import Crops, Features


def all_others(features: Features, crops: Crops, *, scores: Scores, options: Options) -> Evaluation:
    """Each labelled crop against all other crops; only the crop itself is removed.

    Splits and cameras are ignored, so that neighbouring frames of one camera count as matches: the
    figures are higher than under protocols that remove the query's camera.
    Raises DataError when no identity has two crops.
    """
    queries = np.flatnonzero(labels_of(crops) > 0)
    trial = Trial(queries, np.arange(len(crops)), by_camera=False)
    return run_trial("all", trial, features, crops, scores=scores, options=options)
