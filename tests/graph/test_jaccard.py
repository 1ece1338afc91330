import numpy as np
import pytest
import torch
from dense import affinities, clouds, full_table, jaccard, ranking
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.errors import CostError
from resight.graph import JaccardGraph, fuse, jaccard_graph, neighbours
from resight.graph.distances import BYTES_OF_PAIR, near_bytes


def reference(features, graph_neighbours, **settings):
    """Distances with the given order of neighbours, so that ties are broken alike."""
    order = graph_neighbours.indices.astype(np.int64)
    return jaccard(affinities(features, order, **settings))


@pytest.mark.parametrize(
    ("n", "k1", "k2"),
    [
        (1, 30, 6),
        (2, 30, 6),
        (7, 30, 6),
        (60, 1, 1),
        (60, 2, 1),
        (60, 7, 3),
        (83, 30, 6),
        (60, 10, 20),
        (301, 12, 6),
    ],
)
@pytest.mark.parametrize("self_counts", [True, False])
def test_equals_the_equations(n, k1, k2, self_counts):
    features = clouds(np.random.default_rng(n), n, identities=max(1, n // 8))
    graph = jaccard_graph(features, k1=k1, k2=k2, self_counts=self_counts)
    order = ranking(features.astype(np.float64) @ features.T.astype(np.float64))
    dense = jaccard(affinities(features, order, k1=k1, k2=k2, self_counts=self_counts))
    np.testing.assert_allclose(full_table(graph), dense, atol=1e-5)


@given(
    n=st.integers(1, 30),
    k1=st.integers(1, 12),
    k2=st.integers(1, 5),
    identities=st.integers(1, 6),
    noise=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=50, deadline=None)
def test_equals_the_equations_also_with_duplicates(n, k1, k2, identities, noise, seed):
    features = clouds(np.random.default_rng(seed), n, identities=identities, noise=noise, dim=4)
    graph = jaccard_graph(features, k1=k1, k2=k2)
    dense = reference(features, neighbours(features, max(k1, k2)), k1=k1, k2=k2)
    table = full_table(graph)
    np.testing.assert_allclose(table, dense, atol=1e-5)
    np.testing.assert_array_equal(table, table.T)
    np.testing.assert_array_equal(np.diag(table), 0)


def test_affinities_are_sorted_and_sum_to_one():
    graph = jaccard_graph(clouds(np.random.default_rng(2), 90, identities=7), k1=9, k2=4)
    for rows in (graph.affinities, graph.transposed):
        for start, stop in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
            assert (np.diff(rows.indices[start:stop]) > 0).all()
    sums = np.add.reduceat(graph.affinities.data, graph.affinities.indptr[:-1])
    np.testing.assert_allclose(sums, 1, atol=1e-5)


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.7])
def test_near_keeps_what_is_within_the_cut(cut):
    features = clouds(np.random.default_rng(4), 333, identities=30, noise=0.6)
    features[11] = features[200]
    graph = jaccard_graph(features, k1=12)
    table, near = full_table(graph), graph.near(cut)
    np.testing.assert_array_equal(near.toarray(), np.where(table <= cut, table, 0))
    assert near.nnz == np.count_nonzero(table <= cut)
    assert near.dtype == np.float32
    assert near.has_sorted_indices
    assert (near.diagonal() == 0).all()


