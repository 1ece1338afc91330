"""Bootstrap intervals against a loop over samples and identities."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from resight.evaluation import bootstrap
from resight.evaluation.bootstrap import intervals, paired
from resight.evaluation.ranking import Ranking, joined


def some_ranking(rng, n, *, rule="step", uncounted=0.2, groups=None):
    first = rng.integers(1, 15, n)
    first[rng.random(n) < uncounted] = 0
    values = rng.random((3, n))
    values[:, first == 0] = np.nan
    searched, ranks = np.ones(n, bool), (1, 5, 20)
    return Ranking(*values, first, searched, rule, ranks, groups)


def slow(rankings, identities, *, samples, level, seed):
    """Figures of the last ranking less those of the first, if two: draw, select, recompute."""
    counted = [np.flatnonzero(r.counted) for r in rankings]
    names = np.unique(identities[counted[0]])
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(samples):
        chosen = names[rng.integers(len(names), size=len(names))]
        rows = np.concatenate([np.flatnonzero(identities == name) for name in chosen])
        figures = [r.select(rows).figures() for r in rankings]
        base = figures[0] if len(figures) > 1 else dict.fromkeys(figures[0], 0.0)
        drawn.append([figures[-1][key] - base[key] for key in base])
    ends = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return dict(zip(base, ends.T, strict=True))


def check(found, expected):
    assert [*found] == [*expected]
    for name, ends in found.items():
        assert_allclose(ends, expected[name], atol=1e-9, err_msg=name)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rule", "level"), [("step", 0.95), ("market", 0.5)])
def test_intervals_are_those_of_the_loop(seed, rule, level, monkeypatch):
    rng = np.random.default_rng(seed)
    ranking, identities = some_ranking(rng, 90, rule=rule), rng.integers(1, 15, 90) * 7
    options = {"samples": 60, "level": level, "seed": seed}
    expected = slow([ranking], identities, **options)
    check(intervals(ranking, identities, **options), expected)
    monkeypatch.setattr(bootstrap, "NUMBERS_AT_ONCE", 100)
    check(intervals(ranking, identities, **options), expected)


@pytest.mark.parametrize("n_groups", [1, 3, 40])
def test_figures_of_groups_are_plain_means_over_them(n_groups):
    """With 40 groups many a sample draws no query of some: those do not count then."""
    rng = np.random.default_rng(6)
    groups = 5 * rng.integers(-1, n_groups, 90)
    ranking, identities = some_ranking(rng, 90, groups=groups), rng.integers(1, 9, 90)
    there = [
        row for group in np.unique(groups) if (row := ranking.counted & (groups == group)).any()
    ]
    assert ranking.mAP == pytest.approx(np.mean([np.mean(ranking.ap[rows]) for rows in there]))
    assert ranking.cmc_at([3])[3] == pytest.approx(
        np.mean([np.mean(ranking.first[rows] <= 3) for rows in there])
    )
    options = {"samples": 60, "level": 0.9, "seed": 1}
    check(intervals(ranking, identities, **options), slow([ranking], identities, **options))


def test_joined_rankings_have_no_groups():
    rng = np.random.default_rng(7)
    parts = [some_ranking(rng, 20, groups=np.arange(20) % 3), some_ranking(rng, 9)]
    both = joined(parts)
    assert both.groups is None
    assert both.mAP == pytest.approx(np.nanmean(np.concatenate([part.ap for part in parts])))


@pytest.mark.parametrize("groups", [None, np.arange(80) % 7])
@pytest.mark.parametrize("seed", range(3))
def test_paired_intervals_are_those_of_the_loop(seed, groups):
    rng = np.random.default_rng(seed)
    first, identities = some_ranking(rng, 80, groups=groups), rng.integers(1, 12, 80)
    shift = np.where(first.counted, rng.integers(0, 3, 80), 0)
    second = replace(first, ap_step=first.ap_step * 0.9, first=first.first + shift)
    options = {"samples": 50, "level": 0.9, "seed": seed}
    found = paired(first, second, identities, **options)
    check(found, slow([first, second], identities, **options))
    assert found["mAP"][1] < 0
    assert found["mAP_market"] == found["mINP"] == (0, 0)


def test_a_constant_difference_is_certain():
    rng = np.random.default_rng(1)
    first = some_ranking(rng, 60)
    found = paired(first, replace(first, inp=first.inp + 0.1), rng.integers(1, 9, 60))
    assert_allclose(found["mINP"], (10, 10))


def test_whoever_is_seen_often_counts_as_one():
    """Copies of every query narrow an interval over queries, not one over identities."""
    rng = np.random.default_rng(2)
    ranking, identities = some_ranking(rng, 40, uncounted=0), np.arange(40)
    thrice = np.tile(np.arange(40), 3)
    alone = intervals(ranking, identities)
    check(intervals(ranking.select(thrice), identities[thrice]), alone)
    queries = intervals(ranking.select(thrice), np.arange(120))
    assert np.ptp(queries["mAP"]) < 0.7 * np.ptp(alone["mAP"])


def test_intervals_hold_the_truth_as_often_as_they_say():
    """60 identities of 1 … 6 queries that share their identity's level; true mean 50%."""
    rng = np.random.default_rng(3)
    held = 0
    for trial in range(300):
        identities = np.repeat(np.arange(60), rng.integers(1, 7, 60))
        shared, own = rng.random(60)[identities], rng.random(len(identities))
        values = np.tile(0.8 * shared + 0.2 * own, (3, 1))
        ones = np.ones(len(identities), np.int64)
        ranking = Ranking(*values, first=ones, searched=ones > 0)
        low, high = intervals(ranking, identities, samples=200, level=0.9, seed=trial)["mAP"]
        held += low <= 50 <= high
    assert 0.85 < held / 300 < 0.94


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_identities_tell_nothing(n):
    ranking = some_ranking(np.random.default_rng(4), 10)
    if n == 0:
        ranking = replace(ranking, first=np.zeros(10, np.int64))
    found = intervals(ranking, np.full(10, 5))
    assert [*found] == [*ranking.figures()]
    assert np.isnan([*found.values()]).all()


def test_what_does_not_fit_is_refused():
    rng = np.random.default_rng(5)
    ranking, identities = some_ranking(rng, 20), rng.integers(1, 5, 20)
    with pytest.raises(ValueError, match=r"shape \(19,\), expected \(20,\)"):
        intervals(ranking, identities[1:])
    with pytest.raises(ValueError, match="samples is 0"):
        intervals(ranking, identities, samples=0)
    with pytest.raises(ValueError, match="level is 1"):
        intervals(ranking, identities, level=1)
    with pytest.raises(ValueError, match="different queries"):
        paired(ranking, some_ranking(rng, 20), identities)
    with pytest.raises(ValueError, match="group their queries differently"):
        paired(ranking, replace(ranking, groups=np.arange(20)), identities)
    with pytest.raises(ValueError, match="follow rules"):
        paired(ranking, replace(ranking, rule="market"), identities)
