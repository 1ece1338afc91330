import itertools

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import HDBSCAN as Reference
from sklearn.metrics import adjusted_rand_score
from tables import Table, clouds, random_table

from resight.clustering.hdbscan import HDBSCAN, _mutual_reachability
from resight.clustering.numbering import by_first_member
from resight.graph import jaccard_graph
from resight.records import Features


def ours(graph, *arguments, **settings):
    features = Features({"global": np.zeros((len(graph), 1), np.float32)})
    return HDBSCAN(*arguments, **settings)(graph, features, np.random.default_rng(0)).labels


def dense(table, min_cluster_size, min_samples):
    found = Reference(
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        metric="precomputed",
        copy=True,
    ).fit_predict(table.astype(np.float64))
    return by_first_member(found)


def distances(rows):
    """Continuous, without ties, all below 1."""
    table = np.clip((1 - rows.astype(np.float64) @ rows.T.astype(np.float64)) / 2, 0, 0.9)
    np.fill_diagonal(table, 0)
    table = table.astype(np.float32)
    return np.maximum(table, table.T)


@pytest.mark.parametrize("min_cluster_size", [2, 4, 7])
@pytest.mark.parametrize("seed", range(4))
def test_equals_scikit_learn_on_the_dense_table(min_cluster_size, seed):
    rows, _ = clouds(np.random.default_rng(seed), [9, 25, 14, 3, 8], noise=0.4)
    table = distances(rows)
    expected = dense(table, min_cluster_size, 1)
    assert expected.max() > 0
    np.testing.assert_array_equal(ours(Table(table), min_cluster_size, 1), expected)


def mutual_reachability(table, min_samples):
    core = np.sort(table, axis=1)[:, min_samples - 1]
    return np.maximum(np.maximum(core[:, None], core), table)


