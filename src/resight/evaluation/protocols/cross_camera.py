"""Every crop that another camera could confirm is a query."""

from __future__ import annotations

import numpy as np

from resight.evaluation.needs import cameras_of, crosses_cameras, labels_of
from resight.evaluation.notes import counted_notes
from resight.evaluation.options import Options
from resight.evaluation.record import Evaluation, Trial, run_trial
from resight.evaluation.similarity import Scores
from resight.records import Crops, Features


def cross_camera(
    features: Features, crops: Crops, *, scores: Scores, options: Options
) -> Evaluation:
    """Each crop of an identity that at least two cameras saw, against all other crops.

    The usual rule of Re-ID holds: the query's own identity in its own camera is removed, while
    other individuals in that camera stay, because telling them apart is part of the task
    (`camera_pairs` looks at strictly other cameras). Splits are ignored.
    Raises DataError without cameras, or when no identity was seen by two of them.
    """
    identities, cameras = labels_of(crops), cameras_of(crops)
    crossing = crosses_cameras(identities, cameras)
    trial = Trial(np.flatnonzero(crossing), np.arange(len(crops)), by_camera=True)
    lone = np.count_nonzero((identities > 0) & ~crossing)
    notes = counted_notes((lone, "crops of identities seen by one camera only are not queries"))
    return run_trial(
        "cross-camera", trial, features, crops, scores=scores, options=options, notes=notes
    )
