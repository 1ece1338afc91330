from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.reporting.scales import Scale, epoch_ticks, nice_step, tick_text, ticks_around

finite = st.floats(-1e6, 1e6).map(lambda v: round(v, 4))


def test_a_value_maps_linearly_also_upside_down():
    y = Scale(0, 100, 180, 20)
    assert [y(v) for v in (0, 25, 100)] == [180, 140, 20]


def test_a_scale_without_width_is_refused():
    with pytest.raises(ValueError, match=r"low=3 should be below high=3"):
        Scale(3, 3, 0, 1)


@given(finite, finite)
def test_ticks_enclose_the_range_evenly(a, b):
    low, high = min(a, b), max(a, b)
    ticks = ticks_around(low, high)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + 1e-6 * step
    assert ticks[-1] >= high - 1e-6 * step
    assert 2 <= len(ticks) <= 8
    assert all(abs(t - s - step) < 1e-6 * step for s, t in itertools.pairwise(ticks))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, (0, 20, 40, 60, 80, 100)),
        (0, 0, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        (7, 7, (0, 2, 4, 6, 8)),
        (-3, -3, (-3, -2, -1, 0)),
    ],
)
def test_ticks(low, high, expected):
    assert ticks_around(low, high) == pytest.approx(expected)


def test_ticks_of_a_reversed_range_are_refused():
    with pytest.raises(ValueError, match="should not be above"):
        ticks_around(2, 1)


@given(st.floats(1e-6, 1e6), st.integers(2, 10))
def test_steps_are_1_2_or_5_times_a_power_of_ten(width, about):
    step = nice_step(0, width, about=about)
    assert f"{step:.0e}"[0] in "125"
    assert f"{step:.6e}"[2:8] == "000000"
    assert width / step <= about + 1e-6


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(1, 1, (1,)), (1, 3, (1, 2, 3)), (1, 50, (1, 10, 20, 30, 40, 50)), (1, 8, (1, 2, 4, 6, 8))],
)
def test_epoch_ticks(first, last, expected):
    assert epoch_ticks(first, last) == expected


@given(st.integers(1, 500), st.integers(0, 500))
def test_epoch_ticks_are_few_whole_and_in_range(first, more):
    ticks = epoch_ticks(first, first + more)
    assert ticks[0] == first
    assert ticks[-1] <= first + more
    assert len(ticks) <= 7
    assert list(ticks) == sorted(set(ticks))


def test_tick_text_has_the_decimals_of_its_step():
    assert [tick_text(v, 0.02) for v in (0.0, 0.1)] == ["0.00", "0.10"]
    assert tick_text(1500, 500) == "1,500"
    assert tick_text(-0.0, 0.5) == "0.0"
