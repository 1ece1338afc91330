import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from evaluation_cases import exact_vectors, smooth_vectors
from evaluation_reference import figures
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score

import resight.evaluation.similarity as similarity
from resight.errors import ConfigError, DataError
from resight.evaluation import Truth, rank, rank_blocks


def table_of(ranking):
    first = np.where(ranking.first > 0, ranking.first, np.nan)
    return np.stack([ranking.ap_step, ranking.ap_market, ranking.inp, first], axis=1)


def random_truth(rng, n_query, n_gallery, *, n_ids, cameras, own=False):
    gallery_ids = rng.integers(-1, n_ids, n_gallery)
    gallery_cameras = rng.integers(0, 3, n_gallery) if cameras else None
    if own:
        rows = rng.permutation(n_gallery)[:n_query]
        ids, seen = gallery_ids[rows], gallery_cameras[rows] if cameras else None
        return Truth(ids, gallery_ids, seen, gallery_cameras, rows)
    query_cameras = rng.integers(0, 3, n_query) if cameras else None
    return Truth(rng.integers(-1, n_ids, n_query), gallery_ids, query_cameras, gallery_cameras)


def rank_truth(query, gallery, truth, **options):
    return rank(
        query,
        gallery,
        truth.query_ids,
        truth.gallery_ids,
        truth.query_cameras,
        truth.gallery_cameras,
        query_rows=truth.query_rows,
        **options,
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_query=st.integers(0, 9),
    n_gallery=st.integers(0, 40),
    n_ids=st.integers(1, 7),
    cameras=st.booleans(),
    ties=st.booleans(),
)
def test_agrees_with_the_definitions(seed, n_query, n_gallery, n_ids, cameras, ties):
    rng = np.random.default_rng(seed)
    truth = random_truth(rng, n_query, n_gallery, n_ids=n_ids, cameras=cameras)
    vectors = exact_vectors if ties else smooth_vectors
    query, gallery = vectors(rng, n_query), vectors(rng, n_gallery)
    ranking = rank_truth(query, gallery, truth)
    assert_allclose(table_of(ranking), figures(truth, query @ gallery.T), rtol=0, atol=1e-9)


@pytest.mark.parametrize("cameras", [False, True])
def test_a_query_within_the_gallery_never_finds_itself(cameras):
    rng = np.random.default_rng(3)
    truth = random_truth(rng, 60, 90, n_ids=9, cameras=cameras, own=True)
    gallery = exact_vectors(rng, 90)
    query = gallery[truth.query_rows]
    ranking = rank_truth(query, gallery, truth)
    assert ranking.n_queries > 30
    assert_allclose(table_of(ranking), figures(truth, query @ gallery.T), rtol=0, atol=1e-9)


@pytest.mark.parametrize("vectors", [exact_vectors, smooth_vectors])
def test_step_ap_is_that_of_scikit_learn(vectors):
    rng = np.random.default_rng(0)
    truth = random_truth(rng, 50, 300, n_ids=12, cameras=True)
    query, gallery = vectors(rng, 50), vectors(rng, 300)
    ranking, scores = rank_truth(query, gallery, truth), query @ gallery.T
    assert ranking.n_queries > 35
    for i in np.flatnonzero(ranking.counted):
        kept = ~truth.removed(i)
        expected = average_precision_score(truth.right(i)[kept], scores[i, kept])
        assert ranking.ap[i] == pytest.approx(expected, abs=1e-9)


def test_small_example_by_hand():
    """Order: wrong .9, right .8, junk .7, right .6, wrong .5, right in own camera first of all."""
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 1.0]], np.float32)
    truth = Truth(
        np.array([5]), np.array([0, 5, -1, 5, 7, 5]), np.array([1]), np.array([1, 2, 2, 3, 1, 1])
    )
    ranking = rank_blocks([(np.array([0]), scores)], truth, ranks=(1, 2, 3))
    assert ranking.mAP == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert ranking.mAP_market == pytest.approx(((0 + 1 / 2) / 2 + (1 / 2 + 2 / 3) / 2) / 2)
    assert ranking.minp == pytest.approx(2 / 3)
    assert ranking.cmc == {1: 0.0, 2: 1.0, 3: 1.0}
    assert ranking.first.tolist() == [2]


