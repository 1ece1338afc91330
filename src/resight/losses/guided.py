"""Guided labels: part of each target goes to the clusters that are near (CGC, Eq. 8-9)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from resight.losses.similarity import similarities
from resight.records import OUTLIER, Step


@torch.no_grad()
def guided_labels(q: Tensor, memory: Tensor, labels: Tensor, *, beta: float) -> Tensor:
    """beta onehot(y) + (1 - beta) P, P = sigmoid(-cosine distance) normalised over the clusters.

    q: (B, D) of length 1. memory: (C, D) of any length above 0. labels: (B,) int64 0 … C-1, or
    -1. beta: 0 (P alone) … 1 (the labels alone). Returns (B, C), rows that sum to 1, those of
    label -1 all zeros, without gradient. Raises ValueError for beta out of range.
    """
    _check_beta(beta)
    near = torch.sigmoid(similarities(q, F.normalize(memory)) - 1)  # (B, C)
    shares = near * ((1 - beta) / near.sum(dim=1, keepdim=True))
    own = torch.full_like(shares[:, :1], beta)
    shares.scatter_add_(1, labels.clamp_min(0)[:, None], own)
    return shares.masked_fill_((labels == OUTLIER)[:, None], 0)


def _check_beta(beta: float) -> None:
    if not 0 <= beta <= 1:
        raise ValueError(f"beta={beta} should be between 0 and 1")


@dataclass(frozen=True)
class GuidedLabels:
    """Targets shared with the near clusters of a view; beta (0 … 1) stays with the label."""

    beta: float = 0.8

    def __post_init__(self) -> None:
        _check_beta(self.beta)

    def choose(self, step: Step, view: str) -> Tensor:
        """Targets of the batch in a view: (B, C), zeros for a sample that takes no part."""
        q, memory = step.embeddings[view], step.prototypes[view]
        return guided_labels(q, memory, step.batch.labels_of(view), beta=self.beta)
