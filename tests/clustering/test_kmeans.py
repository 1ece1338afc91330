import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score
from tables import Table, clouds

from resight.clustering import kmeans
from resight.clustering.kmeans import KMeans, spherical_kmeans
from resight.errors import DataError
from resight.records import Features


def cluster(features, n_clusters, *, iterations=50, seed=0):
    rng = np.random.default_rng(seed)
    return spherical_kmeans(features, n_clusters, iterations=iterations, rng=rng)


def unit_rows(rng, n, dim=5):
    rows = rng.standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def centroids(features, labels):
    sums = np.array([features[labels == k].sum(axis=0) for k in range(labels.max() + 1)])
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def objective(features, labels):
    return sum(np.linalg.norm(features[labels == k].sum(axis=0)) for k in set(labels))


def lloyd(features, start, iterations=100):
    """The textbook's loop in float64, from these samples; None when a cluster runs empty."""
    exact = features.astype(np.float64)
    centres, labels = exact[start], None
    for _ in range(iterations):
        found = np.argmax(exact @ centres.T, axis=1)
        if len(set(found)) < len(start):
            return None
        if labels is not None and (found == labels).all():
            break
        labels = found
        centres = centroids(exact, labels)
    return labels


@given(n=st.integers(1, 40), share=st.floats(0, 1), seed=st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_every_cluster_has_members(n, share, seed):
    """Also with duplicates, which leave clusters empty."""
    rng = np.random.default_rng(seed)
    features = unit_rows(rng, 4)[rng.integers(0, 4, n)]
    n_clusters = 1 + int(share * (n - 1))
    labels = cluster(features, n_clusters, seed=seed)
    assert labels.dtype == np.int64
    assert labels.shape == (n,)
    _, first = np.unique(labels, return_index=True)
    assert len(first) == n_clusters
    assert (np.diff(first) > 0).all(), "numbered by first member"


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_textbook_from_the_same_start(seed):
    features, _ = clouds(np.random.default_rng(seed), [9, 17, 4, 12, 8], noise=0.7)
    start = kmeans._start(torch.from_numpy(features), 5, np.random.default_rng(seed))
    expected = lloyd(features, start)
    assert expected is not None
    assert adjusted_rand_score(cluster(features, 5, seed=seed), expected) == 1


def test_finds_well_separated_clusters_by_its_start_alone():
    rng = np.random.default_rng(2)
    identities = np.repeat(np.arange(18), [5, 30, 11] * 6)
    features = np.eye(18)[identities] + 0.02 * rng.standard_normal((len(identities), 18))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    for seed in range(5):
        labels = cluster(features.astype(np.float32), 18, iterations=1, seed=seed)
        assert adjusted_rand_score(labels, identities) == 1


def test_start_draws_in_proportion_to_the_potential():
    """Duplicates of a centroid are never drawn while there are other samples."""
    features = np.repeat(np.eye(3, dtype=np.float32), [20, 1, 20], axis=0)
    for seed in range(20):
        chosen = kmeans._start(torch.from_numpy(features), 3, np.random.default_rng(seed))
        assert len({tuple(features[i]) for i in chosen}) == 3


def test_more_iterations_are_no_worse():
    features, _ = clouds(np.random.default_rng(3), [20] * 8, noise=0.9)
    reached = [objective(features, cluster(features, 8, iterations=i)) for i in (1, 2, 4, 50)]
    assert reached == sorted(reached)
    assert reached[-1] > reached[0]


def test_stops_where_no_label_changes(monkeypatch):
    calls = []
    nearest = kmeans._nearest
    monkeypatch.setattr(kmeans, "_nearest", lambda *args: calls.append(1) or nearest(*args))
    features, _ = clouds(np.random.default_rng(4), [15] * 4, noise=0.7)
    labels = cluster(features, 4, iterations=1000)
    assert 2 <= len(calls) < 100
    closest = np.argmax(features @ centroids(features, labels).T, axis=1)
    np.testing.assert_array_equal(closest, labels)


def test_empty_clusters_take_the_farthest_and_leave_none_empty():
    labels = np.array([0, 0, 2, 2, 2, 5])
    cosines = np.array([0.9, 0.2, 0.3, 0.8, 0.5, 0.1], np.float32)
    filled = kmeans._filled(labels, cosines, 6)
    assert set(filled) == set(range(6))
    assert filled[[0, 3, 5]].tolist() == [0, 2, 5], "the nearest of each cluster stays"
    filled = kmeans._filled(np.array([0, 0, 2, 2, 2, 1]), cosines, 4)
    assert filled.tolist() == [0, 3, 2, 2, 2, 1], "of the others the farthest"


def test_one_cluster_and_as_many_as_samples():
    features = unit_rows(np.random.default_rng(5), 7)
    assert cluster(features, 1).tolist() == [0] * 7
    assert cluster(features, 7).tolist() == list(range(7))
    same = np.repeat(features[:1], 6, axis=0)
    assert cluster(same, 6).tolist() == list(range(6))


def test_blocks_make_no_difference(monkeypatch):
    features, _ = clouds(np.random.default_rng(6), [13] * 7, noise=0.8)
    whole = cluster(features, 7)
    monkeypatch.setattr(kmeans, "BLOCK_ENTRIES", 40)
    np.testing.assert_array_equal(cluster(features, 7), whole)


def test_follows_the_seed():
    features, _ = clouds(np.random.default_rng(7), [20] * 12, dim=32, noise=1.2)
    one, again, other = (cluster(features, 10, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert adjusted_rand_score(one, other) < 1


def test_threads_make_no_difference():
    features, _ = clouds(np.random.default_rng(7), [100] * 4, dim=64, noise=1.2)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(cluster(features, 4, iterations=10))
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(*found)


def test_read_only_features_are_left_alone():
    features = unit_rows(np.random.default_rng(8), 9)
    features.setflags(write=False)
    assert len(set(cluster(features, 3))) == 3


def test_the_part_clusters_the_global_view():
    features, identities = clouds(np.random.default_rng(9), [10] * 4, noise=0.1)
    views = {"global": features, "upper": features[::-1]}
    table = Table(np.zeros((40, 40), np.float32))
    found = KMeans(4)(table, Features(views), np.random.default_rng(0))
    assert adjusted_rand_score(found.labels, identities) == 1
    assert found.n_outliers == 0


def test_more_clusters_than_samples():
    features = unit_rows(np.random.default_rng(0), 5)
    for n in (5, 0):
        few = Features({"global": features[:n]})
        with pytest.raises(DataError, match=f"8 clusters in {n} crops"):
            KMeans(8)(Table(np.zeros((n, n), np.float32)), few, np.random.default_rng(0))


def test_wrong_settings_are_refused():
    for wrong in ((0, 5), (5, 0)):
        with pytest.raises(ValueError, match=rf"n_clusters={wrong[0]} .*iterations={wrong[1]}"):
            KMeans(*wrong)
        with pytest.raises(ValueError, match="expected at least 1"):
            cluster(np.eye(5, dtype=np.float32), wrong[0], iterations=wrong[1])
    with pytest.raises(ValueError, match=r"\(5,\)"):
        cluster(np.zeros(5, np.float32), 2)
