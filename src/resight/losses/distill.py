"""Distillation: the student's features should be where the teacher's are (LP, Eq. 9)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from resight.losses.similarity import precise
from resight.records import GLOBAL, Step


def distillation(q: Tensor, teacher: Tensor) -> Tensor:
    """||u/|u| - t/|t|||^2 of each sample.

    q: (B, D) the student's features u, teacher: (B, D) the teacher's t, of any length above 0.
    Returns (B,) float, 0 … 4. No gradient flows into the teacher.
    """
    gap = F.normalize(precise(q)) - F.normalize(precise(teacher.detach()))
    return gap.square().sum(dim=1)


@dataclass(frozen=True)
class Distillation:
    """The term of a recipe that has a teacher: the view it looks at, its weight mu in the sum."""

    view: str = GLOBAL
    weight: float = 1.0

    def __call__(self, step: Step, targets: Tensor) -> Tensor:
        """(B,) the loss of each sample, before `weight`; samples without a cluster take part."""
        del targets
        if step.teacher is None:
            raise ValueError("the step carries no teacher's embeddings, which Distillation needs")
        return distillation(step.embeddings[self.view], step.teacher[self.view])
