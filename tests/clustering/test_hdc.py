import hdc_reference as reference
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import Table, clouds, random_table

from resight import parts
from resight.clustering import euler
from resight.clustering.hdc import HDC, SETTLING, _assign, _fill_empty, _peripheral, _settled, hdc
from resight.clustering.hdc_init import NearPairs, kmeans_plus_plus, nearest_seeds
from resight.errors import DataError
from resight.graph import jaccard_graph
from resight.records import Features

KINDS = ["released", "paper"]


def sparse_table(rng, n, hidden, levels=16):
    """Distances in sixteenths, so that sums are exact; a share of all pairs at distance 1."""
    table = random_table(rng, n, levels)
    far = np.triu(rng.random((n, n)) < hidden, 1)
    table[far | far.T] = 1
    return table


def dense(graph):
    table = np.ones((len(graph),) * 2, np.float32)
    near = graph.near(1).tocoo()
    table[near.row, near.col] = near.data
    return table


def unit_rows(rng, n, dim):
    rows = rng.standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def run(graph, vectors, seeds, **options):
    indices = tuple(int(seed) for seed in seeds)
    rng = np.random.default_rng(0)
    return hdc(graph, vectors, n_clusters=len(seeds), rng=rng, init_indices=indices, **options)


def check_every_iteration(graph, table, vectors, seeds, kind, iterations=5, cut=None):
    expected = list(reference.hdc(table, vectors, seeds, iterations, kind))
    for count, (labels, outside, shift) in enumerate(expected, 1):
        found = run(graph, vectors, seeds, similarity=kind, max_iterations=count, cut=cut)
        if found.iterations < count:
            assert found.shifts[-1] == 0
            break
        np.testing.assert_array_equal(found.labels, labels)
        np.testing.assert_array_equal(found.peripheral, outside)
        np.testing.assert_allclose(found.shifts[-1], shift, rtol=1e-9, atol=1e-12)
    assert set(found.labels) == set(range(len(seeds)))