def test_a_cut_is_inclusive():
    graph = jaccard_graph(clouds(np.random.default_rng(5), 40, identities=4), k1=6)
    values = graph.near(0.9).data
    cut = float(np.sort(values)[len(values) // 2 + 20])
    assert (graph.near(cut).data == np.float32(cut)).any()


def test_identical_samples_are_at_distance_zero():
    features = np.repeat(np.eye(3, dtype=np.float32)[:1], 20, axis=0)
    table = full_table(jaccard_graph(features, k1=30))
    np.testing.assert_allclose(table, 0, atol=1e-6)


def test_isolated_samples_share_nothing():
    graph = jaccard_graph(np.eye(12, dtype=np.float32), k1=1, k2=1)
    np.testing.assert_array_equal(graph.near(0.99).toarray(), np.zeros((12, 12)))
    assert graph.near(0.99).nnz == 12


def test_no_samples():
    graph = jaccard_graph(np.empty((0, 4), np.float32))
    assert len(graph) == 0
    assert graph.near(0.5).shape == (0, 0)
    assert graph.near(1).shape == graph.nearest().shape == (0, 0)
    assert graph.reduce(len) == []


def test_threads_make_no_difference():
    features = clouds(np.random.default_rng(6), 700, identities=60)
    nearest = neighbours(features, 15)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            graph = jaccard_graph(features, k1=15, nearest=nearest)
            near = graph.near(0.8)
            rows = graph.rows(np.array([5, 690, 5]))
            results.append((*graph.affinities, near.data, *rows))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_known_neighbours_give_the_same_graph():
    features = clouds(np.random.default_rng(7), 120, identities=9)
    one = jaccard_graph(features, k1=8, k2=3)
    other = jaccard_graph(torch.from_numpy(features), k1=8, k2=3, nearest=neighbours(features, 30))
    np.testing.assert_allclose(full_table(one), full_table(other), atol=1e-6)


def test_wrong_arguments_are_refused():
    features = clouds(np.random.default_rng(1), 30, identities=3)
    with pytest.raises(ValueError, match="k1 is 0"):
        jaccard_graph(features, k1=0)
    with pytest.raises(ValueError, match="4 neighbours of 30 samples, expected at least 8 of 30"):
        jaccard_graph(features, k1=8, nearest=neighbours(features, 4))
    graph: JaccardGraph = jaccard_graph(features, k1=8)
    for cut in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="expected 0 <= cut <= 1"):
            graph.near(cut)


def as_table(rows, n):
    """(M, N) of `Distances`, 1 for what they do not hold."""
    table = np.ones((len(rows.samples), n), np.float32)
    places = np.repeat(np.arange(len(rows.samples)), np.diff(rows.indptr))
    table[places, rows.indices] = rows.values
    return table


def test_rows_and_blocks_equal_the_table():
    graph = jaccard_graph(clouds(np.random.default_rng(8), 600, identities=40), k1=12)
    table, samples = full_table(graph), np.array([3, 599, 0, 3])
    np.testing.assert_array_equal(as_table(graph.rows(samples), 600), table[samples])
    np.testing.assert_array_equal(np.vstack(graph.reduce(lambda r: as_table(r, 600))), table)


def test_near_one_is_all_that_shares_support():
    graph = jaccard_graph(clouds(np.random.default_rng(8), 90, identities=9), k1=7)
    rows = graph.rows(np.arange(90))
    everything = graph.near(1)
    np.testing.assert_array_equal(np.diff(everything.indptr), np.diff(rows.indptr))
    assert everything.nnz < 90 * 90
    assert everything.has_sorted_indices


def test_selected_samples_keep_their_distances():
    features = clouds(np.random.default_rng(3), 200, identities=20)
    samples = np.random.default_rng(0).permutation(200)[:77]
    views = [
        jaccard_graph(features[:, :8] / np.linalg.norm(features[:, :8], axis=1)[:, None], k1=9)
    ]
    views.append(jaccard_graph(features, k1=12))
    for graph in (*views, fuse(views, (0.4, 0.6))):
        part = graph.select(samples)
        expected = full_table(graph)[np.ix_(samples, samples)]
        np.testing.assert_array_equal(full_table(part), expected)
        again = part.select(np.array([5, 2, 60]))
        np.testing.assert_array_equal(full_table(again), expected[np.ix_([5, 2, 60], [5, 2, 60])])
        links = graph.nearest().toarray()[np.ix_(samples, samples)]
        np.testing.assert_array_equal(part.nearest().toarray(), links)


def test_links_are_the_neighbours():
    features = clouds(np.random.default_rng(3), 50, identities=6)
    links = jaccard_graph(features, k1=8).nearest()
    found = neighbours(features, 8)
    assert links.nnz == 50 * 7
    for i in range(50):
        np.testing.assert_array_equal(
            links[[i]].toarray()[0, found.indices[i, 1:]], found.similarities[i, 1:]
        )
    assert (links.diagonal() == 0).all()


@given(
    n=st.integers(1, 40), views=st.integers(1, 4), k1=st.integers(1, 9), seed=st.integers(0, 2**16)
)
@settings(max_examples=40, deadline=None)
def test_fused_distances_are_the_weighted_mean(n, views, k1, seed):
    rng = np.random.default_rng(seed)
    graphs = [
        jaccard_graph(clouds(rng, n, identities=rng.integers(1, 8), dim=5), k1=k1, k2=3)
        for _ in range(views)
    ]
    weights = (rng.random(views) + 0.01) * rng.integers(0, 2, views)
    weights[rng.integers(views)] = 0.5
    shares = weights / weights.sum()
    expected = sum(
        w * full_table(g).astype(np.float64) for w, g in zip(shares, graphs, strict=True)
    )
    fused = fuse(graphs, weights)
    table = full_table(fused)
    np.testing.assert_allclose(table, expected, atol=1e-5)
    np.testing.assert_array_equal(table, table.T)
    np.testing.assert_array_equal(np.diag(table), 0)
    rows = fused.rows(np.arange(n))
    np.testing.assert_array_equal(as_table(rows, n), table)
    assert all(len(set(part)) == len(part) for part in np.split(rows.indices, rows.indptr[1:-1]))
    twice = fuse([fused, graphs[0]], (0.5, 0.5))
    np.testing.assert_allclose(full_table(twice), (expected + full_table(graphs[0])) / 2, atol=1e-5)


def test_fusing_what_does_not_fit_is_refused():
    rng = np.random.default_rng(0)
    one, other = (jaccard_graph(clouds(rng, n, identities=3), k1=4) for n in (20, 21))
    for graphs, weights in (([one, other], (1, 1)), ([one], (1, 1)), ([], ())):
        with pytest.raises(ValueError, match="expected graphs of the same samples"):
            fuse(graphs, weights)
    for weights in ((1, -1), (0, 0), (np.nan, 1), (np.inf, 1)):
        with pytest.raises(ValueError, match="expected none below 0"):
            fuse([one, one], weights)


def test_pairs_beyond_the_memory_limit_are_refused():
    features = clouds(np.random.default_rng(3), 900, identities=4)
    graph = jaccard_graph(features, k1=12, memory=2_000_000)
    free = jaccard_graph(features, k1=12)
    np.testing.assert_array_equal(graph.near(0.1).data, free.near(0.1).data)
    assert free.near(1).nnz > 100_000
    for limited in (graph, graph.select(np.arange(899)), fuse([graph, free], (1, 1))):
        with pytest.raises(CostError, match=r"the pairs of \d+ samples up to 1 .* smaller cut"):
            limited.near(1)


@pytest.mark.parametrize("cut", [0.3, 0.8, 1.0])
def test_the_memory_of_pairs_is_foreseen(cut):
    graph = jaccard_graph(clouds(np.random.default_rng(3), 4000, identities=300), k1=12)
    entries = near_bytes(graph._views, np.float32(cut)) / BYTES_OF_PAIR
    assert 0.5 < entries / graph.near(cut).nnz < 2
