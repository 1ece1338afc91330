"""Which members make their cluster's vector (CGC: Miao et al., Section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from resight.clustering.silhouettes import cosine_silhouette, silhouette
from resight.records import OUTLIER, Features, FloatArray, Graph, IntArray
from resight.schedules import Linear, Schedule


@dataclass(frozen=True)
class AllAlike:
    """Every member makes its cluster's vector, as in Cluster Contrast and 3C."""

    def score(self, graph: Graph, features: Features, labels: IntArray) -> FloatArray:
        """(N,) float32: 1 for each of labels (N,), NaN for outliers."""
        del graph, features
        return np.where(labels >= 0, np.float32(1), np.float32(np.nan))

    def threshold(self, epoch: int, epochs: int) -> float | None:
        """None: no member is left out."""
        del epoch, epochs
        return None


@dataclass(frozen=True)
class Silhouette:
    """Members with a silhouette above a threshold make their cluster's vector (CGC, Eq. 4-7).

    distance: "jaccard" takes the graph's distances, "cosine" those of the global view.
    delta: the threshold of each epoch; CGC, Section 4.5, has the linear one for Market-1501 and
        Constant(0) for MSMT17, and compares them with Tanh().
    """

    distance: Literal["jaccard", "cosine"] = "jaccard"
    delta: Schedule = Linear(-0.1, 0.1)

    def __post_init__(self) -> None:
        if self.distance not in ("jaccard", "cosine"):
            raise ValueError(f"distance is {self.distance!r}, expected 'jaccard' or 'cosine'")

    def score(self, graph: Graph, features: Features, labels: IntArray) -> FloatArray:
        """(N,) float32 silhouettes of labels (N,) in [-1, 1]; 0 in a cluster of one.

        NaN for outliers, and for all when there are fewer than two clusters.
        """
        if self.distance == "cosine":
            return cosine_silhouette(features.vectors, labels)
        return silhouette(graph, labels)

    def threshold(self, epoch: int, epochs: int) -> float | None:
        """Delta at `epoch`, counted from 0, of `epochs`."""
        return self.delta(epoch, epochs)


def anchors(labels: IntArray, score: FloatArray, threshold: float | None) -> IntArray:
    """Labels of the members that their cluster's vector is made of, -1 for all others (CGC, Eq. 7).

    These are the members with score > threshold, and the whole cluster where there is none, which
    is also what becomes of a single cluster, whose silhouettes do not exist.

    labels: (N,) int64, -1 for outliers. score: (N,) float32; NaN is above nothing. threshold: None
    for all members. Returns (N,) int64; every cluster keeps at least one member.
    """
    if labels.shape != score.shape:
        raise ValueError(f"labels have shape {labels.shape}, score {score.shape}")
    if threshold is None:
        return labels.copy()
    member = labels >= 0
    above = member & (score > threshold)
    found = np.bincount(labels[above], minlength=int(labels.max(initial=OUTLIER)) + 1) > 0
    whole = np.append(~found, False)[labels]
    return np.where(above | whole, labels, OUTLIER)
