"""The graph slot of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from resight.graph.cameras import centre_cameras
from resight.graph.jaccard import JaccardGraph, jaccard_graph
from resight.records import Features


@dataclass(frozen=True)
class Jaccard:
    """The k-reciprocal Jaccard graph of the global view; see `jaccard_graph`.

    centre_cameras: remove each camera's mean from the features first, where cameras are known.
    """

    k1: int = 30
    k2: int = 6
    centre_cameras: bool = False

    def __call__(self, features: Features) -> JaccardGraph:
        """Build the graph."""
        vectors = features.vectors
        if self.centre_cameras and features.crops is not None:
            vectors = centre_cameras(vectors, features.crops.cameras)
        return jaccard_graph(vectors, k1=self.k1, k2=self.k2)
