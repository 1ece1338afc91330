"""What the log keeps of an epoch; figures that need identities only report."""

from __future__ import annotations

from typing import Any

import numpy as np

from resight.clustering.quality import (
    against_identities,
    identity_camera_entropy,
    identity_consistency,
    label_free,
    silhouette_histogram,
)
from resight.records import IntArray
from resight.training.epoch import EpochResult
from resight.training.learner import Learner

LARGE, MEDIUM = 100, 19


def epoch_record(
    learner: Learner, number: int, result: EpochResult, previous: IntArray | None
) -> dict[str, Any]:
    """The line of an epoch; previous: the labels (N,) of the epoch before."""
    crops = learner.crops.select(learner.rows)
    labelling, scores = result.labelling, result.silhouettes
    known = scores[~np.isnan(scores)]
    record: dict[str, Any] = {
        "epoch": number + 1,
        "title": result.plan.title,
        "loss": result.loss,
        "lr": result.plan.lr,
        "seconds": result.seconds,
        **label_free(result.labels, cameras=crops.cameras, previous=previous),
        "silhouette": float(known.mean()) if len(known) else float("nan"),
        "silhouettes": silhouette_histogram(scores),
    }
    if labelling.settings is not None:
        record["proposed"] = labelling.settings
    if labelling.rescue is not None:
        record["rescue"] = labelling.rescue
    if crops.identities is not None and np.any(crops.identities > 0):
        record["against_identities"] = {
            **against_identities(result.labels, crops.identities),
            **_consistency(result, crops.identities),
        }
        if crops.cameras is not None:
            record["identity_camera_entropy"] = identity_camera_entropy(
                crops.identities, crops.cameras
            )
    return record


def _consistency(result: EpochResult, identities: IntArray) -> dict[str, float]:
    """Of the clusters of more than 100 crops, or where there are none, of 20 crops and more."""
    labels, scores = result.labels, result.silhouettes
    larger = LARGE if (result.labelling.pseudo.sizes > LARGE).any() else MEDIUM
    found = {
        "identity_consistency": identity_consistency(labels, identities, scores, larger_than=larger)
    }
    if not np.array_equal(result.anchors, labels):
        found["identity_consistency_anchors"] = identity_consistency(
            labels, identities, scores, anchors=result.anchors, larger_than=larger
        )
    return found
