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
from resight.training.epoch import EpochResult, drawn
from resight.training.learner import Learner
from resight.training.pseudo_labels import Labelling

LARGE, MEDIUM = 100, 19


def epoch_record(
    learner: Learner, number: int, result: EpochResult, previous: IntArray | None
) -> dict[str, Any]:
    """The line of an epoch, about the crops that took part in it.

    previous: the labels (N,) of all training crops in the epoch before.
    """
    labelling, scores, taken = result.labelling, result.labelling.silhouettes, result.taken
    labels, crops = labelling.pseudo.labels, learner.crops.select(learner.rows[taken])
    known = scores[~np.isnan(scores)]
    record: dict[str, Any] = {
        "epoch": number + 1,
        "title": result.plan.title,
        "loss": result.loss,
        "lr": result.plan.lr,
        "seconds": result.seconds,
        "crops": len(taken),
        **label_free(labels, cameras=crops.cameras),
        "silhouette": float(known.mean()) if len(known) else float("nan"),
        "silhouettes": silhouette_histogram(scores),
    }
    if previous is not None:
        both = np.intersect1d(taken, drawn(learner, number - 1))
        record["agreement"] = label_free(result.labels[both], previous=previous[both])["agreement"]
    if labelling.settings is not None:
        record["proposed"] = labelling.settings
    if labelling.rescue is not None:
        record["rescue"] = labelling.rescue
    if labelling.feedback is not None:
        record["feedback"] = labelling.feedback
    if crops.identities is not None and np.any(crops.identities > 0):
        record["against_identities"] = {
            **against_identities(labels, crops.identities),
            **_consistency(labelling, crops.identities),
        }
        if crops.cameras is not None:
            record["identity_camera_entropy"] = identity_camera_entropy(
                crops.identities, crops.cameras
            )
    return record


def _consistency(labelling: Labelling, identities: IntArray) -> dict[str, float]:
    """Of the clusters of more than 100 crops, or where there are none, of 20 crops and more."""
    labels, scores = labelling.pseudo.labels, labelling.silhouettes
    larger = LARGE if (labelling.pseudo.sizes > LARGE).any() else MEDIUM
    found = {
        "identity_consistency": identity_consistency(labels, identities, scores, larger_than=larger)
    }
    if not np.array_equal(labelling.anchors, labels):
        found["identity_consistency_anchors"] = identity_consistency(
            labels, identities, scores, anchors=labelling.anchors, larger_than=larger
        )
    return found