@pytest.mark.parametrize("min_samples", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_equals_scikit_learn_with_ties_broken_some_way(min_samples, seed):
    """A core distance ties the pairs of its sample, which then joins either of two clusters."""
    rng = np.random.default_rng(seed)
    rows, _ = clouds(rng, [12, 25, 14, 9], noise=0.3)
    table = distances(rows)
    found = ours(Table(table), 4, min_samples).tolist()
    reach = mutual_reachability(table.astype(np.float64), min_samples)
    broken = []
    for _ in range(60):
        noise = np.triu(1e-9 * rng.random(reach.shape), 1)
        broken.append(dense(reach + noise + noise.T, 4, 1).tolist())
    assert found in broken


@given(n=st.integers(1, 25), min_samples=st.integers(1, 6), seed=st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_mutual_reachability(n, min_samples, seed):
    table = random_table(np.random.default_rng(seed), n)
    expected = np.ones((n, n), np.float32)
    if min_samples <= n:
        expected = np.maximum(mutual_reachability(table, min_samples), np.float32(1e-6))
    found = _mutual_reachability(Table(table).near(0.99), min_samples)
    assert found.nnz == np.count_nonzero(np.triu(expected < 1, 1))
    for i, j in itertools.combinations(range(n), 2):
        assert found[i, j] == pytest.approx(expected[i, j] % 1)


def test_min_samples_is_min_cluster_size_unless_said():
    table = distances(clouds(np.random.default_rng(0), [12, 25, 14, 9], noise=0.9)[0])
    np.testing.assert_array_equal(ours(Table(table), 4), ours(Table(table), 4, 4))
    assert not np.array_equal(ours(Table(table), 4), ours(Table(table), 4, 1))


@pytest.mark.parametrize("cut", [0.8, 0.95])
def test_equals_scikit_learn_on_jaccard_distances(cut):
    """What lies beyond the cut is at distance 1, as in the table here."""
    rows, identities = clouds(np.random.default_rng(1), [14] * 20, dim=16, noise=0.5)
    graph = jaccard_graph(rows, k1=12)
    near = graph.near(cut).tocoo()
    table = np.ones(near.shape, np.float32)
    table[near.row, near.col] = near.data
    found = ours(graph, 4, 2, cut=cut)
    assert adjusted_rand_score(dense(table, 4, 2), found) > 0.99
    assert adjusted_rand_score(identities, found) > 0.9


@given(
    n=st.integers(0, 25),
    levels=st.integers(1, 8),
    min_cluster_size=st.integers(2, 6),
    min_samples=st.integers(1, 8),
    sparse=st.floats(0, 1),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=120, deadline=None)
def test_clusters_are_connected_and_large_enough(
    n, levels, min_cluster_size, min_samples, sparse, seed
):
    """With ties, duplicates, isolated samples, and fewer pairs than min_samples."""
    rng = np.random.default_rng(seed)
    table = random_table(rng, n, levels)
    far = np.triu(rng.random((n, n)) < sparse, 1)
    table[far | far.T] = 1
    labels = ours(Table(table), min_cluster_size, min_samples)
    assert labels.shape == (n,)
    assert labels.dtype == np.int64
    core = (np.sort(table, axis=1)[:, min_samples - 1] < 1) if min_samples <= n else np.zeros(n)
    assert (labels[np.flatnonzero(core == 0)] == -1).all()
    for label in range(labels.max(initial=-1) + 1):
        members = np.flatnonzero(labels == label)
        assert len(members) >= min_cluster_size
        linked = scipy.sparse.csr_array(table[np.ix_(members, members)] < 1)
        assert connected_components(linked, directed=False)[0] == 1


def test_groups_that_share_no_support_are_clusters():
    table = np.ones((14, 14), np.float32)
    table[:5, :5] = table[5:9, 5:9] = table[9:12, 9:12] = table[12:, 12:] = 0.4
    np.fill_diagonal(table, 0)
    assert ours(Table(table), 4, 2).tolist() == [0] * 5 + [1] * 4 + [-1] * 5
    assert ours(Table(table), 2, 2).tolist() == [0] * 5 + [1] * 4 + [2] * 3 + [3] * 2


def test_small_groups_together_are_no_cluster():
    table = np.ones((30, 30), np.float32)
    for start in range(0, 30, 3):
        table[start : start + 3, start : start + 3] = 0.2
    np.fill_diagonal(table, 0)
    assert ours(Table(table), 4, 2).tolist() == [-1] * 30
    assert set(ours(Table(table), 3, 2)) == set(range(10))


def test_duplicates():
    same = np.zeros((8, 8), np.float32)
    assert ours(Table(same), 4).tolist() == [-1] * 8, "all samples together are no cluster"
    table = np.full((12, 12), 0.7, np.float32)
    table[:6, :6] = table[6:, 6:] = 0
    assert ours(Table(table), 4).tolist() == [0] * 6 + [1] * 6


def test_isolated_samples_are_outliers():
    assert ours(Table(1 - np.eye(9, dtype=np.float32)), 2, 1).tolist() == [-1] * 9


def test_isolated_samples_join_no_cluster():
    """Whatever their order; at distance 1, where the clusters part, they are no members."""
    table = np.ones((20, 20), np.float32)
    table[:6, :6] = table[6:11, 6:11] = 0.3
    np.fill_diagonal(table, 0)
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(20)
        labels = ours(Table(table[np.ix_(order, order)]), 4, 1)
        assert (labels >= 0).tolist() == (order < 11).tolist()
        assert labels.max() == 1


def test_more_min_samples_than_samples():
    table = distances(clouds(np.random.default_rng(0), [6, 6])[0])
    assert ours(Table(table), 3, 20).tolist() == [-1] * 12


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="min_cluster_size is 1"):
        HDBSCAN(1)
    with pytest.raises(ValueError, match="min_samples is 0"):
        HDBSCAN(4, 0)
    for cut in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"cut is {cut}"):
            HDBSCAN(cut=cut)
