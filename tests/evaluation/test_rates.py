"""Intervals of rates: the textbook's for independent pairs, wider where pairs hang together."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from resight.evaluation.rates import clopper_pearson, clustered_rate


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (1, 30000), (30, 30000), (7, 9)])
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_exact_interval_is_that_of_scipy(k, n, level):
    expected = stats.binomtest(k, n).proportion_ci(level, method="exact")
    assert_allclose(clopper_pearson(k, n, level=level), expected, rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("sharing", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_the_interval_follows_the_equation(seed, sharing):
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, 50, 40) * sharing
    errors = rng.binomial(pairs, rng.beta(0.5, 5, 40)) // sharing * sharing
    found = clustered_rate(errors, pairs, sharing=sharing)
    k, n = errors.sum() // sharing, pairs.sum() // sharing
    p, m = k / n, np.count_nonzero(pairs)
    spread = sum((e - p * c) ** 2 for e, c in zip(errors, pairs, strict=True) if c)
    variance = m / (m - 1) * spread / n**2
    shrunk = (stats.norm.ppf(0.975) / stats.t.ppf(0.975, m - 1)) ** 2
    effective = min(n, p * (1 - p) / variance * shrunk)
    low = stats.beta.ppf(0.025, p * effective, effective - p * effective + 1)
    high = stats.beta.ppf(0.975, p * effective + 1, effective - p * effective)
    assert (found.errors, found.pairs, found.value) == (k, n, p)
    assert_allclose((found.low, found.high), (low, high), rtol=1e-9)


def test_dependence_widens_the_interval():
    pairs = np.full(50, 100)
    spread, bunched = np.full(50, 10), np.repeat([100, 0], [5, 45])
    spread[::2] += 1
    spread[1::2] -= 1
    apart, together = (clustered_rate(errors, pairs) for errors in (spread, bunched))
    assert apart.value == together.value == 0.1
    assert_allclose((apart.low, apart.high), clopper_pearson(500, 5000), rtol=1e-9)
    assert together.high - together.low > 5 * (apart.high - apart.low)


@pytest.mark.parametrize("errors", [0, 100])
@pytest.mark.parametrize("sharing", [1, 2])
def test_without_any_error_individuals_count(errors, sharing):
    found = clustered_rate(np.full(60, errors), np.full(60, 100), sharing=sharing)
    of = 60 // sharing
    assert_allclose((found.low, found.high), clopper_pearson(of * errors / 100, of), rtol=1e-9)


def test_an_individual_alone_tells_nothing_of_others():
    found = clustered_rate(np.array([3, 0]), np.array([1000, 0]))
    assert found.errors == 3
    assert found.low < 0.003 < 0.9 < found.high


def test_no_pairs():
    found = clustered_rate(np.zeros(3, int), np.zeros(3, int))
    assert (found.low, found.high, found.pairs) == (0, 1, 0)
    assert np.isnan(found.value)


@pytest.mark.parametrize("sharing", [1, 2])
def test_intervals_hold_the_truth_as_often_as_they_say(sharing):
    """Individuals differ in how often they are mistaken; pairs of two join what both have."""
    rng = np.random.default_rng(sharing)
    held = 0
    for _ in range(400):
        level = rng.exponential(0.1, 40)
        if sharing == 1:
            pairs = rng.integers(5, 60, 40)
            errors = rng.binomial(pairs, level.clip(max=1))
            truth = 0.1 - 0.1 * np.exp(-10)
        else:
            table = np.triu(rng.random((40, 40)) < np.outer(level, level) * 2, 1)
            errors, pairs = (table + table.T).sum(axis=1), np.full(40, 39)
            truth = 0.02
        found = clustered_rate(errors, pairs, sharing=sharing, level=0.9)
        held += found.low <= truth <= found.high
    assert 0.86 < held / 400 < 0.995


def test_what_does_not_fit_is_refused():
    for options in ({"sharing": 3}, {"level": 1.0}):
        with pytest.raises(ValueError, match="should have one shape"):
            clustered_rate(np.zeros(3, int), np.ones(3, int), **options)
    with pytest.raises(ValueError, match=r"\(3,\) and pairs \(4,\)"):
        clustered_rate(np.zeros(3, int), np.ones(4, int))