@pytest.mark.parametrize("dim", [16, 333, 512])
@pytest.mark.parametrize("n", [5, 67, 4099])
def test_wrong_answers_win_ties_of_equal_features(n, dim):
    ids = np.full(n, 2)
    ids[[0, -1]] = 1
    vectors = np.repeat(smooth_vectors(np.random.default_rng(1), 1, dim=dim), n, axis=0)
    for height in (1, 3):
        ranking = rank(vectors[:height], vectors, ids[:1].repeat(height), ids)
        assert ranking.first.tolist() == [n - 1] * height
        assert ranking.mAP == pytest.approx(2 / n)
        assert ranking.minp == pytest.approx(2 / n)
        assert ranking.cmc[1] == 0


def test_queries_without_match_or_label_do_not_count():
    vectors = smooth_vectors(np.random.default_rng(2), 5)
    query_ids, gallery_ids = np.array([1, 2, 3, 0, -1]), np.array([1, 2, 2, 0, -1])
    query_cameras, gallery_cameras = np.zeros(5, int), np.array([1, 0, 0, 1, 1])
    ranking = rank(vectors, vectors, query_ids, gallery_ids, query_cameras, gallery_cameras)
    assert (ranking.n_queries, ranking.dropped) == (1, 2)
    assert np.isnan(ranking.ap).tolist() == [False, True, True, True, True]
    assert ranking.first.tolist() == [1, 0, 0, 0, 0]
    assert ranking.searched.tolist() == [True, True, True, False, False]
    assert ranking.mAP == 1


def test_blocks_make_no_difference(monkeypatch):
    rng = np.random.default_rng(4)
    truth = random_truth(rng, 23, 57, n_ids=5, cameras=True)
    query, gallery = exact_vectors(rng, 23), exact_vectors(rng, 57)
    whole = table_of(rank_truth(query, gallery, truth))
    for height in (1, 4, 22):
        monkeypatch.setattr(similarity, "BLOCK_BYTES", height * 4 * (57 + 12))
        np.testing.assert_array_equal(table_of(rank_truth(query, gallery, truth)), whole)


def test_length_of_the_vectors_does_not_matter():
    rng = np.random.default_rng(5)
    truth = random_truth(rng, 20, 60, n_ids=5, cameras=False)
    query, gallery = smooth_vectors(rng, 20), smooth_vectors(rng, 60)
    stretched = gallery * rng.uniform(0.1, 9, (60, 1)).astype(np.float32)
    expected = table_of(rank_truth(query, gallery, truth))
    kept = query.copy()
    assert_allclose(table_of(rank_truth(query * 7, stretched, truth)), expected, atol=1e-9)
    np.testing.assert_array_equal(query, kept)


def test_rows_of_zeros_are_similar_to_nothing():
    query, gallery = np.eye(2, dtype=np.float32)[:1], np.zeros((3, 2), np.float32)
    ranking = rank(query, gallery, np.array([1]), np.array([1, 2, 3]))
    assert ranking.mAP == pytest.approx(1 / 3)


def test_market_rule_is_a_choice_and_select_keeps_it():
    rng = np.random.default_rng(6)
    truth = random_truth(rng, 30, 80, n_ids=5, cameras=True)
    query, gallery = exact_vectors(rng, 30), exact_vectors(rng, 80)
    step, market = (rank_truth(query, gallery, truth, ap=rule) for rule in ("step", "market"))
    assert market.mAP == market.mAP_market == step.mAP_market != step.mAP
    rows = np.flatnonzero(market.counted)[[0, 0, 3]]
    assert market.select(rows).mAP == pytest.approx(market.ap_market[rows].mean())


