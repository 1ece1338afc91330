"""Sparse graphs over crops."""

from resight.graph.builder import Jaccard
from resight.graph.cameras import centre_cameras
from resight.graph.fused import Fused, view_weights
from resight.graph.jaccard import JaccardGraph, fuse, jaccard_graph
from resight.graph.knn import Neighbours, neighbours

__all__ = [
    "Fused",
    "Jaccard",
    "JaccardGraph",
    "Neighbours",
    "centre_cameras",
    "fuse",
    "jaccard_graph",
    "neighbours",
    "view_weights",
]
