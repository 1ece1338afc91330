import json

import numpy as np
import pytest
from evaluation_cases import features_of, make_crops, random_crops, smooth_vectors
from evaluation_reference import figures
from numpy.testing import assert_allclose

from resight.errors import ConfigError, DataError
from resight.evaluation import PROTOCOLS, Truth, automatic_protocol, evaluate
from resight.records import Features

NAMES = ("mAP", "mAP_market", "mINP")


def slow(crops, features, queries, gallery, *, by_camera):
    """Mean figures in percent, rank-1 last, of these rows against those; NaN if none counts."""
    rows = np.array([np.flatnonzero(gallery == q)[0] if q in gallery else -1 for q in queries])
    cameras = (crops.cameras[queries], crops.cameras[gallery]) if by_camera else (None, None)
    truth = Truth(crops.identities[queries], crops.identities[gallery], *cameras, rows)
    vectors = features.vectors
    table = figures(truth, vectors[queries] @ vectors[gallery].T)
    table = table[~np.isnan(table[:, 0])]
    if not len(table):
        return np.full(4, np.nan)
    return 100 * np.append(table[:, :3].mean(axis=0), (table[:, 3] == 1).mean())


def shown(found):
    return [found[name] for name in (*NAMES, "rank1")]


def crossing(crops):
    ids, cameras = crops.identities, crops.cameras
    return np.array([i for i, k in enumerate(ids) if k > 0 and len(set(cameras[ids == k])) > 1])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("with_cameras", [True, False])
def test_market1501(seed, with_cameras):
    rng = np.random.default_rng(seed)
    crops = random_crops(rng, 120, with_splits=True)
    crops = make_crops(crops.identities, crops.cameras if with_cameras else None, crops.splits)
    features = features_of(crops, rng)
    found = evaluate(features, crops)
    queries, gallery = (np.flatnonzero(crops.splits == side) for side in ("query", "gallery"))
    expected = slow(crops, features, queries, gallery, by_camera=with_cameras)
    assert found.protocol == "market1501"
    assert_allclose(shown(found.figures), expected, atol=1e-9)
    assert f"{np.sum(crops.splits == 'train')} crops of split train not used" in found.notes
    junk = np.sum(crops.identities[gallery] == -1)
    assert f"{junk} gallery crops with identity -1 (junk) removed" in found.notes


@pytest.mark.parametrize("seed", range(3))
def test_cross_camera(seed):
    rng = np.random.default_rng(seed)
    crops = random_crops(rng, 90, n_ids=30)
    features = features_of(crops, rng)
    found = evaluate(features, crops)
    queries = crossing(crops)
    expected = slow(crops, features, queries, np.arange(90), by_camera=True)
    assert found.protocol == "cross-camera"
    assert found.ranking.n_queries == len(queries) > 10
    assert_allclose(shown(found.figures), expected, atol=1e-9)
    lone = np.sum(crops.identities > 0) - len(queries)
    assert found.notes[0] == f"{lone} crops of identities seen by one camera only are not queries"


@pytest.mark.parametrize("seed", range(3))
def test_all(seed):
    rng = np.random.default_rng(seed)
    crops = random_crops(rng, 70, n_ids=25)
    crops = make_crops(crops.identities)
    features = features_of(crops, rng)
    found = evaluate(features, crops)
    queries = np.flatnonzero(crops.identities > 0)
    expected = slow(crops, features, queries, np.arange(70), by_camera=False)
    assert found.protocol == "all"
    assert_allclose(shown(found.figures), expected, atol=1e-9)
    assert found.ranking.dropped == sum(np.sum(crops.identities == k) == 1 for k in range(1, 25))


