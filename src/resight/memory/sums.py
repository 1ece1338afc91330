"""The sums of the instances that cluster vectors are made of, kept in step with them."""

from __future__ import annotations

import torch
from torch import Tensor

from resight.records import Clustered


class AnchorSums:
    """Per cluster, how many anchors it has and the sum of their vectors.

    Wherever anchors (M,) int64 are asked for, they are the clusters that the instances count in,
    -1 for those that count in none. Nothing here waits for the device.
    """

    def __init__(self, n_clusters: int, like: Tensor) -> None:
        """Without any instance yet; vectors are to be of the size, type and device of `like`."""
        self._sums = like.new_zeros(n_clusters, like.shape[1])
        self._counts = like.new_zeros(n_clusters, 1)

    def mean(self) -> Tensor:
        """(C, D) the mean of each cluster's anchors."""
        return self._sums / self._counts

    def move(self, anchors: Tensor, change: Tensor) -> None:
        """Instances change by (M, D)."""
        counted, clusters = _split(anchors, change.dtype)
        self._sums.index_add_(0, clusters, change * counted)

    def add(self, anchors: Tensor, vectors: Tensor) -> None:
        """Instances (M, D) come in."""
        counted, clusters = _split(anchors, vectors.dtype)
        self._sums.index_add_(0, clusters, vectors * counted)
        self._counts.index_add_(0, clusters, counted)

    def remove(self, anchors: Tensor, vectors: Tensor) -> None:
        """Instances (M, D) go."""
        counted, clusters = _split(anchors, vectors.dtype)
        self._sums.index_add_(0, clusters, vectors * counted, alpha=-1)
        self._counts.index_add_(0, clusters, counted, alpha=-1)


def _split(anchors: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(M, 1) one for an anchor and zero for others, and (M,) the clusters, any one for others."""
    return (anchors >= 0).to(dtype)[:, None], anchors.clamp_min(0)


def count_clusters(clustered: Clustered, view: str) -> int:
    """C of a view; raises ValueError unless all its clusters have an anchor."""
    labels, anchors = clustered.labels[view], clustered.anchors[view]
    n_clusters = int(labels.max()) + 1 if len(labels) else 0
    found = int(torch.unique(anchors[anchors >= 0]).numel())
    if found != n_clusters:
        raise ValueError(
            f"{n_clusters - found} of the {n_clusters} clusters of view {view!r} have no anchors"
        )
    return n_clusters