@given(
    n=st.integers(1, 26),
    share=st.floats(0, 1),
    hidden=st.floats(0, 1),
    dim=st.integers(1, 6),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_equals_its_equations_on_tables(n, share, hidden, dim, kind, seed):
    rng = np.random.default_rng(seed)
    table = sparse_table(rng, n, hidden)
    vectors = unit_rows(rng, n, dim)[rng.integers(0, n, n)]
    seeds = rng.permutation(n)[: max(1, round(share * n))]
    check_every_iteration(Table(table), table, vectors, seeds, kind)


@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    k1=st.integers(1, 12),
    noise=st.floats(0.05, 1.2),
    share=st.floats(0, 1),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_equals_its_equations_on_jaccard_graphs(sizes, k1, noise, share, kind, seed):
    rng = np.random.default_rng(seed)
    vectors, _ = clouds(rng, sizes, noise=noise)
    vectors[: len(vectors) // 4] = vectors[0]
    graph = jaccard_graph(vectors, k1=k1)
    seeds = rng.permutation(len(vectors))[: max(1, round(share * len(vectors)))]
    check_every_iteration(graph, dense(graph), vectors, seeds, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_equals_its_equations_on_clusters_of_many(kind):
    rng = np.random.default_rng(7)
    vectors, _ = clouds(rng, [11, 5, 18, 2, 9, 13, 1, 20], dim=16, noise=0.7)
    graph = jaccard_graph(vectors, k1=12)
    check_every_iteration(graph, dense(graph), vectors, np.arange(8), kind, iterations=8)


@pytest.mark.parametrize("hidden", [0.0, 1.0])
@pytest.mark.parametrize("n_clusters", [1, 5, 23])
def test_one_component_and_none(n_clusters, hidden):
    """All pairs share support, or no sample shares any; one cluster up to one for each sample."""
    rng = np.random.default_rng(3)
    table = sparse_table(rng, 23, hidden)
    table[table == 1] -= 1 - np.float32(hidden)
    seeds = rng.permutation(23)[:n_clusters]
    check_every_iteration(Table(table), table, unit_rows(rng, 23, 5), seeds, "released")


def test_samples_that_share_nothing_stay():
    rng = np.random.default_rng(4)
    alone = 1 - np.eye(9, dtype=np.float32)
    found = run(Table(alone), unit_rows(rng, 9, 4), [6, 2])
    assert found.labels.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("length", [0, 1])
def test_identical_features(length):
    vectors = np.repeat(unit_rows(np.random.default_rng(5), 1, 33), 20, axis=0)
    vectors *= np.float32(length)
    everywhere = Table(np.zeros((20, 20), np.float32))
    found = run(everywhere, vectors, [3, 7, 11])
    assert found.labels[[3, 7, 11]].tolist() == [0, 1, 2]
    assert np.count_nonzero(found.labels == 0) == 18
    assert not found.peripheral.any()
    assert found.shifts == (0.0,)
    table = sparse_table(np.random.default_rng(6), 20, 0.6)
    check_every_iteration(Table(table), table, vectors, np.arange(4), "released")


def test_of_equal_discrepancies_the_own_cluster_wins_then_the_first():
    table = 1 - np.eye(5, dtype=np.float32)
    for i, j, distance in [(2, 0, 0.5), (2, 1, 0.5), (3, 0, 0.5), (3, 1, 0.5), (3, 4, 0.75)]:
        table[i, j] = table[j, i] = distance
    labels = np.array([0, 1, 1, 2, 2])
    found, discrepancies = _assign(Table(table), labels, np.ones(5), 3)
    assert found.tolist() == [0, 1, 1, 0, 2]
    np.testing.assert_allclose(discrepancies[[2, 3]], 1 - np.exp(-0.5))


def test_empty_clusters_take_from_clusters_of_five_then_of_two():
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    _fill_empty(labels, np.array([6, 4, 2, 5, 0, 1, 3, 7, 8, 9]), 5)
    assert labels.tolist() == [0, 0, 3, 0, 2, 0, 4, 1, 1, 1]
    unchanged = np.array([1, 0, 1])
    _fill_empty(unchanged, np.arange(3), 2)
    assert unchanged.tolist() == [1, 0, 1]


def test_equal_discrepancies_are_not_peripheral():
    labels = np.repeat(np.arange(40), np.arange(1, 41))
    rng = np.random.default_rng(15)
    equal = rng.random(40)[labels]
    assert not _peripheral(labels, equal).any()
    equal[-1] += 0.1
    assert np.flatnonzero(_peripheral(labels, equal)).tolist() == [len(labels) - 1]


@pytest.mark.parametrize("block", [1, 7, 8192])
def test_a_cut_counts_farther_pairs_as_sharing_nothing(monkeypatch, block):
    monkeypatch.setattr("resight.clustering.hdc_init.ROWS", block)
    rng = np.random.default_rng(8)
    vectors, _ = clouds(rng, [6, 9, 4, 12], noise=0.8)
    graph = jaccard_graph(vectors, k1=10)
    table = dense(graph)
    assert np.any((table > 0.8) & (table < 1))
    cut = np.where(table <= np.float32(0.8), table, 1)
    check_every_iteration(graph, cut, vectors, [0, 5, 9, 13, 20], "released", cut=0.8)
    seeds = kmeans_plus_plus(NearPairs(graph.near(0.8)), 5, np.random.default_rng(1))
    assert seeds.tolist() == reference.kmeans_plus_plus(cut, 5, np.random.default_rng(1))


@given(
    n=st.integers(1, 30),
    share=st.floats(0, 1),
    hidden=st.floats(0, 1),
    copies=st.booleans(),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=80, deadline=None)
def test_kmeans_plus_plus_equals_a_dense_one(n, share, hidden, copies, seed):
    rng = np.random.default_rng(seed)
    table = sparse_table(rng, n, hidden)
    if copies:
        same = rng.integers(0, max(1, n // 3), n)
        table = table[np.ix_(same, same)]
    n_seeds = max(1, round(share * n))
    found = kmeans_plus_plus(Table(table), n_seeds, np.random.default_rng(seed))
    expected = reference.kmeans_plus_plus(table, n_seeds, np.random.default_rng(seed))
    assert found.tolist() == expected
    assert len(set(expected)) == n_seeds
    labels = table[:, found].argmin(axis=1)
    labels[found] = np.arange(n_seeds)
    np.testing.assert_array_equal(nearest_seeds(Table(table), found), labels)


def test_kmeans_plus_plus_never_draws_a_sample_at_distance_zero():
    class Zeros:
        def integers(self, n):
            return 0

        def random(self, trials):
            return np.zeros(trials)

    table = 1 - np.eye(4, dtype=np.float32)
    assert kmeans_plus_plus(Table(table), 4, Zeros()).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dim", [1, 8, 300])
@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 4.0])
def test_the_largest_distance_is_exact(monkeypatch, dim, scale):
    monkeypatch.setattr("resight.clustering.euler.TABLE_ENTRIES", 150)
    rng = np.random.default_rng(9)
    vectors = np.float32(scale) * unit_rows(rng, 60, dim)
    centroids = vectors[:11].astype(np.float64)
    reach = euler.unseen(11, dim)
    for step in (1.0, 0.5, 0.1, 0.02, 0.004, 0.0):
        points = euler.represent(centroids)
        found, reach = euler.largest_distance(vectors, points, reach)
        table = reference.released_distances(vectors, centroids)
        np.testing.assert_allclose(found, table.max(), rtol=1e-10, atol=1e-11)
        away = np.linalg.norm(vectors[None] - reach.centroids[:, None], axis=2).max(axis=1)
        assert (away <= reach.radii).all()
        means = vectors[rng.integers(0, 60, (11, 3))].mean(axis=1)
        centroids = (1 - step) * centroids + step * means


def test_the_largest_distance_follows_a_centroid_that_moves_away():
    vectors = np.array([[0.01], [-0.011], [0.0]], np.float32)
    _, reach = euler.largest_distance(
        vectors, euler.represent(np.zeros((1, 1))), euler.unseen(1, 1)
    )
    assert reach.samples.tolist() == [1]
    away = np.array([[-0.05]])
    found, reach = euler.largest_distance(vectors, euler.represent(away), reach)
    assert reach.samples.tolist() == [0]
    np.testing.assert_allclose(found, reference.released_distances(vectors, away)[0, 0], rtol=1e-9)


def test_the_largest_distance_looks_at_few_pairs(monkeypatch):
    rng = np.random.default_rng(10)
    vectors = unit_rows(rng, 400, 512)
    evaluated = []
    evaluate = euler.euler_distances

    def counted(*arguments, **options):
        evaluated.append(len(arguments[2]))
        return evaluate(*arguments, **options)

    monkeypatch.setattr(euler, "euler_distances", counted)
    centroids = euler.represent(vectors[:40].astype(np.float64))
    _, reach = euler.largest_distance(vectors, centroids, euler.unseen(40, 512))
    assert sum(evaluated) < 400 * 40 / 4
    evaluated.clear()
    euler.largest_distance(vectors, centroids, reach)
    assert sum(evaluated) < 400 * 40 / 8


@pytest.mark.parametrize("dim", [1, 7, 130])
def test_euler_distances_equal_their_definitions(dim):
    rng = np.random.default_rng(11)
    vectors = (3 * rng.standard_normal((400, dim))).astype(np.float32)
    centroids = rng.standard_normal((5, dim))
    samples, clusters = np.arange(400), rng.integers(0, 5, 400)
    for conjugate, table in (
        (False, reference.released_distances(vectors, centroids)),
        (True, reference.paper_distances(vectors, centroids)),
    ):
        found = euler.euler_distances(
            vectors, euler.represent(centroids), samples, clusters, conjugate=conjugate
        )
        np.testing.assert_allclose(found, table[samples, clusters], rtol=1e-9, atol=1e-11)


def test_when_it_stops():
    falling = [1.0 / t for t in range(1, 40)]
    assert not _settled([])
    assert not _settled(falling)
    assert _settled([3.0, 0.0])
    flips = [0.5, 0.25, 0.5, 0.25, 0.5, 0.25]
    assert not _settled(falling[:SETTLING] + flips)
    assert _settled([*falling[:SETTLING], *flips, 0.5])
    assert not _settled([*falling[:SETTLING], 0.5, 0.6, 0.6, 0.6, 0.6, 0.4])
    assert _settled(falling[:SETTLING] + [0.5] * 6)
    assert not _settled([0.1] * SETTLING)


def test_threads_make_no_difference():
    rng = np.random.default_rng(12)
    vectors, _ = clouds(rng, [9] * 80, dim=24, noise=0.8)
    graph = jaccard_graph(vectors, k1=12)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(hdc(graph, vectors, n_clusters=80, rng=np.random.default_rng(0)))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0].labels, found[1].labels)
    assert found[0].shifts == found[1].shifts


def test_finds_clouds():
    vectors, identities = clouds(np.random.default_rng(13), [12] * 15, dim=32, noise=0.5)
    graph, features = jaccard_graph(vectors, k1=10), Features({"global": vectors})
    labels = HDC(15)(graph, features, np.random.default_rng(0))
    kept = HDC(15, drop_peripheral=False)(graph, features, np.random.default_rng(0))
    assert labels.n_clusters == kept.n_clusters == 15
    assert labels.n_outliers > 0
    assert kept.n_outliers == 0
    np.testing.assert_array_equal(kept.core, labels.labels >= 0)
    np.testing.assert_array_equal(labels.labels[kept.core], kept.labels[kept.core])
    together = kept.labels[:, None] == kept.labels
    assert np.mean(together == (identities[:, None] == identities)) > 0.97


def test_no_samples():
    none = Table(np.zeros((0, 0), np.float32))
    labels = HDC(3)(none, Features({"global": np.empty((0, 4), np.float32)}), None)
    assert labels.labels.shape == (0,)
    assert labels.core.shape == (0,)


def test_survives_yaml():
    for part in (HDC(), HDC(750), HDC(2, (5, 1), "paper", 3, False, 0.9)):
        problems = []
        plain = yaml.safe_load(yaml.safe_dump(parts.to_plain(part, annotated=HDC)))
        assert parts.from_plain(HDC, plain, where="x", problems=problems) == part
        assert not problems
        assert hash(part) == hash(parts.from_plain(HDC, plain, where="x", problems=[]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_clusters": 0}, "n_clusters=0"),
        ({"n_clusters": "auto", "init_indices": (3, 1)}, "n_clusters is auto, .* 2"),
        ({"max_iterations": 0}, "max_iterations=0"),
        ({"similarity": "cosine"}, "cosine"),
        ({"cut": 1.0}, "cut is 1.0"),
        ({"cut": -0.1}, "cut is -0.1"),
        ({"init_indices": (1, 1)}, "1 different samples"),
        ({"init_indices": (1,)}, "n_clusters=2"),
        ({"init_indices": (1, -1)}, "from -1 on"),
        ({"init_indices": ()}, "0 different samples"),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        HDC(**{"n_clusters": 2, **settings})


def test_refuses_data_that_do_not_fit():
    rng = np.random.default_rng(14)
    graph, vectors = Table(random_table(rng, 5)), unit_rows(rng, 5, 3)
    with pytest.raises(DataError, match="6 clusters in 5 crops"):
        hdc(graph, vectors, n_clusters=6, rng=rng)
    with pytest.raises(DataError, match="sample 5, but there are only 5"):
        hdc(graph, vectors, n_clusters=2, rng=rng, init_indices=(0, 5))
    with pytest.raises(ValueError, match=r"shape \(4, 3\), expected \(5, D\)"):
        hdc(graph, vectors[:4], n_clusters=2, rng=rng)
