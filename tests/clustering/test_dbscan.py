import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN as Reference
from tables import Table, clouds, random_table

from resight.clustering import DBSCAN
from resight.clustering.density import core_distances
from resight.graph import jaccard_graph
from resight.records import Features


def both(graph, table, eps, min_samples):
    features = Features({"global": np.zeros((len(table), 1), np.float32)})
    found = DBSCAN(eps, min_samples=min_samples)(graph, features, np.random.default_rng(0))
    expected = Reference(eps=eps, min_samples=min_samples, metric="precomputed").fit(table)
    core = np.zeros(len(table), bool)
    core[expected.core_sample_indices_] = True
    return found, expected.labels_, core


@given(
    n=st.integers(1, 60),
    level=st.integers(1, 6),
    min_samples=st.integers(1, 8),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=150, deadline=None)
def test_equals_scikit_learn(n, level, min_samples, seed):
    """Coarse distances: many border samples lie between clusters, many pairs at eps exactly."""
    levels = 12 + n // 2
    table = random_table(np.random.default_rng(seed), n, levels)
    found, labels, core = both(Table(table), table, level / levels, min_samples)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.core, core)
    assert found.labels.dtype == np.int64


@pytest.mark.parametrize("eps", [0.2, 0.4, 0.6, 0.8])
def test_equals_scikit_learn_on_jaccard_distances(eps):
    features, _ = clouds(np.random.default_rng(1), [9] * 30, noise=0.6)
    graph = jaccard_graph(features, k1=12)
    near = graph.near(0.99).tocoo()
    table = np.ones(near.shape, np.float32)
    table[near.row, near.col] = near.data
    found, labels, core = both(graph, table, eps, 4)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.core, core)


def test_eps_is_inclusive_and_a_sample_counts_itself():
    table = np.full((4, 4), 0.9, np.float32)
    table[:3, :3] = 0.3
    np.fill_diagonal(table, 0)
    features = Features({"global": np.zeros((4, 1), np.float32)})
    rng = np.random.default_rng(0)
    assert DBSCAN(0.3, 3)(Table(table), features, rng).labels.tolist() == [0, 0, 0, -1]
    assert DBSCAN(0.3, 4)(Table(table), features, rng).n_clusters == 0
    assert DBSCAN(0.299, 3)(Table(table), features, rng).n_clusters == 0


@pytest.mark.parametrize("min_samples", [1, 2, 5, 9])
def test_core_distances(min_samples):
    table = random_table(np.random.default_rng(3), 8)
    near = np.where(table <= np.float32(0.6), table, 1)
    expected = np.sort(np.hstack((near, np.ones((8, 1)))), axis=1)[:, min_samples - 1]
    np.testing.assert_array_equal(core_distances(Table(table).near(0.6), min_samples), expected)


def test_no_samples():
    features = np.empty((0, 4), np.float32)
    found = DBSCAN(0.5)(jaccard_graph(features), Features({"global": features}), None)
    assert found.labels.shape == found.core.shape == (0,)


def test_wrong_settings_are_refused():
    for eps in (-0.1, 1.0):
        with pytest.raises(ValueError, match="eps is"):
            DBSCAN(eps)
    with pytest.raises(ValueError, match="min_samples is 0"):
        DBSCAN(0.5, 0)
