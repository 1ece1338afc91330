"""Values that change over epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class Schedule(Protocol):
    """The value at `epoch` (0 … epochs - 1) of a run of `epochs`."""

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        ...


@dataclass(frozen=True)
class Steps:
    """factor^(epoch // every): the step schedule of the published settings."""

    every: int = 20
    factor: float = 0.1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every={self.every} should be >= 1")

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        del epochs
        return self.factor ** (epoch // self.every)


@dataclass(frozen=True)
class Cosine:
    """From 1 down to `end` along half a cosine: for short runs that should end settled."""

    end: float = 0.02

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        share = epoch / max(1, epochs - 1)
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * share)) / 2
