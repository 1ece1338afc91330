"""Tensors are ranked like arrays: here on the CPU, and on CUDA where there is one."""

import numpy as np
import pytest
import torch
from evaluation_cases import exact_vectors, smooth_vectors
from evaluation_reference import figures
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import resight.evaluation.on_device as on_device
from resight.errors import DataError
from resight.evaluation import Truth, rank
from resight.evaluation.on_device import table

PLACES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
    ),
]


def case(rng, n_query, n_gallery, *, n_ids=6, cameras=True, own=False):
    ids, seen = rng.integers(-1, n_ids, n_gallery), rng.integers(0, 3, n_gallery)
    if own:
        rows = rng.permutation(n_gallery)[:n_query]
        return Truth(ids[rows], ids, *((seen[rows], seen) if cameras else (None, None)), rows)
    query_cameras = rng.integers(0, 3, n_query) if cameras else None
    return Truth(rng.integers(-1, n_ids, n_query), ids, query_cameras, seen if cameras else None)


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_query=st.integers(0, 9),
    n_gallery=st.integers(0, 40),
    cameras=st.booleans(),
    own=st.booleans(),
    ties=st.booleans(),
)
def test_counts_on_a_device_agree_with_the_definitions(
    place, seed, n_query, n_gallery, cameras, own, ties
):
    rng = np.random.default_rng(seed)
    own = own and n_query <= n_gallery
    truth = case(rng, n_query, n_gallery, cameras=cameras, own=own)
    vectors = exact_vectors if ties else smooth_vectors
    gallery = vectors(rng, n_gallery)
    query = gallery[truth.query_rows] if own else vectors(rng, n_query)
    found = table(torch.tensor(query, device=place), torch.tensor(gallery, device=place), truth)
    assert_allclose(found, figures(truth, query @ gallery.T), rtol=0, atol=1e-9)


@pytest.mark.parametrize("place", PLACES)
def test_blocks_and_lengths_make_no_difference(place, monkeypatch):
    rng = np.random.default_rng(0)
    truth = case(rng, 40, 90)
    query, gallery = (torch.tensor(exact_vectors(rng, n), device=place) for n in (40, 90))
    whole = table(query, gallery, truth)
    monkeypatch.setattr(on_device, "BLOCK_BYTES", 3 * 32 * (90 + 12))
    monkeypatch.setattr(on_device, "TILE", 16)
    np.testing.assert_array_equal(table(query, gallery, truth), whole)
    np.testing.assert_array_equal(table(query * 4, gallery * 0.5, truth), whole)
    np.testing.assert_array_equal(table(query.half(), gallery.bfloat16(), truth), whole)


@pytest.mark.parametrize("place", PLACES)
def test_equal_features_and_broken_ones(place):
    ids = np.r_[1, np.full(4098, 2), 1]
    same = torch.tensor(smooth_vectors(np.random.default_rng(0), 1, 333), device=place)
    gallery = same.expand(4100, -1)
    found = table(same, gallery, Truth(ids[:1], ids))
    assert found[0, 3] == 4099
    broken = gallery.clone()
    broken[7, 2] = torch.nan
    with pytest.raises(DataError, match=r"gallery .* \(rows 7\)"):
        table(same, broken, Truth(ids[:1], ids))


def test_precision_of_products_is_put_back():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        table(torch.eye(3), torch.eye(3), Truth(np.arange(3), np.arange(3)))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("place", PLACES)
def test_rank_takes_tensors_of_any_precision(place, dtype):
    rng = np.random.default_rng(1)
    truth = case(rng, 30, 80)
    query, gallery = exact_vectors(rng, 30), exact_vectors(rng, 80)
    known = (truth.query_ids, truth.gallery_ids, truth.query_cameras, truth.gallery_cameras)
    expected = rank(query, gallery, *known)
    tensors = (torch.tensor(side, dtype=dtype, device=place) for side in (query, gallery))
    found = rank(*tensors, *known)
    np.testing.assert_array_equal(found.ap_step, expected.ap_step)
    np.testing.assert_array_equal(found.first, expected.first)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_arrays_of_other_precision_count_as_float32(dtype):
    rng = np.random.default_rng(2)
    truth = case(rng, 50, 5000)
    query, gallery = (3 * smooth_vectors(rng, n, 40).astype(dtype) for n in (50, 5000))
    known = (truth.query_ids, truth.gallery_ids, truth.query_cameras, truth.gallery_cameras)
    expected = rank(query.astype(np.float32), gallery.astype(np.float32), *known)
    np.testing.assert_array_equal(rank(query, gallery, *known).ap_step, expected.ap_step)


def test_large_float16_values_do_not_overflow():
    large = np.full((2, 64), 3e4, np.float16)
    ranking = rank(large[:1], large, np.array([1]), np.array([1, 2]))
    assert ranking.first.tolist() == [2]
