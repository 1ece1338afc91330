"""ClusterNCE: each query against all cluster vectors (Cluster Contrast, Eq. 3)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from resight.losses.similarity import check_temperature, similarities
from resight.records import GLOBAL, OUTLIER, Step


def cluster_nce(q: Tensor, memory: Tensor, targets: Tensor, *, temperature: float) -> Tensor:
    """-log softmax(q . c / tau) at the target, or against a distribution of targets.

    q: (B, D). memory: (C, D). targets: (B,) int64 cluster numbers, or (B, C) rows that sum to 1.
    A query with target -1, or with a row of zeros, takes no part: its loss and gradient are 0.
    temperature: tau > 0. Returns (B,) float, non-negative for hard targets. Computed in float32,
    or float64 when given so. Raises ValueError for a wrong temperature.
    """
    check_temperature(temperature)
    return against_targets(similarities(q, memory), targets, temperature)


def against_targets(scores: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """The same from the similarities themselves: (B,) from (B, C)."""
    return F.cross_entropy(scores / temperature, targets, ignore_index=OUTLIER, reduction="none")


@dataclass(frozen=True)
class ClusterNCE:
    """The term of a recipe: temperature tau > 0, the view it looks at, its weight in the sum."""

    temperature: float = 0.05
    view: str = GLOBAL
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def __call__(self, step: Step, targets: Tensor) -> Tensor:
        """(B,) the loss of each sample, before `weight`."""
        q, memory = step.embeddings[self.view], step.prototypes[self.view]
        return cluster_nce(q, memory, targets, temperature=self.temperature)
