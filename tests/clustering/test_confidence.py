import dataclasses

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import Table, clouds, random_table

from resight import parts
from resight.clustering import AllAlike, Silhouette, anchors
from resight.records import Features
from resight.schedules import Constant, Linear, Ramp, Tanh


def slow_silhouettes(distances, labels):
    """CGC, Eq. 4-6, sample by sample, a divided by the other members."""
    scores = np.full(len(labels), np.nan)
    clusters = sorted(set(labels) - {-1})
    for i in np.flatnonzero(labels >= 0):
        own = [j for j in range(len(labels)) if labels[j] == labels[i] and j != i]
        others = [np.flatnonzero(labels == c) for c in clusters if c != labels[i]]
        if others:
            b = min(np.mean([distances[i, j] for j in members]) for members in others)
            a = np.mean([distances[i, j] for j in own]) if own else b
            scores[i] = (b - a) / max(a, b) if max(a, b) > 1e-6 else 0
    return scores


def slow_anchors(labels, score, threshold):
    kept = np.full(len(labels), -1)
    for cluster in set(labels) - {-1}:
        members = [i for i in range(len(labels)) if labels[i] == cluster]
        confident = members
        if threshold is not None:
            confident = [i for i in members if score[i] > threshold] or members
        kept[confident] = cluster
    return kept


def packed(labels):
    labels[labels >= 0] = np.unique(labels[labels >= 0], return_inverse=True)[1]
    return labels


@given(n=st.integers(0, 30), clusters=st.integers(1, 6), seed=st.integers(0, 2**16))
@settings(max_examples=80, deadline=None)
def test_anchors_are_chosen_cluster_by_cluster(n, clusters, seed):
    rng = np.random.default_rng(seed)
    labels = packed(rng.integers(-1, clusters, n))
    score = (rng.integers(-4, 5, n) / 4).astype(np.float32)
    score[rng.random(n) < 0.2] = np.nan
    for threshold in (None, -2.0, 0.0, 0.25, 1.0):
        found = anchors(labels, score, threshold)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, slow_anchors(labels, score, threshold))
        assert set(found) >= set(labels) - {-1}, "no cluster is left without a vector"


@given(n=st.integers(2, 25), clusters=st.integers(2, 6), seed=st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_scores_are_silhouettes_of_the_chosen_distance(n, clusters, seed):
    rng = np.random.default_rng(seed)
    table, labels = random_table(rng, n), packed(rng.integers(-1, clusters, n))
    vectors, _ = clouds(rng, [n])
    cosine = 1 - vectors.astype(np.float64) @ vectors.T
    features = Features({"global": vectors, "part1": -vectors})
    for distance, distances in (("jaccard", table.astype(np.float64)), ("cosine", cosine)):
        found = Silhouette(distance).score(Table(table), features, labels)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, slow_silhouettes(distances, labels), atol=1e-4)


def test_the_threshold_follows_delta():
    assert [Silhouette().threshold(t, 70) for t in (0, 35)] == pytest.approx([-0.1, 0.0])
    assert Silhouette(delta=Constant(0.05)).threshold(9, 50) == 0.05
    assert Silhouette(delta=Tanh()).threshold(25, 50) == 0


def test_all_alike_leaves_no_member_out():
    labels = np.array([1, 0, -1, 0])
    score = AllAlike().score(None, None, labels)
    assert score.dtype == np.float32
    np.testing.assert_array_equal(score, [1, 1, np.nan, 1])
    assert AllAlike().threshold(3, 10) is None
    np.testing.assert_array_equal(anchors(labels, score, None), labels)


def test_a_single_cluster_and_clusters_of_one_keep_all_members():
    table = Table(random_table(np.random.default_rng(0), 4))
    features = Features({"global": np.eye(4, dtype=np.float32)})
    for part in (Silhouette(), Silhouette("cosine")):
        one = np.array([0, 0, 0, -1])
        score = part.score(table, features, one)
        assert np.isnan(score).all()
        np.testing.assert_array_equal(anchors(one, score, -1.0), one)
        alone = np.array([0, 1, 2, -1])
        score = part.score(table, features, alone)
        np.testing.assert_array_equal(score, [0, 0, 0, np.nan])
        np.testing.assert_array_equal(anchors(alone, score, 0.0), alone)
        nothing = np.full(4, -1)
        score = part.score(table, features, nothing)
        np.testing.assert_array_equal(anchors(nothing, score, 0.0), nothing)


def test_anchors_do_not_share_memory_with_the_labels():
    labels = np.array([0, 0])
    anchors(labels, np.ones(2, np.float32), None)[0] = 5
    assert labels[0] == 0


@pytest.mark.parametrize(
    "part", [AllAlike(), Silhouette(), Silhouette("cosine", Ramp(3, 0.1, Linear(0.0, 0.2)))]
)
def test_survives_yaml(part):
    problems = []
    plain = yaml.safe_load(yaml.safe_dump(parts.to_plain(part)))
    kind = AllAlike | Silhouette
    assert parts.from_plain(kind, plain, where="x", problems=problems) == part
    assert not problems
    assert hash(part) == hash(dataclasses.replace(part))


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="distance is 'euclidean'"):
        Silhouette("euclidean")
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        anchors(np.zeros(3, np.int64), np.zeros(2, np.float32), 0.0)
