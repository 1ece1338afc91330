"""Query expansion against a loop over queries and answers."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import exact_vectors, make_crops, random_crops, smooth_vectors
from numpy.testing import assert_allclose, assert_array_equal

from resight.evaluation import evaluate, similarity
from resight.evaluation.expansion import Expanded
from resight.records import Features


def table(scores, query, gallery, rows):
    blocks = [(of.copy(), block.copy()) for of, block in scores(query, gallery, rows)]
    assert_array_equal(np.concatenate([of for of, _ in blocks]), rows)
    return np.concatenate([block for _, block in blocks])


def may_answer(query, gallery, q, g):
    """Whether gallery crop g may take part in the expansion of query q."""
    if query.crops is None or gallery.crops is None:
        return True
    mine, theirs = query.crops, gallery.crops
    junk = theirs.identities is not None and theirs.identities[g] == -1
    seen = mine.cameras is not None and mine.cameras[q] == theirs.cameras[g]
    seen |= mine.tracks is not None and -1 != mine.tracks[q] == theirs.tracks[g]
    return not (junk or seen or mine.paths[q] == theirs.paths[g])


def expected(query, gallery, rows, *, n, alpha):
    """(R, G) cosines of the expanded queries."""
    answers = gallery.vectors.astype(np.float64)
    answers /= np.linalg.norm(answers, axis=1, keepdims=True)
    found = []
    for q in rows:
        mine = query.vectors[q].astype(np.float64)
        mine /= np.linalg.norm(mine)
        close = [
            (-(mine @ a), g) for g, a in enumerate(answers) if may_answer(query, gallery, q, g)
        ]
        total = mine.copy()
        for negative, g in sorted(close)[:n]:
            total += max(0.0, -negative) ** alpha * answers[g]
        found.append(answers @ (total / np.linalg.norm(total)))
    return np.array(found)


@pytest.mark.parametrize("n", [1, 5, 100])
@pytest.mark.parametrize("alpha", [0.0, 3.0, 0.5])
def test_queries_without_crops(n, alpha):
    rng = np.random.default_rng(n)
    query, gallery = (Features({"global": smooth_vectors(rng, m)}) for m in (13, 50))
    rows = np.array([12, 0, 5, 7])
    found = table(Expanded(n, alpha), query, gallery, rows)
    assert found.dtype == np.float32
    assert_allclose(found, expected(query, gallery, rows, n=n, alpha=alpha), atol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_what_the_protocol_removes_takes_no_part(seed):
    """Also with many ties, which the lower row wins."""
    rng = np.random.default_rng(seed)
    crops = random_crops(rng, 60)
    everyone = Features({"global": exact_vectors(rng, 60, near=crops.identities)}, crops)
    query = everyone.select(np.arange(0, 60, 4))
    rows = np.arange(len(query))
    found = table(Expanded(4, 2.0), query, everyone, rows)
    assert_allclose(found, expected(query, everyone, rows, n=4, alpha=2.0), atol=1e-5)


def test_the_own_track_takes_no_part():
    rng = np.random.default_rng(9)
    crops = replace(make_crops(n=40), tracks=rng.integers(-1, 4, 40))
    features = Features({"global": smooth_vectors(rng, 40)}, crops)
    rows = np.arange(40)
    found = table(Expanded(3), features, features, rows)
    assert_allclose(found, expected(features, features, rows, n=3, alpha=3.0), atol=1e-5)


def test_answers_of_the_own_camera_alone_leave_the_query_as_it_is():
    rng = np.random.default_rng(1)
    crops = make_crops([1, 1, 2, 3], [0, 0, 0, 0])
    features = Features({"global": smooth_vectors(rng, 4)}, crops)
    found = table(Expanded(), features, features, np.arange(4))
    assert_allclose(found, features.vectors @ features.vectors.T, atol=1e-6)


def test_without_cameras_only_the_crop_itself_is_left_out():
    rng = np.random.default_rng(2)
    features = Features({"global": smooth_vectors(rng, 30)}, make_crops(n=30))
    rows = np.arange(30)
    found = table(Expanded(3), features, features, rows)
    assert_allclose(found, expected(features, features, rows, n=3, alpha=3.0), atol=1e-5)


def test_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(3)
    query, gallery = (Features({"global": smooth_vectors(rng, m)}) for m in (20, 33))
    rows = rng.permutation(20)
    whole = table(Expanded(), query, gallery, rows)
    monkeypatch.setattr(similarity, "BLOCK_BYTES", 4 * 50 * 3)
    assert len(list(Expanded()(query, gallery, rows))) > 3
    assert_allclose(table(Expanded(), query, gallery, rows), whole, atol=1e-6)


def test_the_features_are_left_alone():
    rng = np.random.default_rng(4)
    query, gallery = (Features({"global": smooth_vectors(rng, 9)}) for _ in range(2))
    before = query.vectors.copy(), gallery.vectors.copy()
    list(Expanded()(query, gallery, np.arange(9)))
    assert_array_equal(query.vectors, before[0])
    assert_array_equal(gallery.vectors, before[1])


@pytest.mark.parametrize("protocol", ["cross-camera", "all", "camera-pairs"])
def test_protocols_take_it_and_find_more(protocol):
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((20, 12))
    vectors = centres[np.arange(240) % 20] + 0.75 * rng.standard_normal((240, 12))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    crops = make_crops(np.arange(240) % 20 + 1, rng.integers(0, 3, 240))
    features = Features({"global": vectors}, crops)
    plain = evaluate(features, crops, protocol=protocol)
    better = evaluate(features, crops, protocol=protocol, scores=Expanded())
    assert better.figures["mAP"] > plain.figures["mAP"] + 1


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"n": 0}, "n=0"), ({"alpha": -1}, "alpha"), ({"alpha": np.nan}, "alpha")],
)
def test_settings_out_of_range_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        Expanded(**settings)
