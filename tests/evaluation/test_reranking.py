"""k-reciprocal re-ranking against the dense algorithm of the paper."""

import numpy as np
import pytest
from evaluation_cases import make_crops, smooth_vectors
from numpy.testing import assert_allclose, assert_array_equal
from reranking_reference import distances

from resight.errors import DataError
from resight.evaluation import cosine, evaluate, similarity
from resight.evaluation.reranking import Reranked
from resight.records import Features


def crowd(rng, n, *, identities=9, dim=16, noise=0.6):
    centres = rng.standard_normal((identities, dim))
    rows = centres[np.arange(n) % identities] + noise * rng.standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def table(scores, query, gallery, rows=None):
    """(R, G) what a `Scores` says, its blocks joined."""
    rows = np.arange(len(query)) if rows is None else rows
    blocks = [(of.copy(), block.copy()) for of, block in scores(query, gallery, rows)]
    assert_array_equal(np.concatenate([of for of, _ in blocks]), rows)
    return np.concatenate([block for _, block in blocks])


@pytest.mark.parametrize(("k1", "k2"), [(20, 6), (7, 1), (3, 9), (1, 1), (200, 200)])
@pytest.mark.parametrize("weight", [0.3, 0.0, 1.0])
def test_scores_are_the_published_distances(k1, k2, weight):
    rng = np.random.default_rng(k1)
    query, gallery = crowd(rng, 23), crowd(rng, 81)
    expected = distances(np.concatenate([gallery, query]), k1=k1, k2=k2, weight=weight)[81:, :81]
    sides = Features({"global": query}), Features({"global": gallery})
    for top in (None, 81, 500):
        found = table(Reranked(k1, k2, weight, top), *sides)
        assert found.dtype == np.float32
        assert_allclose(-found, expected, atol=2e-5)
        if weight:
            assert_array_equal(np.argsort(-found), np.argsort(expected))


def test_some_rows_in_small_blocks(monkeypatch):
    rng = np.random.default_rng(1)
    sides = Features({"global": crowd(rng, 40)}), Features({"global": crowd(rng, 70)})
    rows = np.array([3, 39, 0, 17, 22, 8, 9])
    whole = table(Reranked(k1=9), *sides)
    monkeypatch.setattr(similarity, "BLOCK_BYTES", 4 * 90 * 2)
    assert len(list(Reranked(k1=9)(*sides, rows))) > 2
    assert_allclose(table(Reranked(k1=9), *sides, rows), whole[rows], atol=1e-6)


@pytest.mark.parametrize("top", [1, 10, 80])
def test_answers_beyond_the_top_keep_their_order_behind_it(top):
    rng = np.random.default_rng(2)
    query, gallery = crowd(rng, 30), crowd(rng, 81)
    sides = Features({"global": query}), Features({"global": gallery})
    found, plain = table(Reranked(top=top), *sides), table(cosine, *sides)
    exact = table(Reranked(), *sides)
    for row in range(30):
        order = np.argsort(-plain[row])
        first, beyond = order[:top], order[top:]
        assert_array_equal(found[row, first], exact[row, first])
        assert found[row, first].min() >= found[row, beyond].max()
        assert_array_equal(beyond[np.argsort(-found[row, beyond], kind="stable")], beyond)
    assert top == 80 or not np.array_equal(found, exact)


def test_ties_of_the_last_one_are_reranked_too():
    rng = np.random.default_rng(3)
    gallery = np.repeat(crowd(rng, 20), 4, axis=0)
    sides = Features({"global": crowd(rng, 10)}), Features({"global": gallery})
    found = table(Reranked(top=2), *sides).reshape(10, 20, 4)
    plain = table(cosine, *sides).reshape(10, 20, 4)[:, :, 0]
    expected = table(Reranked(top=4), *sides).reshape(10, 20, 4)
    assert_array_equal(found, expected)
    best = plain.argmax(axis=1)
    assert (np.ptp(found[np.arange(10), best], axis=1) < 1).all()


