"""n_clusters "auto", and more clusters than crops, of the clusterers that are told how many."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.metrics import adjusted_rand_score
from tables import Table, clouds

from resight import parts
from resight.clustering import DBSCAN, HDC, KMeans, OnSample
from resight.clustering.doctor import propose_eps
from resight.errors import DataError, NothingToLearnError
from resight.graph import jaccard_graph
from resight.records import Crops, Features

BOTH = pytest.mark.parametrize("cls", [HDC, KMeans])


def crops(n, **known):
    return Crops(Path(), tuple(f"{i}.jpg" for i in range(n)), np.full(n, "train"), **known)


def far_apart(n):
    """No two of them share support."""
    table = Table(1 - np.eye(n, dtype=np.float32))
    return table, Features({"global": np.eye(n, dtype=np.float32)})


@BOTH
def test_auto_asks_for_what_dbscan_finds(cls):
    vectors, identities = clouds(np.random.default_rng(1), [12] * 15, dim=32, noise=0.5)
    graph, features = jaccard_graph(vectors, k1=10), Features({"global": vectors})
    rng = np.random.default_rng(0)
    found = cls()(graph, features, rng)
    expected = DBSCAN("auto")(graph, features, rng)
    assert found.n_clusters == expected.n_clusters == 15
    member = found.labels >= 0
    assert adjusted_rand_score(found.labels[member], identities[member]) > 0.97


@BOTH
def test_auto_looks_at_the_cameras(cls, monkeypatch):
    vectors, _ = clouds(np.random.default_rng(2), [10] * 6, dim=16, noise=0.4)
    cameras = np.arange(60) % 3
    seen = []

    def watched(graph, **given):
        seen.append(given["cameras"])
        return propose_eps(graph, **given)

    monkeypatch.setattr("resight.clustering.how_many.propose_eps", watched)
    graph = jaccard_graph(vectors, k1=8)
    for known in (None, crops(60), crops(60, cameras=cameras)):
        cls()(graph, Features({"global": vectors}, known), np.random.default_rng(0))
    assert seen[:2] == [None, None]
    np.testing.assert_array_equal(seen[2], cameras)


@BOTH
def test_auto_on_a_sample_counts_the_sample_alone(cls):
    vectors, _ = clouds(np.random.default_rng(3), [20] * 8, dim=32, noise=0.4)
    graph, features = jaccard_graph(vectors, k1=8), Features({"global": vectors})
    found = OnSample(0.5, cls())(graph, features, np.random.default_rng(0))
    assert 2 <= found.n_clusters <= 10


@BOTH
@pytest.mark.parametrize("n", [0, 1, 9])
def test_auto_asks_back_when_nothing_tells(cls, n):
    with pytest.raises(NothingToLearnError, match=f"no eps .* {n} crops .*: set n_clusters to"):
        cls()(*far_apart(n), np.random.default_rng(0))


@BOTH
def test_more_clusters_than_crops_are_told_before_and_while_clustering(cls):
    (told,) = cls(8).unmet(crops(5))
    with pytest.raises(DataError) as raised:
        cls(8)(*far_apart(5), np.random.default_rng(0))
    assert str(raised.value) == told
    assert "8 clusters in 5 crops" in told
    assert cls(8).unmet(crops(8)) == []
    assert cls().unmet(crops(0)) == []


@BOTH
def test_auto_survives_yaml_and_can_be_replaced(cls):
    for part in (cls(), cls(750)):
        problems = []
        plain = yaml.safe_load(yaml.safe_dump(parts.to_plain(part)))
        assert parts.from_plain(cls, plain, where="x", problems=problems) == part
        assert not problems
    assert dataclasses.replace(cls(), n_clusters=7) == cls(7)
    problems = []
    assert parts.from_plain(cls, {"n_clusters": "many"}, where="x", problems=problems) is None
    assert problems
