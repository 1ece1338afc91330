"""Losses: per sample, from what a training step offers; and what they aim at and weigh by."""

from resight.losses.camera_entropy import CameraEntropy, camera_entropy, camera_entropy_weights
from resight.losses.cluster_nce import ClusterNCE, cluster_nce
from resight.losses.cross_camera import CrossCamera, camera_proxies, cross_camera
from resight.losses.distill import Distillation, distillation
from resight.losses.guided import GuidedLabels, guided_labels
from resight.losses.hard_persons import HardPersonNCE, hard_persons
from resight.losses.hard_positives import hard_positives
from resight.losses.instance import InstanceLoss, instance_distance, instance_kl
from resight.losses.positives import mined_positives, positives_in_batch
from resight.losses.targets import HardTargets
from resight.losses.weights import EqualWeights

__all__ = [
    "CameraEntropy",
    "ClusterNCE",
    "CrossCamera",
    "Distillation",
    "EqualWeights",
    "GuidedLabels",
    "HardPersonNCE",
    "HardTargets",
    "InstanceLoss",
    "camera_entropy",
    "camera_entropy_weights",
    "camera_proxies",
    "cluster_nce",
    "cross_camera",
    "distillation",
    "guided_labels",
    "hard_persons",
    "hard_positives",
    "instance_distance",
    "instance_kl",
    "mined_positives",
    "positives_in_batch",
]
