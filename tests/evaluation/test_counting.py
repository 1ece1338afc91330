import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.evaluation.counting import _grid, _position, _wrong_ahead

scores = st.floats(-1, 1, width=32) | st.sampled_from([0.0, 1e-45, -1e-45, 1e-38, 0.5, 0.50000006])
NONE = np.zeros(0, np.float32)


@settings(deadline=None)
@given(st.lists(scores, min_size=1, max_size=30), st.lists(scores, max_size=30))
def test_position_is_searchsorted(right, others):
    right = np.sort(np.array(right, np.float32))
    scale, starts = _grid(right)
    for score in [*right, *(s for s in np.array(others, np.float32) if s >= right[0])]:
        expected = np.searchsorted(right, score, side="right")
        assert _position(right, scale, starts, score) == expected


@pytest.mark.parametrize("n_right", [1, 3, 700])
def test_wrong_answers_are_those_left_over(n_right):
    rng = np.random.default_rng(n_right)
    row = rng.integers(-20, 20, 2000).astype(np.float32) / 20
    groups = np.split(rng.permutation(2000), [n_right, n_right + 40, n_right + 90])
    right, removed = np.sort(row[groups[0]]), row[groups[1]]
    expected = (row[groups[3]] >= right[:, None]).sum(axis=1)
    np.testing.assert_array_equal(_wrong_ahead(row, right, removed, groups[2]), expected)


def test_extreme_span_of_scores():
    row = np.array([1e30, -1e30, 0, 1e-45, 5e29], np.float32)
    assert _wrong_ahead(row, np.sort(row[:2]), NONE, np.zeros(0, np.int64)).tolist() == [3, 0]
