import re

import numpy as np
import pytest
import torch
from dense import clouds, ranking
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.errors import CostError, DataError
from resight.graph import Neighbours, neighbours, search_cpu, search_device


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
    for bf16 in (False, True):
        indices, similarities = search_cpu.search(features, 9, block=block, bf16=bf16)
        np.testing.assert_array_equal(whole.indices, indices)
        np.testing.assert_allclose(whole.similarities, similarities, atol=1e-6)
    indices, similarities = search_device.search(torch.from_numpy(features), 9, block=block)
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


@pytest.mark.parametrize("features", [np.ones(4, np.float32), np.ones((4, 1), int)])
def test_wrong_shape_or_type_is_refused(features):
    with pytest.raises(ValueError, match=r"expected \(N, D\) floating point"):
        neighbours(features, 2)


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match="k is 0"):
        neighbours(np.eye(3, dtype=np.float32), 0)


def test_the_record_wants_each_sample_first():
    with pytest.raises(ValueError, match="itself"):
        Neighbours(np.array([[1, 0], [0, 1]], np.int32), np.ones((2, 2), np.float32))
    with pytest.raises(ValueError, match="shapes"):
        Neighbours(np.zeros((1, 2), np.int32), np.ones((1, 1), np.float32))


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_precisions_and_layouts_are_taken(kind, tmp_path):
    features = clouds(np.random.default_rng(1), 60, identities=6)
    whole = neighbours(features, 7)
    padded = np.zeros((60, 2 * features.shape[1]), kind)
    padded[:, ::2] = features
    apart = padded[:, ::2]
    assert not apart.flags.c_contiguous
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    for table in (apart, np.asfortranarray(features), mapped):
        np.testing.assert_allclose(neighbours(table, 7).similarities, whole.similarities, atol=2e-3)
    np.testing.assert_array_equal(neighbours(mapped, 7).indices, whole.indices)


@given(
    n=st.integers(2, 60),
    k=st.integers(1, 70),
    cameras=st.integers(1, 9),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_balanced_neighbours_take_turns_over_cameras(n, k, cameras, seed):
    rng = np.random.default_rng(seed)
    features = clouds(rng, n, identities=5)
    seen = rng.integers(0, cameras, n) ** 2
    found = neighbours(features, k, cameras=seen)
    similar = features.astype(np.float64) @ features.T.astype(np.float64)
    np.fill_diagonal(similar, 2)
    for i in range(n):
        turns = np.empty(n, int)
        for camera in set(seen):
            rows = np.flatnonzero(seen == camera)
            turns[rows[np.argsort(-similar[i, rows], kind="stable")]] = np.arange(len(rows))
        chosen = np.lexsort((-similar[i], turns))[: min(k, n)]
        expected = chosen[np.argsort(-similar[i, chosen], kind="stable")]
        np.testing.assert_array_equal(found.indices[i], expected)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_balanced_neighbours_of_duplicates_in_many_cameras(k):
    rows = clouds(np.random.default_rng(0), 40, identities=40, dim=64)
    for row in rows:
        found = neighbours(np.repeat(row[None], 6, axis=0), k, cameras=np.arange(6))
        np.testing.assert_array_equal(found.indices[:, 0], np.arange(6))


def test_bf16_candidates_with_too_little_between_them_are_found_all_the_same():
    """Cosines that differ by less than bfloat16 tells apart: the float32 search takes over."""
    rng = np.random.default_rng(0)
    features = 1 + 1e-3 * rng.standard_normal((700, 64))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    one, other = (search_cpu.search(features, 5, bf16=bf16) for bf16 in (False, True))
    np.testing.assert_array_equal(one[0], other[0])


def test_some_uncertain_rows_are_searched_again():
    rng = np.random.default_rng(0)
    features = clouds(rng, 900, identities=4, dim=48, noise=0.9)
    features[::31] = features[0] + 1e-3 * rng.standard_normal((30, 48)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    one, other = (search_cpu.search(features, 9, bf16=bf16) for bf16 in (False, True))
    np.testing.assert_array_equal(np.sort(one[0]), np.sort(other[0]))
    np.testing.assert_allclose(one[1], other[1], atol=1e-6)


def test_approximate_neighbours_reach_their_recall(caplog):
    features = clouds(np.random.default_rng(2), 6000, identities=300, dim=32, noise=0.5)
    exact = neighbours(features, 12)
    with caplog.at_level("INFO"):
        found = neighbours(features, 12, exact=False)
    shares = [len(set(a) & set(b)) / 12 for a, b in zip(found.indices, exact.indices, strict=True)]
    assert np.mean(shares) > 0.95
    assert "% of the 12 nearest are found" in caplog.text
    same = neighbours(features, 12, exact_limit=5999)
    np.testing.assert_array_equal(same.indices, found.indices)


def test_approximate_neighbours_of_few_or_equal_samples():
    for features in (np.eye(3, dtype=np.float32), np.ones((90, 1), np.float32)):
        found = neighbours(features, 80, exact=False)
        assert found.k == min(80, len(features))
        assert (np.sort(found.indices)[:, 1:] > np.sort(found.indices)[:, :-1]).all()


def test_equal_samples_do_not_ask_for_all_lists(caplog):
    """Which of 50 duplicates are among the nearest 12 is nothing that a search could get wrong."""
    features = np.repeat(clouds(np.random.default_rng(2), 120, identities=120, dim=32), 50, axis=0)
    with caplog.at_level("INFO"):
        found = neighbours(features, 12, exact=False)
    np.testing.assert_allclose(found.similarities, 1, atol=1e-5)
    assert int(re.search(r"in (\d+) of \d+ lists", caplog.text)[1]) < 10


def test_a_memory_limit_is_kept_or_refused():
    features = clouds(np.random.default_rng(2), 400, identities=30)
    whole = neighbours(features, 6)
    limited = neighbours(features, 6, memory=300_000)
    np.testing.assert_array_equal(limited.indices, whole.indices)
    with pytest.raises(CostError, match=r"searching 6 neighbours of 400 .* limit is .*: give more"):
        neighbours(features, 6, memory=100_000)
    with pytest.raises(CostError, match=r"searching 6 neighbours of 400"):
        neighbours(features, 6, cameras=np.arange(400) % 3, memory=100_000)
    with pytest.raises(CostError, match="approximately"):
        neighbours(features, 6, exact=False, memory=1000)


def test_wrong_cameras_are_refused():
    features = clouds(np.random.default_rng(1), 30, identities=3)
    with pytest.raises(ValueError, match=r"expected \(30,\)"):
        neighbours(features, 4, cameras=np.zeros(29, np.int64))
