"""Targets: what the queries of a batch should be classified as."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from resight.records import Step


@dataclass(frozen=True)
class HardTargets:
    """The pseudo-labels themselves: (B,) int64."""

    def choose(self, step: Step) -> Tensor:
        """Targets of the batch."""
        return step.batch.labels
