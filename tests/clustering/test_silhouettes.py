import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import silhouette_samples
from tables import Table, clouds, random_table
from tables import mean_distances as slow_means

from resight.clustering import cosine_silhouette, silhouette
from resight.clustering.silhouettes import feature_silhouette, mean_distances
from resight.graph import jaccard_graph


@given(n=st.integers(3, 40), clusters=st.integers(2, 6), seed=st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_equals_scikit_learn(n, clusters, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, clusters, n)
    inside = labels >= 0
    table = random_table(rng, n)
    found = silhouette(Table(table), labels)
    assert np.isnan(found[~inside]).all()
    if 1 < len(set(labels[inside])) < inside.sum():
        packed = np.unique(labels[inside], return_inverse=True)[1]
        labels[inside] = packed
        found = silhouette(Table(table), labels)
        expected = silhouette_samples(table[inside][:, inside], packed, metric="precomputed")
        np.testing.assert_allclose(found[inside], expected, atol=1e-5)


def test_equals_scikit_learn_on_jaccard_distances():
    features, identities = clouds(np.random.default_rng(2), [7, 1, 12, 30, 5, 2] * 5, noise=0.7)
    graph = jaccard_graph(features, k1=14)
    labels = np.where(identities % 7 == 3, -1, identities)
    labels[labels >= 0] = np.unique(labels[labels >= 0], return_inverse=True)[1]
    table = np.ones((len(graph),) * 2, np.float32)
    near = graph.near(0.999999).tocoo()
    table[near.row, near.col] = near.data
    inside = labels >= 0
    expected = silhouette_samples(
        table[inside][:, inside].astype(np.float64), labels[inside], metric="precomputed"
    )
    np.testing.assert_allclose(silhouette(graph, labels)[inside], expected, atol=1e-5)


def test_corner_cases():
    table = Table(random_table(np.random.default_rng(0), 5))
    assert np.isnan(silhouette(table, np.zeros(5, np.int64))).all()
    assert np.isnan(silhouette(table, np.full(5, -1))).all()
    found = silhouette(table, np.array([0, 0, 1, -1, -1]))
    assert found[2] == 0
    assert np.isnan(found).tolist() == [False, False, False, True, True]
    everywhere = silhouette(Table(np.zeros((4, 4), np.float32)), np.array([0, 0, 1, 1]))
    np.testing.assert_array_equal(everywhere, 0)
    assert silhouette(Table(np.zeros((0, 0), np.float32)), np.empty(0, np.int64)).shape == (0,)


def simplified(features, labels, cameras=None):
    exact, values = features.astype(np.float64), np.full(len(labels), np.nan)

    def away(i, members):
        centre = exact[members].sum(axis=0)
        return 1 - exact[i] @ centre / np.linalg.norm(centre)

    for i in np.flatnonzero(labels >= 0):
        own = [j for j in np.flatnonzero(labels == labels[i]) if j != i]
        if cameras is not None:
            own = [j for j in own if cameras[j] != cameras[i]]
        others = [np.flatnonzero(labels == c) for c in set(labels) - {-1, labels[i]}]
        if others:
            b = min(away(i, members) for members in others)
            a = away(i, own) if own else np.nan
            values[i] = (b - a) / max(a, b) if own else 0
    return values


@pytest.mark.parametrize("n_cameras", [None, 1, 3])
@pytest.mark.parametrize("block", [1, 50, 1 << 22])
def test_feature_silhouette_equals_its_equation(monkeypatch, n_cameras, block):
    monkeypatch.setattr("resight.clustering.silhouettes.BLOCK_ENTRIES", block)
    rng = np.random.default_rng(3)
    features, labels = clouds(rng, [5, 1, 8, 2, 11], noise=0.8)
    labels = np.where(rng.random(len(labels)) < 0.2, -1, labels)
    labels[labels >= 0] = np.unique(labels[labels >= 0], return_inverse=True)[1]
    cameras = None if n_cameras is None else rng.integers(0, n_cameras, len(labels))
    found = feature_silhouette(features, labels, cameras=cameras)
    np.testing.assert_allclose(found, simplified(features, labels, cameras), atol=1e-5)


def test_feature_silhouette_of_less_than_two_clusters_is_nan():
    features = np.eye(3, dtype=np.float32)
    for labels in ([0, 0, 0], [0, 0, -1], [-1, -1, -1]):
        assert np.isnan(feature_silhouette(features, np.array(labels))).all()
    none = feature_silhouette(np.empty((0, 3), np.float32), np.empty(0, np.int64))
    assert none.shape == (0,)


def test_mean_distances_equal_dense_means():
    rng = np.random.default_rng(8)
    features, _ = clouds(rng, [12] * 12, noise=0.8)
    graph = jaccard_graph(features, k1=10)
    labels = rng.integers(-1, 11, len(features))
    labels[labels == 10] = -1
    labels[17] = 10
    table = np.ones((len(graph),) * 2, np.float32)
    near = graph.near(1).tocoo()
    table[near.row, near.col] = near.data
    found, expected = mean_distances(graph, labels), slow_means(table.astype(np.float64), labels)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_mean_distances_that_do_not_exist_are_nan():
    graph = Table(random_table(np.random.default_rng(9), 6))
    own, other = mean_distances(graph, np.array([0, 0, 0, -1, -1, -1]))
    assert np.isnan(own).tolist() == [False] * 3 + [True] * 3
    assert np.isnan(other).all()
    own, other = mean_distances(graph, np.array([0, 0, 1, -1, -1, -1]))
    assert np.isnan(own).tolist() == [False, False, True, True, True, True]
    assert np.isnan(other).tolist() == [False] * 3 + [True] * 3
    assert np.isnan(mean_distances(graph, np.full(6, -1))).all()
    with pytest.raises(ValueError, match=r"expected \(6,\)"):
        mean_distances(graph, np.zeros(5, np.int64))


def test_some_samples_have_the_values_that_they_have_among_all():
    features, identities = clouds(np.random.default_rng(3), [9] * 80, noise=0.7)
    graph = jaccard_graph(features, k1=9)
    labels = np.where(identities % 9 == 4, -1, identities)
    wanted = np.random.default_rng(0).integers(0, 720, 500)
    every = silhouette(graph, labels)
    np.testing.assert_array_equal(silhouette(graph, labels, wanted=wanted), every[wanted])
    nothing = silhouette(graph, labels, wanted=np.empty(0, np.int64))
    assert nothing.shape == (0,)


@given(n=st.integers(3, 60), clusters=st.integers(2, 8), seed=st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_cosine_silhouette_equals_scikit_learn(n, clusters, seed):
    rng = np.random.default_rng(seed)
    features, _ = clouds(rng, [n], dim=6)
    labels = 3 * rng.integers(0, clusters, n) - rng.integers(0, 2) * 3
    labels[labels < 0] = -1
    inside = labels >= 0
    found = cosine_silhouette(features, labels)
    assert np.isnan(found[~inside]).all()
    if 1 < len(set(labels[inside])) < inside.sum():
        exact = features[inside].astype(np.float64)
        expected = silhouette_samples(exact, labels[inside], metric="cosine")
        np.testing.assert_allclose(found[inside], expected, atol=1e-5)


def test_cosine_silhouette_corner_cases():
    features = np.eye(4, dtype=np.float32)[[0, 0, 1, 1]]
    np.testing.assert_allclose(cosine_silhouette(features, np.array([0, 0, 1, 1])), 1)
    np.testing.assert_allclose(cosine_silhouette(features[[0, 0]], np.array([0, 1])), 0)
    assert np.isnan(cosine_silhouette(features, np.zeros(4, np.int64))).all()
    assert cosine_silhouette(features[:0], np.empty(0, np.int64)).shape == (0,)
