"""The cluster memory: one vector per cluster and view (Cluster Contrast, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from resight.memory.start import mean_of_members, random_member
from resight.memory.update import NEED_CAMERAS, Policy, move
from resight.records import Batch, Crops

_STARTS = {"mean": mean_of_members, "random": random_member}


@dataclass(frozen=True)
class ClusterMemory:
    """How cluster vectors start and are updated.

    init: "mean" of the members (released code) or a "random" member (Eq. 1). update: a policy of
    resight.memory.update, of which "tccl" and "chd" need cameras. momentum: weight of the old
    vector, 0 … 1.
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

    def start(
        self, features: Mapping[str, Tensor], labels: Tensor, *, generator: torch.Generator
    ) -> ClusterVectors:
        """The memory of one epoch from features {view: (N, D)} and pseudo-labels (N,)."""
        first = _STARTS[self.init]
        vectors = {
            view: first(rows, labels, generator=generator) for view, rows in features.items()
        }
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

    @torch.no_grad()
    def write(self, embeddings: Mapping[str, Tensor], batch: Batch) -> None:
        """Move the clusters of the batch towards its embeddings {view: (B, D)}."""
        for view, q in embeddings.items():
            move(
                self._spec.update,
                self._vectors[view],
                q,
                batch.labels,
                momentum=self._spec.momentum,
                cameras=batch.cameras,
                generator=self._generator,
            )
