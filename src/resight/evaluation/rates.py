"""Rates of errors among pairs of crops, with intervals that hold when errors are rare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from resight.records import IntArray


@dataclass(frozen=True)
class Rate:
    """errors of pairs, and an interval [low, high] of their share, in [0, 1]."""

    errors: int
    pairs: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """errors / pairs; NaN without pairs."""
        return self.errors / self.pairs if self.pairs else float("nan")


def clustered_rate(
    errors: IntArray, pairs: IntArray, *, sharing: int = 1, level: float = 0.95
) -> Rate:
    """The rate of pairs that hang together because individuals are in many of them.

    errors, pairs: (M,) of each individual; those without pairs play no part. sharing: how many
    individuals each pair is counted for, 1 or 2.

    The interval is Clopper and Pearson's for as many independent pairs n* as would vary alike (Korn
    and Graubard, 1998): n* = p (1 - p) / v * (z / t)^2, at most the pairs there are, with
    v = M / (M - 1) sum_a (e_a - p n_a)^2 / n^2 the variance between individuals, z and t the
    quantiles of the normal distribution and of Student's with M - 1 degrees of freedom. Without any
    error, or without anything else, v tells nothing, and n* is M / sharing: as many pairs have no
    individual in common. Raises ValueError for numbers that do not fit together.
    """
    if errors.shape != pairs.shape or sharing not in (1, 2) or not 0 < level < 1:
        raise ValueError(
            f"errors {errors.shape} and pairs {pairs.shape} should have one shape, sharing "
            f"{sharing} be 1 or 2, level {level} in (0, 1)"
        )
    there = pairs > 0
    k, n = int(errors.sum()) // sharing, int(pairs.sum()) // sharing
    if not n:
        return Rate(0, 0, 0.0, 1.0)
    effective = _effective(errors[there], pairs[there], k, n, sharing, level)
    return Rate(k, n, *clopper_pearson(k / n * effective, effective, level=level))


def clopper_pearson(successes: float, trials: float, *, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share, in [0, 1]; numbers need not be whole."""
    tail = (1 - level) / 2
    failures = trials - successes
    low = float(special.betaincinv(successes, failures + 1, tail)) if successes > 0 else 0.0
    high = float(special.betaincinv(successes + 1, failures, 1 - tail)) if failures > 0 else 1.0
    return low, high


def _effective(
    errors: IntArray, pairs: IntArray, k: int, n: int, sharing: int, level: float
) -> float:
    """n*, at least 1."""
    m = len(pairs)
    apart = max(1.0, m / sharing)
    if m < 2 or k in (0, n):
        return min(float(n), apart)
    rate = k / n
    variance = m / (m - 1) * float(np.square(errors - rate * pairs).sum()) / n**2
    tail = (1 - level) / 2
    narrower = float(special.ndtri(tail) / special.stdtrit(m - 1, tail)) ** 2
    if variance <= 0:
        return float(n)
    return max(1.0, min(float(n), rate * (1 - rate) / variance * narrower))
