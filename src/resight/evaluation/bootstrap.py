"""How far figures would move with other individuals: bootstrap intervals over identities.

Queries of one individual are alike, so that identities are drawn, not queries (cluster bootstrap;
Field and Welsh, 2007): C identities with replacement from C, each with all its queries, and the
figures of the queries drawn; in a ranking of groups those of the groups that any query was drawn
of. An interval spans the middle share `level` of the drawn figures.
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
    return _spans(values, _places(ranking, identities), samples, level, seed)


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
    places = _places(first, identities)
    if not np.array_equal(places, _places(second, identities)):
        raise ValueError("the rankings group their queries differently, expected alike")
    return _spans(differences, places, samples, level, seed)


def _values(ranking: Ranking) -> dict[str, Table]:
    """What the counted queries contribute to each figure, in percent: its mean is the figure."""
    shares = {"mAP": ranking.ap, "mAP_market": ranking.ap_market, "mINP": ranking.inp}
    shares |= {f"rank{k}": (ranking.first <= k).astype(np.float64) for k in ranking.ranks}
    return {name: 100 * share[ranking.counted] for name, share in shares.items()}


def _places(ranking: Ranking, identities: IntArray) -> IntArray:
    """(2, Q') identity and group of each counted query, both numbered from 0 without gaps."""
    if identities.shape != ranking.first.shape:
        raise ValueError(
            f"identities has shape {identities.shape}, expected {ranking.first.shape}, one per "
            "query of the ranking"
        )
    groups = np.zeros_like(identities) if ranking.groups is None else ranking.groups
    both = [np.unique(of[ranking.counted], return_inverse=True)[1] for of in (identities, groups)]
    return np.stack(both)


def _spans(
    values: dict[str, Table], places: IntArray, samples: int, level: float, seed: int
) -> dict[str, Interval]:
    if samples < 1 or not 0 < level < 1:
        raise ValueError(f"samples is {samples}, expected >= 1; level is {level}, expected (0, 1)")
    n, n_groups = places.max(axis=1, initial=-1) + 1
    if n < 2:
        return dict.fromkeys(values, (float("nan"), float("nan")))
    cells, size = places[0] * n_groups + places[1], n * n_groups
    columns = [np.ones(places.shape[1]), *values.values()]
    sums = [np.bincount(cells, column, size).reshape(n, n_groups) for column in columns]
    rows: Table = np.concatenate(sums, axis=1, dtype=np.float64)  # (C, (1 + F) P)
    drawn = _drawn(rows, samples, np.random.default_rng(seed)).reshape(samples, -1, n_groups)
    there = drawn[:, :1] > 0  # (samples, 1, P)
    means = np.divide(drawn[:, 1:], drawn[:, :1], where=there, out=np.zeros_like(drawn[:, 1:]))
    figures = means.sum(axis=2) / there.sum(axis=2)  # (samples, F)
    low, high = np.quantile(figures, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return {name: (float(a), float(b)) for name, a, b in zip(values, low, high, strict=True)}


def _drawn(sums: Table, samples: int, rng: np.random.Generator) -> Table:
    """(samples, M) sums over C rows drawn with replacement from `sums` (C, M).

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
