"""Losses: per sample, from what a training step offers; and what they aim at and weigh by."""

from resight.losses.camera_entropy import CameraEntropy, camera_entropy, camera_entropy_weights
from resight.losses.cluster_nce import ClusterNCE, cluster_nce
from resight.losses.cross_camera import camera_proxies, cross_camera
from resight.losses.distill import distillation
from resight.losses.guided import GuidedLabels, guided_labels
from resight.losses.hard_persons import HardPersonNCE, hard_persons
from resight.losses.instance import instance_distance, instance_kl
from resight.losses.targets import HardTargets
from resight.losses.weights import EqualWeights

__all__ = [
    "CameraEntropy",
    "ClusterNCE",
    "EqualWeights",
    "GuidedLabels",
    "HardPersonNCE",
    "HardTargets",
    "camera_entropy",
    "camera_entropy_weights",
    "camera_proxies",
    "cluster_nce",
    "cross_camera",
    "distillation",
    "guided_labels",
    "hard_persons",
    "instance_distance",
    "instance_kl",
]
