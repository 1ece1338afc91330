"""Where values go on a chart, and which of them get a tick."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Linear: `low` … `high` of the data to `start` … `end` of the picture."""

    low: float
    high: float
    start: float
    end: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low={self.low} should be below high={self.high}")

    def __call__(self, value: float) -> float:
        """The coordinate of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def nice_step(low: float, high: float, *, about: int) -> float:
    """1, 2 or 5 times a power of ten, so that low … high has at most `about` steps."""
    raw = (high - low) / about
    power: float = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))


def ticks_around(low: float, high: float, *, about: int = 5) -> tuple[float, ...]:
    """Round numbers that enclose low … high; a range without width is opened towards zero.

    Raises ValueError when low is above high.
    """
    if low > high:
        raise ValueError(f"low={low} should not be above high={high}")
    if low == high:
        low, high = (low, high) if low else (0.0, 1.0)
        low, high = min(low, 0.0), max(high, 0.0)
    step = nice_step(low, high, about=about)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(i * step for i in range(first, last + 1))


def epoch_ticks(first: int, last: int, *, about: int = 5) -> tuple[int, ...]:
    """The first epoch and the round ones up to the last."""
    if first == last:
        return (first,)
    step = max(1, round(nice_step(first, last, about=about)))
    round_ones = range((first // step + 1) * step, last + 1, step)
    return (first, *(e for e in round_ones if e - first >= step / 2))


def tick_text(value: float, step: float) -> str:
    """The value with as many decimals as the step needs.

    >>> tick_text(0.4, 0.2), tick_text(1200, 200)
    ('0.4', '1,200')
    """
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value + 0.0:,.{decimals}f}"
