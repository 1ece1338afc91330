"""Losses: per sample, from what a training step offers."""

from resight.losses.cluster_nce import ClusterNCE, cluster_nce
from resight.losses.targets import HardTargets
from resight.losses.weights import EqualWeights

__all__ = ["ClusterNCE", "EqualWeights", "HardTargets", "cluster_nce"]
