"""Protocols: which crops are searched for among which. One file each, listed here by name."""

from collections.abc import Mapping

from resight.evaluation.protocols.all_others import all_others
from resight.evaluation.protocols.camera_pairs import camera_pairs
from resight.evaluation.protocols.cross_camera import cross_camera
from resight.evaluation.protocols.label_free import label_free
from resight.evaluation.protocols.splits import splits
from resight.evaluation.record import Procedure

PROTOCOLS: Mapping[str, Procedure] = {
    "splits": splits,
    "cross-camera": cross_camera,
    "camera-pairs": camera_pairs,
    "all": all_others,
    "label-free": label_free,
}

__all__ = ["PROTOCOLS"]
