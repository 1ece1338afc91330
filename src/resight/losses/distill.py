"""Distillation: the student's features should be where the teacher's are (LP, Eq. 9)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from resight.losses.similarity import precise


def distillation(q: Tensor, teacher: Tensor) -> Tensor:
    """||u/|u| - t/|t|||^2 of each sample.

    q: (B, D) the student's features u, teacher: (B, D) the teacher's t, of any length above 0.
    Returns (B,) float, 0 … 4. No gradient flows into the teacher.
    """
    gap = F.normalize(precise(q)) - F.normalize(precise(teacher.detach()))
    return gap.square().sum(dim=1)
