"""The cluster memory: one vector per cluster and view (Cluster Contrast, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from resight.memory.start import mean_of_members, random_member
from resight.memory.sums import count_clusters
from resight.memory.update import NEED_CAMERAS, Policy, move
from resight.records import Batch, Clustered, Crops

_STARTS = {"mean": mean_of_members, "random": random_member}


@dataclass(frozen=True)
class ClusterMemory:
    """How cluster vectors start and are updated.

    init: "mean" of the anchors (released code) or a "random" one of them (Eq. 1); anchors are all
    members, unless confidence chooses among them. update: a policy of resight.memory.update, of
    which "tccl" and "chd" need cameras. momentum: weight of the old vector, 0 … 1 (nothing ever
    changes).
    """

    init: Literal["mean", "random"] = "mean"
    update: Policy = "vanilla"
    momentum: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum={self.momentum} should be between 0 and 1")

    def unmet(self, crops: Crops) -> list[str]:
        """What the crops lack."""
        if self.update in NEED_CAMERAS and crops.cameras is None:
            return [f"ClusterMemory with update={self.update} needs crops with cameras"]
        return []

    def start(self, clustered: Clustered, *, generator: torch.Generator) -> ClusterVectors:
        """The memory of one epoch; `generator`, on the CPU, is for random choices.

        Raises ValueError when a cluster has no anchor.
        """
        vectors = {}
        for view, features in clustered.features.items():
            count_clusters(clustered, view)
            anchors = clustered.anchors[view]
            vectors[view] = _STARTS[self.init](features, anchors, generator=generator)
        return ClusterVectors(self, vectors, generator)


class ClusterVectors:
    """The memory's state during one epoch."""

    def __init__(
        self, spec: ClusterMemory, vectors: dict[str, Tensor], generator: torch.Generator
    ) -> None:
        self._spec = spec
        self._vectors = vectors
        self._generator = generator

    def read(self) -> Mapping[str, Tensor]:
        """{view: (C, D)} the vectors that the losses compare with; `write` moves them in place."""
        return self._vectors

    def instances(self) -> None:
        """None: single crops are not remembered."""

    @torch.no_grad()
    def write(self, embeddings: Mapping[str, Tensor], batch: Batch) -> None:
        """Move the clusters of the batch towards its embeddings {view: (B, D)}.

        Entries that are outliers of a view are left out there.
        """
        if self._spec.momentum == 1:
            return
        for view, q in embeddings.items():
            labels, cameras = batch.labels_of(view), batch.cameras
            if view in batch.view_labels:
                inside = labels >= 0
                q, labels = q[inside], labels[inside]
                cameras = None if cameras is None else cameras[inside]
            move(
                self._spec.update,
                self._vectors[view],
                q,
                labels,
                momentum=self._spec.momentum,
                cameras=cameras,
                generator=self._generator,
            )
