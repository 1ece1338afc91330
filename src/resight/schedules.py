"""Values that change over epochs: shares of the learning rate, and thresholds."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol


class Schedule(Protocol):
    """The value at `epoch` (0 … epochs - 1) of a run of `epochs`."""

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        ...


def _check_factor(factor: float) -> None:
    if not 0 < factor < math.inf:
        raise ValueError(f"factor={factor} should be above 0 and finite")


def _check_finite(**values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name}={value} should be a finite number")


@dataclass(frozen=True)
class Steps:
    """factor^(epoch // every): the step schedule of the published settings."""

    every: int = 20
    factor: float = 0.1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every={self.every} should be >= 1")
        _check_factor(self.factor)

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        del epochs
        return self.factor ** (epoch // self.every)


@dataclass(frozen=True)
class Milestones:
    """factor^(how many of the epochs `at` have come): 3C, Section 4.2, divides after 30 and 50.

    at: epochs, counted from 0, from which on the value is multiplied by `factor` once more.
    """

    at: tuple[int, ...] = (30, 50)
    factor: float = 0.1

    def __post_init__(self) -> None:
        if any(b <= a for a, b in itertools.pairwise((0, *self.at))):
            raise ValueError(f"at={self.at} should be epochs from 1 on, each later than the last")
        _check_factor(self.factor)

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        del epochs
        return self.factor ** bisect_right(self.at, epoch)


@dataclass(frozen=True)
class Cosine:
    """From 1 down to `end` along half a cosine: for short runs that should end settled."""

    end: float = 0.02

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        share = epoch / max(1, epochs - 1)
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Ramp:
    """Another schedule, times start + (1 - start) epoch / `epochs` in the first `epochs` epochs.

    The other schedule counts its epochs from the run's start. The defaults are those of 3C,
    Section 4.2: from 3.5e-5 to 3.5e-4 within ten epochs, a tenth of that after 30 and after 50.

    epochs: how many it takes. start: share at epoch 0, 0 <= start <= 1. then: the other schedule.
    """

    epochs: int = 10
    start: float = 0.1
    then: Schedule = Milestones()

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs={self.epochs} should be >= 1")
        if not 0 <= self.start <= 1:
            raise ValueError(f"start={self.start} should be in [0, 1]")

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        share = min(1.0, epoch / self.epochs)
        return (self.start + (1 - self.start) * share) * self.then(epoch, epochs)


@dataclass(frozen=True)
class Linear:
    """start + (end - start) t / T at epoch t of T, so that `end` itself is not reached.

    The defaults are delta_t = 0.2 t / T - 0.1, the linear threshold of CGC, Section 4.5.
    """

    start: float = -0.1
    end: float = 0.1

    def __post_init__(self) -> None:
        _check_finite(start=self.start, end=self.end)

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        return self.start + (self.end - self.start) * epoch / epochs


@dataclass(frozen=True)
class Tanh:
    """size tanh(rate (t - T/2)) at epoch t of T: the dynamic threshold of CGC, Section 4.5."""

    size: float = 0.1
    rate: float = 0.1

    def __post_init__(self) -> None:
        _check_finite(size=self.size, rate=self.rate)

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        return self.size * math.tanh(self.rate * (epoch - epochs / 2))


@dataclass(frozen=True)
class Constant:
    """The same value in every epoch: the constant threshold of CGC, Section 4.5."""

    value: float = 0.0

    def __post_init__(self) -> None:
        _check_finite(value=self.value)

    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        del epoch, epochs
        return self.value
