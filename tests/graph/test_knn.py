import numpy as np
import pytest
import torch
from dense import clouds, ranking
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.errors import DataError
from resight.graph import Neighbours, neighbours
from resight.graph.knn import _search


@given(
    n=st.integers(1, 40), k=st.integers(1, 50), seed=st.integers(0, 2**16), levels=st.integers(1, 3)
)
@settings(max_examples=60, deadline=None)
def test_order_is_stable_among_many_ties(n, k, seed, levels):
    """Rows of 0 and ±1/2 multiply without rounding, so that ties are exact."""
    rng = np.random.default_rng(seed)
    patterns = rng.choice([-0.5, 0.5], (levels, 4)).astype(np.float32)
    features = patterns[rng.integers(0, levels, n)]
    found = neighbours(features, k)
    order = ranking(features @ features.T)[:, : min(k, n)]
    np.testing.assert_array_equal(found.indices, order)
    values = np.take_along_axis(features @ features.T, order, axis=1)
    np.testing.assert_array_equal(found.similarities, values)


@pytest.mark.parametrize(("n", "k"), [(1, 5), (2, 2), (67, 10), (130, 130), (201, 30)])
def test_equals_a_full_sort(n, k):
    features = clouds(np.random.default_rng(n), n, identities=max(1, n // 9))
    found = neighbours(features, k)
    similar = features.astype(np.float64) @ features.T.astype(np.float64)
    order = ranking(similar)[:, : min(k, n)]
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_allclose(found.similarities, np.take_along_axis(similar, order, 1), atol=1e-6)
    assert found.indices.dtype == np.int32
    assert found.similarities.dtype == np.float32


@pytest.mark.parametrize("block", [1, 7, 32, 50])
def test_blocks_make_no_difference(block):
    features = clouds(np.random.default_rng(3), 50, identities=5)
    whole = neighbours(features, 9)
    indices, similarities = _search(torch.from_numpy(features), 9, block)
    np.testing.assert_array_equal(whole.indices, indices)
    np.testing.assert_allclose(whole.similarities, similarities, atol=1e-6)


def test_itself_first_among_more_duplicates_than_neighbours():
    features = np.repeat(clouds(np.random.default_rng(0), 2, identities=2), 20, axis=0)
    found = neighbours(features, 5)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(40))
    np.testing.assert_array_equal(found.indices[30], [30, 20, 21, 22, 23])
    assert (found.similarities[:, 0] == 1).all()


def test_tensors_and_arrays_agree():
    features = clouds(np.random.default_rng(1), 30, identities=3)
    one, other = neighbours(features, 6), neighbours(torch.from_numpy(features), 6)
    np.testing.assert_array_equal(one.indices, other.indices)


def test_no_samples():
    assert len(neighbours(np.empty((0, 8), np.float32), 5)) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_numbers_are_named(value):
    features = clouds(np.random.default_rng(1), 30, identities=3)
    features[[3, 17], 2] = value
    with pytest.raises(DataError, match=r"2 of 30 .*rows 3, 17\)"):
        neighbours(features, 4)


def test_rows_that_are_not_normalised_are_named():
    features = clouds(np.random.default_rng(1), 30, identities=3)
    features[5:] *= 2
    with pytest.raises(ValueError, match=r"25 of 30 .*rows 5, 6, 7, 8, 9, …; .*length 2"):
        neighbours(features, 4)


@pytest.mark.parametrize("features", [np.ones(4, np.float32), np.ones((4, 1))])
def test_wrong_shape_or_type_is_refused(features):
    with pytest.raises(ValueError, match=r"expected \(N, D\) float32"):
        neighbours(features, 2)


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match="k is 0"):
        neighbours(np.eye(3, dtype=np.float32), 0)


def test_the_record_wants_each_sample_first():
    with pytest.raises(ValueError, match="itself"):
        Neighbours(np.array([[1, 0], [0, 1]], np.int32), np.ones((2, 2), np.float32))
    with pytest.raises(ValueError, match="shapes"):
        Neighbours(np.zeros((1, 2), np.int32), np.ones((1, 1), np.float32))