@pytest.mark.parametrize("seed", range(3))
def test_camera_pairs(seed):
    rng = np.random.default_rng(seed)
    crops = random_crops(rng, 60, n_ids=9, n_cameras=4)
    cameras = np.where(crops.identities > 4, crops.cameras // 2 * 2, crops.cameras)
    crops = make_crops(crops.identities, np.where(cameras == 1, 5, cameras))
    features = features_of(crops, rng)
    found = evaluate(features, crops, protocol="camera-pairs")
    seen = np.unique(crops.cameras)
    matrices = np.full((4, len(seen), len(seen)), np.nan)
    for i, a in enumerate(seen):
        for j, b in enumerate(seen):
            sides = [np.flatnonzero(crops.cameras == camera) for camera in (a, b)]
            if a != b:
                matrices[:, i, j] = slow(crops, features, *sides, by_camera=False)
    for name, matrix in zip((*NAMES, "rank1"), matrices, strict=True):
        assert_allclose(found.matrices[name], matrix, atol=1e-9)
        assert found.figures[name] == pytest.approx(np.nanmean(matrix), abs=1e-9)
    assert found.cameras == tuple("abcdefgh"[camera] for camera in seen)
    for query, gallery, ap in zip(found.queries, found.galleries, found.ranking.ap, strict=True):
        others = np.flatnonzero(crops.cameras == gallery)
        expected = slow(crops, features, np.array([query]), others, by_camera=False)[0]
        assert crops.cameras[query] != gallery
        assert_allclose(100 * ap, expected, atol=1e-9)


def test_camera_pairs_without_common_identities_are_left_out():
    crops = make_crops([1, 1, 2, 2, 3], [0, 1, 0, 0, 2])
    found = evaluate(features_of(crops, np.random.default_rng(0)), crops, protocol="camera-pairs")
    assert np.isnan(found.matrices["mAP"]).sum() == 7
    assert found.notes[0] == "4 of 6 camera pairs share no identity and are left out"


@pytest.mark.parametrize(
    ("crops", "expected"),
    [
        (make_crops(n=4), "label-free"),
        (make_crops([-1, -1, 0, 0], [0, 1, 0, 1]), "label-free"),
        (make_crops([1, 1, 2], [0, 1, 0], ["query", "gallery", "train"]), "market1501"),
        (make_crops([1, 1, 2], [0, 1, 0], ["query", "train", "train"]), "cross-camera"),
        (make_crops([1, 1, 2], [0, 0, 1]), "all"),
        (make_crops([1, 1, 2], [0, 0, 0]), "all"),
        (make_crops([1, 1, 2]), "all"),
    ],
)
def test_automatic_protocol(crops, expected):
    assert automatic_protocol(crops) == expected


def test_collapsed_features_score_badly():
    crops = make_crops(np.arange(40) // 4 + 1, np.arange(40) % 2)
    vectors = np.repeat(smooth_vectors(np.random.default_rng(0), 1), 40, axis=0)
    found = evaluate(Features({"global": vectors}), crops)
    assert found.figures["rank1"] == found.figures["rank10"] == 0
    assert found.figures["mAP"] == pytest.approx(100 * 2 / 38)


@pytest.mark.parametrize("with_cameras", [True, False])
def test_label_free(with_cameras):
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(6), 20)
    vectors = smooth_vectors(rng, 6, 32)[who] * 5 + smooth_vectors(rng, 120, 32)
    crops = make_crops(n=120, cameras=np.tile([0, 1], 60) if with_cameras else None)
    found = evaluate(Features({"global": vectors}), crops)
    assert found.protocol == "label-free"
    assert found.figures["clusters"] == 6
    assert found.figures["outliers"] == 0
    assert 0 < found.figures["silhouette"] <= 1
    assert found.figures.get("camera_entropy") == (pytest.approx(1) if with_cameras else None)


def test_other_scores_can_rank():
    crops = make_crops([1, 1, 2, 2], [0, 1, 0, 1])
    features = Features({"global": np.eye(4, dtype=np.float32)})
    same = np.equal.outer([1, 1, 2, 2], [1, 1, 2, 2]).astype(np.float32)

    def perfect(query, gallery, rows):
        yield rows, same[rows][:, : len(gallery)]

    assert evaluate(features, crops, scores=perfect).figures["mAP"] == 100
    assert evaluate(features, crops).figures["mAP"] < 100


@pytest.mark.parametrize("protocol", ["market1501", "cross-camera", "camera-pairs", "all"])
def test_crops_that_a_protocol_cannot_evaluate(protocol):
    def refuse(crops, words):
        features = Features({"global": np.eye(4, dtype=np.float32)[: len(crops)]})
        with pytest.raises(DataError, match=words):
            evaluate(features, crops, protocol=protocol)

    sides = ["query", "query", "gallery", "gallery"]
    refuse(make_crops(n=4, cameras=[0, 1, 0, 1], splits=sides), "no identities")
    refuse(make_crops([1, 2, 3, 4], [0, 1, 0, 1], sides), "no identity was seen|none of")
    if protocol in ("market1501", "cross-camera"):
        refuse(make_crops([1, 2, 1, 2], [0, 0, 0, 0], sides), "another camera")
    if protocol == "market1501":
        refuse(make_crops([1, 2, 3, 4]), "0 query and 0 gallery")
    if protocol in ("cross-camera", "camera-pairs"):
        refuse(make_crops([1, 1, 2, 2]), "no cameras")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_crops_at_all(protocol):
    crops = make_crops([], [])
    with pytest.raises(DataError):
        evaluate(Features({"global": np.zeros((0, 4), np.float32)}), crops, protocol=protocol)


def test_wrong_settings_and_broken_features():
    crops = make_crops([1, 1, 2, 2], [0, 1, 0, 1])
    features = Features({"global": np.eye(4, dtype=np.float32)})
    with pytest.raises(ConfigError, match="did you mean 'cross-camera'"):
        evaluate(features, crops, protocol="crosscamera")
    with pytest.raises(ValueError, match="3 features for 4 crops"):
        evaluate(features.select(np.arange(3)), crops)
    broken = np.eye(4, dtype=np.float32)
    broken[2] = np.nan
    with pytest.raises(DataError, match=r"view 'upper' .* \(rows 2\)"):
        evaluate(Features({"global": features.vectors, "upper": broken}), crops)


@pytest.mark.parametrize("protocol", ["cross-camera", "camera-pairs"])
def test_as_dict_is_json(protocol):
    crops = make_crops([1, 1, 2, 2, 3], [0, 1, 0, 1, 2])
    found = evaluate(features_of(crops, np.random.default_rng(0)), crops, protocol=protocol)
    read = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert read["figures"] == found.figures
    assert ("matrices" in read) == (protocol == "camera-pairs")
    assert read["queries"] == 4
