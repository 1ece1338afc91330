"""The instance memory: one vector per crop, clusters are the means of their members.

The baseline that Cluster Contrast compares with (its Fig. 3b, as in SPCL): the loss is at the
level of clusters, the update at the level of instances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from resight.records import Batch


@dataclass(frozen=True)
class InstanceMemory:
    """How instance vectors are updated; momentum (0 … 1) is the weight of the old vector."""

    momentum: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum={self.momentum} should be between 0 and 1")

    def start(
        self, features: Mapping[str, Tensor], labels: Tensor, *, generator: torch.Generator
    ) -> InstanceVectors:
        """The memory of one epoch from features {view: (N, D)} and pseudo-labels (N,)."""
        del generator
        return InstanceVectors(self, {v: rows.clone() for v, rows in features.items()}, labels)


class InstanceVectors:
    """The memory's state during one epoch: instances, and their clusters' sums kept in step."""

    def __init__(self, spec: InstanceMemory, vectors: dict[str, Tensor], labels: Tensor) -> None:
        self._momentum = spec.momentum
        self._vectors = vectors
        inside = labels >= 0
        self._counts = torch.bincount(labels[inside])[:, None]
        self._sums = {
            view: rows.new_zeros(len(self._counts), rows.shape[1]).index_add_(
                0, labels[inside], rows[inside]
            )
            for view, rows in vectors.items()
        }

    def read(self) -> Mapping[str, Tensor]:
        """{view: (C, D)} means of the members' vectors, not re-normalised."""
        return {view: sums / self._counts for view, sums in self._sums.items()}

    @torch.no_grad()
    def write(self, embeddings: Mapping[str, Tensor], batch: Batch) -> None:
        """Move the batch's instances towards their embeddings {view: (B, D)}.

        When the batch repeats a crop, its last embedding counts.
        """
        last = _last_of_each(batch.indices)
        rows, labels = batch.indices[last], batch.labels[last]
        for view, q in embeddings.items():
            old = self._vectors[view][rows]
            new = F.normalize(torch.lerp(q[last], old, self._momentum))
            self._vectors[view][rows] = new
            self._sums[view].index_add_(0, labels, new - old)


def _last_of_each(indices: Tensor) -> Tensor:
    """(M,) positions of the last occurrence of each value."""
    order = torch.argsort(indices, stable=True)
    is_last = torch.ones_like(indices, dtype=torch.bool)
    is_last[:-1] = indices[order][1:] != indices[order][:-1]
    return order[is_last]
