"""The graph slot of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from resight.graph.cameras import centre_cameras
from resight.graph.jaccard import JaccardGraph, jaccard_graph
from resight.graph.knn import Neighbours, neighbours
from resight.records import Features, FloatArray, IntArray

LONGEST = 30


@dataclass(frozen=True)
class Jaccard:
    """The k-reciprocal Jaccard graph of the global view; see `jaccard_graph`.

    self_counts: whether the lists of k1 count the crop itself; 3C's do not, and hold k1 + 1.
    centre_cameras: remove each camera's mean from the features first, where cameras are known.
    balance_cameras: spread each crop's neighbours evenly over the cameras, where they are known.
    colour: weight (0 … 1) of colour histograms in the similarity of two crops. Clothes and paint
    tell individuals apart before an encoder has learned to, in small data sets above all.
    """

    k1: int = 30
    k2: int = 6
    self_counts: bool = True
    centre_cameras: bool = False
    balance_cameras: bool = False
    colour: float = 0.0

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1:
            raise ValueError(f"k1={self.k1} and k2={self.k2} should be at least 1")
        if not 0 <= self.colour <= 1:
            raise ValueError(f"colour={self.colour} should be between 0 and 1")

    def __call__(self, features: Features, *, memory: int | None = None) -> JaccardGraph:
        """Build the graph; memory: bytes that may be used besides the features."""
        vectors = self.vectors(features)
        longest = max(self._list_size(self.k1), self.k2)
        nearest = self._nearest(features, vectors, longest, memory)
        return self._graph(vectors, self.k1, self.k2, nearest, memory)

    def vectors(self, features: Features) -> FloatArray:
        """(N, D') float32, rows of length 1: what the graph compares.

        The inner product of two rows is the weighted mean of their similarities as features and
        as colour histograms.
        """
        cameras = _cameras(features) if self.centre_cameras else None
        learned = centre_cameras(features.vectors, cameras)
        if not self.colour:
            return learned
        if features.colour is None:
            raise ValueError("features carry no colour histograms")
        colour = centre_cameras(features.colour, cameras)
        share = np.float32(self.colour)
        return np.hstack((learned * np.sqrt(1 - share), colour * np.sqrt(share)))

    def variants(
        self, features: Features, vectors: FloatArray, *, memory: int | None = None
    ) -> Callable[[int, int], JaccardGraph]:
        """The graph as a function of (k1, k2); neighbours are found once.

        vectors: those of these features.
        """
        nearest = self._nearest(features, vectors, self._list_size(LONGEST), memory)
        return lambda k1, k2: self._graph(vectors, k1, k2, nearest, memory)

    def _list_size(self, k1: int) -> int:
        """How many neighbours, the crop itself among them, the lists of k1 hold."""
        return k1 if self.self_counts else k1 + 1

    def _graph(
        self, vectors: FloatArray, k1: int, k2: int, nearest: Neighbours, memory: int | None
    ) -> JaccardGraph:
        """The graph with these neighbours."""
        return jaccard_graph(
            vectors, k1=k1, k2=k2, self_counts=self.self_counts, nearest=nearest, memory=memory
        )

    def _nearest(
        self, features: Features, vectors: FloatArray, k: int, memory: int | None
    ) -> Neighbours:
        """The neighbours of `vectors`, those of these features."""
        cameras = _cameras(features) if self.balance_cameras else None
        return neighbours(vectors, k, cameras=cameras, memory=memory)


def _cameras(features: Features) -> IntArray | None:
    return None if features.crops is None else features.crops.cameras
