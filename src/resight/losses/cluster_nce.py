"""ClusterNCE: each query against all cluster vectors (Cluster Contrast, Eq. 3)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from resight.losses.similarity import check_temperature, similarities
from resight.records import GLOBAL, Step


def cluster_nce(q: Tensor, memory: Tensor, targets: Tensor, *, temperature: float) -> Tensor:
    """-log softmax(q . c / tau) at the target, or against a distribution of targets.

    q: (B, D). memory: (C, D). targets: (B,) int64 cluster numbers, or (B, C) rows that sum to 1.
    Returns (B,) float, non-negative for hard targets. Computed in float32, or float64 when
    given so.
    """
    logits = similarities(q, memory) / temperature  # (B, C)
    return F.cross_entropy(logits, targets, reduction="none")


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
