"""The graph slot of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from resight.graph.cameras import centre_cameras
from resight.graph.jaccard import JaccardGraph, jaccard_graph
from resight.graph.knn import neighbours
from resight.records import Features, FloatArray

LONGEST = 30


@dataclass(frozen=True)
class Jaccard:
    """The k-reciprocal Jaccard graph of the global view; see `jaccard_graph`.

    centre_cameras: remove each camera's mean from the features first, where cameras are known.
    colour: weight (0 … 1) of colour histograms in the similarity of two crops. Clothes and paint
    tell individuals apart before an encoder has learned to, in small data sets above all.
    """

    k1: int = 30
    k2: int = 6
    centre_cameras: bool = False
    colour: float = 0.0

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1:
            raise ValueError(f"k1={self.k1} and k2={self.k2} should be at least 1")
        if not 0 <= self.colour <= 1:
            raise ValueError(f"colour={self.colour} should be between 0 and 1")

    def __call__(self, features: Features) -> JaccardGraph:
        """Build the graph."""
        return jaccard_graph(self.vectors(features), k1=self.k1, k2=self.k2)

    def vectors(self, features: Features) -> FloatArray:
        """(N, D') float32, rows of length 1: what the graph compares.

        The inner product of two rows is the weighted mean of their similarities as features and
        as colour histograms.
        """
        cameras = None
        if self.centre_cameras and features.crops is not None:
            cameras = features.crops.cameras
        learned = centre_cameras(features.vectors, cameras)
        if not self.colour:
            return learned
        if features.colour is None:
            raise ValueError("features carry no colour histograms")
        colour = centre_cameras(features.colour, cameras)
        share = np.float32(self.colour)
        return np.hstack((learned * np.sqrt(1 - share), colour * np.sqrt(share)))

    def variants(self, vectors: FloatArray) -> Callable[[int, int], JaccardGraph]:
        """The graph of `vectors` as a function of (k1, k2); neighbours are found once."""
        nearest = neighbours(vectors, min(LONGEST, len(vectors)))
        return lambda k1, k2: jaccard_graph(vectors, k1=k1, k2=k2, nearest=nearest)
