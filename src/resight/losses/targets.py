"""Targets: what the queries of a batch should be classified as."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from resight.records import Step


@dataclass(frozen=True)
class HardTargets:
    """The pseudo-labels themselves: (B,) int64, -1 for a sample that takes no part."""

    def choose(self, step: Step, view: str) -> Tensor:
        """Targets of the batch in a view."""
        return step.batch.labels_of(view)