def test_nothing_to_count_is_nan_and_none():
    empty = np.zeros((0, 4), np.float32)
    some, ids, none = np.eye(4, dtype=np.float32), np.arange(1, 5), np.zeros(0, int)
    for ranking in (rank(empty, some, none, ids), rank(some, empty, ids, none)):
        assert np.isnan([ranking.mAP, ranking.mAP_market, ranking.minp, ranking.cmc[1]]).all()
        assert json.loads(json.dumps(ranking.as_dict(), allow_nan=False))["mAP"] is None
    assert ranking.dropped == 4


def test_figures_are_percent():
    one = np.eye(2, dtype=np.float32)[:1]
    ranking = rank(one, one, np.array([1]), np.array([1]), ranks=(1, 20))
    assert ranking.as_dict() == {
        "mAP": 100, "mAP_market": 100, "mINP": 100, "rank1": 100, "rank20": 100,
        "ap": "step", "queries": 1, "dropped": 0,
    }  # fmt: skip


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_broken_features_are_refused_with_their_rows(value):
    good = smooth_vectors(np.random.default_rng(7), 9)
    bad = good.copy()
    bad[[2, 7], 3] = value
    ids = np.arange(1, 10)
    with pytest.raises(DataError, match=r"gallery .* 2 of 9 rows \(rows 2, 7\)"):
        rank(good, bad, ids, ids)
    with pytest.raises(DataError, match="query"):
        rank(bad, good, ids, ids)


def test_ranking_leaves_the_number_of_threads_alone():
    """Else sums of a training that goes on after it have other last bits."""
    code = """
import numpy as np, torch
from resight.evaluation import rank
ids = np.arange(1, 40)
rank(np.eye(39, dtype=np.float32), np.eye(39, dtype=np.float32), ids, ids)
print(torch.get_num_threads())
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert told.stdout.strip() == "1"


def test_arrays_that_do_not_fit_are_refused():
    vectors, ids = smooth_vectors(np.random.default_rng(8), 4), np.arange(1, 5)
    with pytest.raises(ValueError, match="one D"):
        rank(vectors, vectors[:, :3], ids, ids)
    with pytest.raises(ValueError, match="4 query"):
        rank(vectors, vectors, ids[:3], ids)
    with pytest.raises(ValueError, match="one side"):
        rank(vectors, vectors, ids, ids, ids)
    with pytest.raises(ValueError, match="integers"):
        rank(vectors, vectors, ids.astype(float), ids)
    with pytest.raises(ValueError, match="another identity"):
        rank(vectors, vectors, ids, ids, query_rows=ids[::-1] - 1)
    with pytest.raises(ValueError, match="-1 … 3"):
        rank(vectors, vectors, ids, ids, query_rows=ids)
    with pytest.raises(ValueError, match="from 1"):
        rank(vectors, vectors, ids, ids, ranks=(0, 1))
    with pytest.raises(ConfigError, match="step, market"):
        rank(vectors, vectors, ids, ids, ap="trapezoid")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"query": [[1.0, 0.0]]}, "query is a list, expected an array or a tensor"),
        ({"query_ids": [1, 2]}, "query_ids is a list, expected an array of integers"),
        ({"query_ids": torch.arange(2)}, "query_ids is a Tensor, expected an array"),
        ({"gallery_ids": np.array(["a", "b"])}, "gallery_ids has dtype <U1, expected signed int"),
        ({"gallery_ids": np.array([1, 2], np.uint64)}, "dtype uint64, expected signed integers"),
        ({"gallery_cameras": ["a", "b"]}, "gallery_cameras is a list"),
    ],
)
def test_what_is_no_array_of_numbers_is_told(wrong, told):
    ids = np.array([1, 2])
    names = ("query", "gallery", "query_ids", "gallery_ids", "query_cameras", "gallery_cameras")
    values = dict(zip(names, (*[np.eye(2, dtype=np.float32)] * 2, *[ids] * 4), strict=True))
    with pytest.raises(ValueError, match=told):
        rank(**{**values, **wrong})


def test_identities_below_junk_are_refused():
    vectors = smooth_vectors(np.random.default_rng(8), 2)
    with pytest.raises(ValueError, match=r"gallery_ids holds -7, expected -1 \(junk\)"):
        rank(vectors, vectors, np.array([1, 2]), np.array([-7, 2]))
