"""Schedules against the numbers of the papers."""

import dataclasses
import itertools
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from resight import parts, schedules
from resight.schedules import Constant, Cosine, Linear, Milestones, Ramp, Schedule, Steps, Tanh

ALL = (
    Steps(),
    Cosine(),
    Milestones(),
    Milestones(()),
    Milestones((3,), 0.5),
    Ramp(),
    Ramp(4, 0.0, Constant(2.0)),
    Ramp(2, 0.5, Ramp(6, 0.5, Milestones((9, 12), 0.3))),
    Linear(),
    Linear(0.3, -0.3),
    Tanh(),
    Constant(),
    Constant(-0.1),
)


def values(schedule, epochs):
    return [schedule(epoch, epochs) for epoch in range(epochs)]


def test_learning_rate_of_3c():
    """Section 4.2: linear from 3.5e-5 to 3.5e-4 in ten epochs, a tenth after 30 and after 50."""
    rates = [3.5e-4 * value for value in values(Ramp(10, 0.1, Milestones((30, 50), 0.1)), 60)]
    assert rates[0] == pytest.approx(3.5e-5)
    rises = [b - a for a, b in itertools.pairwise(rates[:11])]
    assert rises == pytest.approx([3.15e-5] * 10)
    assert rates[10:30] == pytest.approx([3.5e-4] * 20)
    assert rates[30:50] == pytest.approx([3.5e-5] * 20)
    assert rates[50:] == pytest.approx([3.5e-6] * 10)
    assert Ramp() == Ramp(10, 0.1, Milestones((30, 50), 0.1))


def test_linear_threshold_of_cgc():
    """Section 4.5: delta_t = 0.2 t / T - 0.1."""
    assert values(Linear(), 70) == pytest.approx([0.2 * t / 70 - 0.1 for t in range(70)])
    assert Linear()(25, 50) == pytest.approx(0)


def test_dynamic_threshold_of_cgc():
    """Section 4.5: 0.1 tanh(0.1 (t - T / 2))."""
    expected = [0.1 * math.tanh(0.1 * (t - 35)) for t in range(70)]
    assert values(Tanh(), 70) == pytest.approx(expected)
    assert Tanh()(35, 70) == 0
    assert Tanh()(0, 70) == pytest.approx(-0.1, abs=2e-4)


def test_constant_thresholds_of_cgc():
    for value in (-0.1, 0.0, 0.1):
        assert set(values(Constant(value), 50)) == {value}
    assert Constant()(3, 9) == 0


@given(every=st.integers(1, 30), epochs=st.integers(1, 90))
def test_equal_milestones_are_steps(every, epochs):
    milestones = Milestones(tuple(range(every, epochs, every)))
    assert values(milestones, epochs) == pytest.approx(values(Steps(every), epochs))


def test_milestones_count_from_their_own_epoch_on():
    assert values(Milestones((2, 3), 0.5), 5) == [1, 1, 0.5, 0.25, 0.25]
    assert values(Milestones(()), 3) == [1, 1, 1]


def test_a_ramp_multiplies_what_runs_below_it_with_the_same_epochs():
    assert values(Ramp(4, 0.2, Milestones((2,), 0.5)), 6) == pytest.approx(
        [0.2, 0.4, 0.6 * 0.5, 0.8 * 0.5, 0.5, 0.5]
    )
    assert values(Ramp(2, 0.0, Linear(0, 1)), 4) == pytest.approx([0, 0.125, 0.5, 0.75])


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_survives_yaml(schedule):
    problems = []
    plain = yaml.safe_load(yaml.safe_dump(parts.to_plain(schedule)))
    assert parts.from_plain(Schedule, plain, where="x", problems=problems) == schedule
    assert not problems
    assert hash(schedule) == hash(parts.from_plain(Schedule, plain, where="x", problems=[]))


def test_what_is_wrong_inside_a_ramp_is_told_with_its_place():
    problems = []
    plain = {"part": "Ramp", "then": {"part": "Milestones", "at": [50, 30]}}
    assert parts.from_plain(Schedule, plain, where="optim.schedule", problems=problems) is None
    assert problems == [
        "optim.schedule.then: at=(50, 30) should be epochs from 1 on, each later than the last"
    ]


@pytest.mark.parametrize(
    ("cls", "wrong", "message"),
    [
        (Steps, {"every": 0}, "every=0"),
        (Steps, {"factor": 0}, "factor=0"),
        (Milestones, {"at": (0, 30)}, r"at=\(0, 30\)"),
        (Milestones, {"at": (30, 30)}, r"at=\(30, 30\)"),
        (Milestones, {"factor": -0.1}, "factor=-0.1"),
        (Milestones, {"factor": math.nan}, "factor=nan"),
        (Ramp, {"epochs": 0}, "epochs=0"),
        (Ramp, {"start": 1.1}, "start=1.1"),
        (Ramp, {"start": math.nan}, "start=nan"),
        (Linear, {"end": math.inf}, "end=inf"),
        (Linear, {"start": math.nan}, "start=nan"),
        (Tanh, {"size": math.nan}, "size=nan"),
        (Tanh, {"rate": math.inf}, "rate=inf"),
        (Constant, {"value": math.nan}, "value=nan"),
    ],
)
def test_wrong_settings_are_refused(cls, wrong, message):
    with pytest.raises(ValueError, match=message):
        cls(**wrong)


def test_every_schedule_is_tested():
    found = {cls for cls in vars(schedules).values() if dataclasses.is_dataclass(cls)}
    assert found == {type(schedule) for schedule in ALL}
