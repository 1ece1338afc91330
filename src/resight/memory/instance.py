"""The instance memory: one vector per crop, clusters are the means of their members.

The baseline that Cluster Contrast compares with (its Fig. 3b, as in SPCL), and the memory of ACFL:
the loss is at the level of clusters, the update at the level of instances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from resight.memory.queue import InstanceQueue
from resight.memory.sums import AnchorSums, count_clusters
from resight.records import Batch, Clustered, Instances


@dataclass(frozen=True)
class InstanceMemory:
    """How instance vectors are kept and updated.

    momentum: weight of the old vector, 0 (replacement, as in ACFL) … 1 (nothing ever changes).
    fraction: mu, 0 < mu <= 1, of a view's clustered crops that are remembered, one crop per
    cluster at least (ACFL, Table 10); below 1 the memory is an `InstanceQueue`. normalise: cluster
    vectors get length 1; the published ones stay means.
    """

    momentum: float = 0.2
    fraction: float = 1.0
    normalise: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum={self.momentum} should be between 0 and 1")
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction={self.fraction} should be above 0 and at most 1")

    def start(self, clustered: Clustered, *, generator: torch.Generator) -> InstanceVectors:
        """The memory of one epoch; `generator`, on the CPU, picks what a queue starts with.

        Raises ValueError when a cluster has no anchor.
        """
        kept: dict[str, AllInstances | InstanceQueue] = {}
        for view, features in clustered.features.items():
            labels, anchors = clustered.labels[view], clustered.anchors[view]
            n_clusters = count_clusters(clustered, view)
            if self.fraction == 1:
                kept[view] = AllInstances(features, labels, anchors, n_clusters=n_clusters)
            else:
                size = max(round(self.fraction * int((labels >= 0).sum())), n_clusters)
                kept[view] = InstanceQueue(
                    features, labels, anchors, size=size, n_clusters=n_clusters, generator=generator
                )
        return InstanceVectors(self, kept)


class InstanceVectors:
    """The memory's state during one epoch."""

    def __init__(
        self, spec: InstanceMemory, kept: Mapping[str, AllInstances | InstanceQueue]
    ) -> None:
        self._spec = spec
        self._kept = kept

    def read(self) -> Mapping[str, Tensor]:
        """{view: (C, D)} means of the anchors' vectors."""
        means = {view: kept.means() for view, kept in self._kept.items()}
        if self._spec.normalise:
            return {view: F.normalize(rows) for view, rows in means.items()}
        return means

    def instances(self) -> Instances:
        """What is remembered of each view, outliers with label -1; `write` moves it in place."""
        return Instances(
            {view: kept.vectors for view, kept in self._kept.items()},
            {view: kept.labels for view, kept in self._kept.items()},
        )

    @torch.no_grad()
    def write(self, embeddings: Mapping[str, Tensor], batch: Batch) -> None:
        """Move the batch's instances towards their embeddings {view: (B, D)}.

        When the batch repeats a crop, its last embedding counts. Entries that are outliers of a
        view are left out there.
        """
        if self._spec.momentum == 1:
            return
        last = _last_of_each(batch.indices)
        for view, q in embeddings.items():
            taken = last
            if view in batch.view_labels:
                taken = last[batch.view_labels[view][last] >= 0]
            self._kept[view].write(batch.indices[taken], q[taken], momentum=self._spec.momentum)


class AllInstances:
    """One view of a memory that remembers every crop."""

    def __init__(
        self, features: Tensor, labels: Tensor, anchors: Tensor, *, n_clusters: int
    ) -> None:
        """features: (N, D). labels, anchors: (N,) as in `Clustered`."""
        self.vectors = features.clone()
        self.labels = labels
        self._anchors = anchors
        self._sums = AnchorSums(n_clusters, features)
        self._sums.add(anchors, features)

    def means(self) -> Tensor:
        """(C, D) the clusters' vectors."""
        return self._sums.mean()

    def write(self, rows: Tensor, q: Tensor, *, momentum: float) -> None:
        """Crops (b,), each once, move towards q (b, D)."""
        old = self.vectors[rows]
        new = F.normalize(torch.lerp(q, old, momentum))
        self.vectors[rows] = new
        self._sums.move(self._anchors[rows], new - old)


def _last_of_each(indices: Tensor) -> Tensor:
    """(M,) positions of the last occurrence of each value, in ascending order."""
    order = torch.argsort(indices, stable=True)
    is_last = torch.ones_like(indices, dtype=torch.bool)
    is_last[:-1] = indices[order][1:] != indices[order][:-1]
    return order[is_last].sort().values
