from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from resight.evaluation.projection import Point, projected
from resight.files import as_json
from resight.records import GLOBAL, Crops, Features


def world(sizes, *, dim=16, noise=0.1, seed=0):
    """Crops of len(sizes) identities, `sizes` of each, near one random direction each."""
    rng = np.random.default_rng(seed)
    identities = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    centres = rng.standard_normal((len(sizes), dim))
    vectors = centres[identities - 1] + noise * rng.standard_normal((len(identities), dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    n = len(identities)
    crops = Crops(
        root=Path("crops"),
        paths=tuple(f"{i:04d}.jpg" for i in range(n)),
        splits=np.full(n, "gallery"),
        cameras=np.arange(n) % 2,
        camera_names=("left", "right"),
        identities=identities,
        identity_names=tuple(f"p{i}" for i in range(1, len(sizes) + 1)),
    )
    return Features({GLOBAL: vectors.astype(np.float32)}), crops


def places(points):
    return np.array([(p.x, p.y) for p in points])


def test_neighbours_on_the_map_show_one_individual(monkeypatch):
    monkeypatch.setattr("resight.evaluation.projection.ITERATIONS", 1000)
    features, crops = world([15] * 6)
    points = projected(features, crops)
    apart = np.linalg.norm(places(points)[:, None] - places(points), axis=2)
    np.fill_diagonal(apart, np.inf)
    names = np.array([p.identity for p in points])
    assert (names[apart.argmin(axis=1)] == names).all()


def test_points_tell_of_their_crops_and_fill_the_unit_square():
    features, crops = world([5, 6, 7])
    points = projected(features, crops)
    row = {path: i for i, path in enumerate(crops.paths)}
    assert [row[p.path] for p in points] == list(range(18))
    for point in points:
        i = row[point.path]
        assert point.identity == crops.identity_names[crops.identities[i] - 1]
        assert point.camera == crops.camera_names[crops.cameras[i]]
    found = places(points)
    spans = found.max(axis=0) - found.min(axis=0)
    assert spans.max() == pytest.approx(1.0, abs=1e-3)
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.max(axis=0) + found.min(axis=0) == pytest.approx([1, 1], abs=1e-3)


def test_the_individuals_with_most_crops_ties_to_the_lower_one():
    features, crops = world([3, 9, 5, 5, 2])
    points = projected(features, crops, identities=2, crops_each=100)
    assert {p.identity for p in points} == {"p2", "p3"}
    assert len(points) == 14


def test_a_seeded_choice_of_each_ones_crops():
    features, crops = world([40, 40, 3])
    points = projected(features, crops, crops_each=10)
    counts = {name: sum(p.identity == name for p in points) for name in ("p1", "p2", "p3")}
    assert counts == {"p1": 10, "p2": 10, "p3": 3}
    assert projected(features, crops, crops_each=10) == points
    other = projected(features, crops, crops_each=10, seed=1)
    assert [p.path for p in other] != [p.path for p in points]


def test_junk_and_distractors_are_left_out():
    features, crops = world([6, 6])
    identities = crops.identities.copy()
    identities[[0, 7]] = -1, 0
    points = projected(features, replace(crops, identities=identities))
    assert {"0000.jpg", "0007.jpg"}.isdisjoint(p.path for p in points)
    assert len(points) == 10


def test_clusters_stand_in_for_identities():
    features, crops = world([6, 6])
    unlabelled = replace(crops, identities=None, identity_names=())
    labels = np.where(np.arange(12) == 3, -1, crops.identities - 1)
    points = projected(features, unlabelled, labels=labels)
    assert {p.identity for p in points} == {"cluster 0", "cluster 1"}
    assert len(points) == 11
    with pytest.raises(ValueError, match="without identities need labels"):
        projected(features, unlabelled)


@pytest.mark.parametrize("dim", [1, 2, 16])
@pytest.mark.parametrize("n", [4, 5, 9])
def test_few_equal_and_flat_features(dim, n):
    features, crops = world([n], dim=dim)
    same = Features({GLOBAL: np.ones((n, dim), np.float32) / np.float32(np.sqrt(dim))})
    for given in (features, same):
        found = places(projected(given, crops))
        assert found.shape == (n, 2)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_for_a_map(n):
    features, crops = world([n])
    assert projected(features, crops) == []


def test_points_are_plain_json_and_carry_boxes():
    features, crops = world([4, 4])
    boxes = np.arange(32, dtype=np.float32).reshape(8, 4)
    cut = replace(crops, boxes=boxes)
    first = projected(features, cut)[0]
    assert first.box == (0.0, 1.0, 2.0, 3.0)
    as_json(asdict(first))
    assert projected(features, crops)[0].box is None
    assert isinstance(first, Point)


def test_numbers_that_do_not_fit():
    features, crops = world([4, 4])
    with pytest.raises(ValueError, match=r"\(0, 5\), expected 1 or more"):
        projected(features, crops, identities=0, crops_each=5)
    with pytest.raises(ValueError, match="7 labels for 8 crops"):
        projected(features, crops, labels=np.zeros(7, np.int64))