def test_junk_and_the_query_itself_are_none_of_the_top():
    """The two answers nearest to each query cannot count: the next one is re-ranked."""
    rng = np.random.default_rng(10)
    vectors = crowd(rng, 60)
    near = vectors + 0.01 * rng.standard_normal(vectors.shape).astype(np.float32)
    both = np.concatenate([vectors, near / np.linalg.norm(near, axis=1, keepdims=True)])
    identities = np.concatenate([np.arange(60) % 9 + 1, np.full(60, -1)])
    everyone = Features({"global": both}, make_crops(identities))
    query = everyone.select(np.arange(60))
    found, plain = table(Reranked(top=1), query, everyone), table(cosine, query, everyone)
    exact, never = table(Reranked(), query, everyone), 0.6 * plain - np.float32(1.3)
    plain[:, 60:] = -1
    np.fill_diagonal(plain, -1)
    first, lines = plain.argmax(axis=1), np.arange(60)
    assert_array_equal(found[lines, first], exact[lines, first])
    found[lines, first] = never[lines, first]
    np.fill_diagonal(found, np.diag(never))
    assert_allclose(found, never, atol=1e-6)


def test_rows_of_zeros_are_refused():
    rng = np.random.default_rng(11)
    vectors = crowd(rng, 20)
    vectors[[3, 7]] = 0
    sides = Features({"global": crowd(rng, 4)}), Features({"global": vectors})
    with pytest.raises(DataError, match="2 of 24 crops have features of zeros"):
        table(Reranked(), *sides)


def test_a_query_in_the_gallery_is_one_crop():
    rng = np.random.default_rng(4)
    vectors, crops = crowd(rng, 60), make_crops(np.arange(60) % 9 + 1)
    everyone = Features({"global": vectors}, crops)
    some = everyone.select(np.arange(5, 60, 3))
    expected = distances(vectors, k1=8, k2=3, weight=0.3)
    found = table(Reranked(k1=8, k2=3), some, everyone)
    assert_allclose(-found, expected[5:60:3], atol=2e-5)
    apart = table(Reranked(k1=8, k2=3), Features({"global": vectors[5:60:3]}), everyone)
    assert not np.allclose(apart, found, atol=1e-3)


def test_junk_is_in_nobodys_neighbourhood():
    rng = np.random.default_rng(5)
    identities = np.arange(60) % 9 + 1
    identities[[0, 7, 30, 59]] = -1
    query = Features({"global": crowd(rng, 15)})
    gallery = Features({"global": crowd(rng, 60)}, make_crops(identities))
    kept = np.flatnonzero(identities > 0)
    found = table(Reranked(k1=6), query, gallery)
    assert_allclose(found[:, kept], table(Reranked(k1=6), query, gallery.select(kept)), atol=1e-6)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("protocol", ["cross-camera", "all", "camera-pairs"])
def test_protocols_take_it_and_find_more(protocol):
    rng = np.random.default_rng(6)
    n = 240
    crops = make_crops(np.arange(n) % 20 + 1, rng.integers(0, 3, n))
    features = Features({"global": crowd(rng, n, identities=20, dim=12, noise=0.75)}, crops)
    plain = evaluate(features, crops, protocol=protocol)
    better = evaluate(features, crops, protocol=protocol, scores=Reranked(k1=10, k2=3))
    assert better.figures["mAP"] > plain.figures["mAP"] + 3


def test_rows_of_any_length_are_normalised():
    rng = np.random.default_rng(7)
    query, gallery = crowd(rng, 12), crowd(rng, 40)
    lengths = rng.uniform(0.5, 3, (40, 1)).astype(np.float32)
    expected = table(Reranked(5, 2), Features({"global": query}), Features({"global": gallery}))
    stretched = Features({"global": 2 * query}), Features({"global": gallery * lengths})
    assert_allclose(table(Reranked(5, 2), *stretched), expected, atol=1e-5)


def test_nothing_to_rank():
    rng = np.random.default_rng(8)
    sides = (
        Features({"global": smooth_vectors(rng, 3)}),
        Features({"global": smooth_vectors(rng, 4)}),
    )
    assert list(Reranked()(*sides, np.arange(0))) == []
    empty = Features({"global": np.empty((0, 16), np.float32)})
    assert table(Reranked(), sides[0], empty).shape == (3, 0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"k1": 0}, "k1=0"), ({"k2": 0}, "k2=0"), ({"weight": 1.1}, "weight"), ({"top": 0}, "top=0")],
)
def test_settings_out_of_range_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        Reranked(**settings)
