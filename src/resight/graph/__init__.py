"""Sparse graphs over crops."""

from resight.graph.builder import Jaccard
from resight.graph.cameras import centre_cameras
from resight.graph.jaccard import JaccardGraph, jaccard_graph
from resight.graph.knn import Neighbours, neighbours

__all__ = [
    "Jaccard",
    "JaccardGraph",
    "Neighbours",
    "centre_cameras",
    "jaccard_graph",
    "neighbours",
]
