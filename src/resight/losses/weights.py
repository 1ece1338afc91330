"""Weights: how much each sample of a batch counts, 1 on average."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from resight.records import Step


@dataclass(frozen=True)
class EqualWeights:
    """All samples count alike: (B,) ones."""

    def weigh(self, step: Step) -> Tensor:
        """Weights of the batch."""
        return torch.ones_like(step.batch.labels, dtype=torch.float32)
