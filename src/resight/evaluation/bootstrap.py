"""How far figures would move with other individuals: bootstrap intervals over identities.

Queries of one individual are alike, so that identities are drawn, not queries (cluster bootstrap;
Field and Welsh, 2007): C identities with replacement from C, each with all its queries, and the
figures of the queries drawn. An interval spans the middle share `level` of the drawn figures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from resight.evaluation.ranking import Ranking
from resight.records import IntArray

Interval = tuple[float, float]
Table = npt.NDArray[np.float64]

NUMBERS_AT_ONCE = 2**22


def intervals(
    ranking: Ranking,
    identities: IntArray,
    *,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """(low, high) in percent of every figure of `Ranking.figures`, by its name.

    identities: (Q,) integers, one per query of the ranking; those that do not count play no part.
    samples: how many times to draw. level: in (0, 1). Fewer than two identities tell nothing of
    how figures vary: both ends are NaN then.
    Raises ValueError for numbers out of range or identities that do not fit the ranking.
    """
    values = _values(ranking)
    return _spans(values, _clusters(ranking, identities), samples, level, seed)


def paired(
    first: Ranking,
    second: Ranking,
    identities: IntArray,
    *,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """(low, high) of the figures of `second` less those of `first`, in percentage points.

    Both rank the same Q queries, and the same identities are drawn for both, so that what is hard
    for both cancels. Arguments and errors as in `intervals`; ValueError also when the rankings
    count different queries or follow different rules.
    """
    if not np.array_equal(first.counted, second.counted):
        raise ValueError(
            f"the rankings count different queries ({first.n_queries} and {second.n_queries} of "
            f"{len(first.first)} and {len(second.first)}), expected the same ones"
        )
    if (first.rule, first.ranks) != (second.rule, second.ranks):
        raise ValueError(
            f"the rankings follow rules {first.rule, first.ranks} and {second.rule, second.ranks}, "
            "expected the same"
        )
    mine, others = _values(second), _values(first)
    differences = {name: mine[name] - others[name] for name in mine}
    return _spans(differences, _clusters(first, identities), samples, level, seed)


def _values(ranking: Ranking) -> dict[str, Table]:
    """What the counted queries contribute to each figure, in percent: its mean is the figure."""
    shares = {"mAP": ranking.ap, "mAP_market": ranking.ap_market, "mINP": ranking.inp}
    shares |= {f"rank{k}": (ranking.first <= k).astype(np.float64) for k in ranking.ranks}
    return {name: 100 * share[ranking.counted] for name, share in shares.items()}


def _clusters(ranking: Ranking, identities: IntArray) -> IntArray:
    """The identities of the counted queries, numbered from 0 without gaps."""
    if identities.shape != ranking.first.shape:
        raise ValueError(
            f"identities has shape {identities.shape}, expected {ranking.first.shape}, one per "
            "query of the ranking"
        )
    clusters: IntArray = np.unique(identities[ranking.counted], return_inverse=True)[1]
    return clusters


def _spans(
    values: dict[str, Table], clusters: IntArray, samples: int, level: float, seed: int
) -> dict[str, Interval]:
    if samples < 1 or not 0 < level < 1:
        raise ValueError(f"samples is {samples}, expected >= 1; level is {level}, expected (0, 1)")
    n = int(clusters.max(initial=-1)) + 1
    if n < 2:
        return dict.fromkeys(values, (float("nan"), float("nan")))
    columns = [np.ones(len(clusters)), *values.values()]
    of_columns = [np.bincount(clusters, column).astype(np.float64) for column in columns]
    sums = np.stack(of_columns, axis=1)  # (C, 1 + F)
    drawn = _drawn(sums, samples, np.random.default_rng(seed))
    figures = drawn[:, 1:] / drawn[:, :1]  # (samples, F)
    low, high = np.quantile(figures, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return {name: (float(a), float(b)) for name, a, b in zip(values, low, high, strict=True)}


def _drawn(sums: Table, samples: int, rng: np.random.Generator) -> Table:
    """(samples, 1 + F) sums over C rows drawn with replacement from `sums` (C, 1 + F).

    A block of samples at a time: how often each row was drawn, times the rows.
    """
    n = len(sums)
    height = max(1, NUMBERS_AT_ONCE // n)
    drawn = []
    for start in range(0, samples, height):
        block = min(height, samples - start)
        rows = rng.integers(n, size=(block, n))
        rows += n * np.arange(block)[:, None]
        times = np.bincount(rows.ravel(), minlength=block * n).reshape(block, n)
        drawn.append(times @ sums)
    return np.concatenate(drawn)
