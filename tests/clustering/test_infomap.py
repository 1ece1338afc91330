import importlib.util

import numpy as np
import pytest
import scipy.sparse
from sklearn.metrics import adjusted_rand_score
from tables import Table, clouds

from resight.clustering.infomap import InfoMap, infomap_modules
from resight.errors import ConfigError
from resight.graph import jaccard_graph
from resight.records import Features

needs_infomap = pytest.mark.skipif(
    importlib.util.find_spec("infomap") is None, reason="the package infomap is not installed"
)
TELEPORTATION = 0.15


def partitions(n):
    """All partitions of n nodes, as labels."""
    grown = [[0]]
    for _ in range(n - 1):
        grown = [[*labels, new] for labels in grown for new in range(max(labels) + 2)]
    return [np.array(labels) for labels in grown]


def walk(weights):
    """(N, N) flow of a random walk along the links; steps elsewhere happen but are not recorded."""
    out = weights.sum(axis=1)
    steps = weights / out[:, None]
    elsewhere = out / out.sum()
    visits = elsewhere
    for _ in range(500):
        visits = (1 - TELEPORTATION) * visits @ steps + TELEPORTATION * elsewhere
    return visits[:, None] * steps


def plogp(values):
    values = np.asarray(values)
    values = values[values > 0]
    return (values * np.log2(values)).sum()


def codelength(flow, labels):
    """The map equation (Rosvall and Bergstrom 2008), with its entropies expanded."""
    inside = labels[:, None] == np.arange(labels.max() + 1)  # (N, modules)
    between = inside.T @ flow @ inside
    visits = flow.sum(axis=0)
    np.fill_diagonal(between, 0)
    enters, leaves = between.sum(axis=0), between.sum(axis=1)
    names = plogp([enters.sum()]) - plogp(enters)
    return names - plogp(leaves) - plogp(visits) + plogp(leaves + visits @ inside)


def part(similarities, rng=None, **settings):
    """What the part finds when the graph's links are these (N, N) similarities."""
    similarities = np.asarray(similarities, np.float32)
    graph = Table(1 - similarities)
    features = Features({"global": np.zeros((len(graph), 1), np.float32)})
    return InfoMap(**settings)(graph, features, rng or np.random.default_rng(0))


def cliques(sizes, similarity=0.9):
    identities = np.repeat(np.arange(len(sizes)), sizes)
    return np.where(identities[:, None] == identities, similarity, 0.0)


@needs_infomap
@pytest.mark.parametrize("seed", range(6))
def test_finds_the_shortest_code_of_all_partitions(seed):
    rng = np.random.default_rng(seed)
    weights = np.where(rng.random((6, 6)) < 0.5, rng.random((6, 6)), 0)
    weights[:3, 3:] *= 0.15
    weights[3:, :3] *= 0.15
    weights += np.roll(np.eye(6), 1, axis=1) * 0.1
    np.fill_diagonal(weights, 0)
    weights = weights.astype(np.float32)
    flow = walk(weights.astype(np.float64))
    found = infomap_modules(scipy.sparse.coo_array(weights), seed=1)
    shortest = min(codelength(flow, labels) for labels in partitions(6))
    assert codelength(flow, found) == pytest.approx(shortest, abs=1e-9)


@needs_infomap
def test_finds_identities_on_a_graph_and_again_with_the_same_seed():
    sizes = np.random.default_rng(1).integers(5, 20, 30)
    rows, identities = clouds(np.random.default_rng(1), sizes, dim=24, noise=0.6)
    graph, features = jaccard_graph(rows, k1=15, k2=4), Features({"global": rows})
    found = [InfoMap()(graph, features, np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(found[0].labels, found[1].labels)
    assert found[0].labels.dtype == np.int64
    assert found[0].n_outliers < 10
    inside = found[0].labels >= 0
    assert adjusted_rand_score(found[0].labels[inside], identities[inside]) > 0.95


@needs_infomap
def test_small_modules_and_samples_without_links_are_outliers():
    similarities = np.zeros((14, 14))
    similarities[:12, :12] = cliques([3, 5, 4])
    similarities = np.roll(similarities, 1, axis=(0, 1))
    found = part(similarities).labels
    assert found.tolist() == [-1] * 4 + [0] * 5 + [-1] * 5, "as k2 = 4 of the released code"
    found = part(similarities, min_size=4).labels
    assert found.tolist() == [-1] * 4 + [0] * 5 + [1] * 4 + [-1]
    found = part(similarities, min_size=1).labels
    assert found.tolist() == [-1, *[0] * 3, *[1] * 5, *[2] * 4, -1]


@needs_infomap
def test_links_as_similar_as_the_bound_count():
    similarities = cliques([5, 5], similarity=0.6)
    assert part(similarities, min_similarity=0.6).n_clusters == 2
    assert part(similarities, min_similarity=0.61).n_clusters == 0


@needs_infomap
def test_one_giant_module():
    assert part(cliques([30], similarity=1.0)).labels.tolist() == [0] * 30


@needs_infomap
@pytest.mark.parametrize("n", [0, 1, 2, 6])
def test_no_links(n):
    assert part(np.zeros((n, n))).labels.tolist() == [-1] * n


def test_says_how_to_install_what_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install resight\[infomap\]"):
        part(cliques([4]))


@needs_infomap
def test_says_what_failed(monkeypatch):
    monkeypatch.setattr("resight.clustering.infomap.LARGEST_SEED", 1 << 62)
    links = scipy.sparse.coo_array(np.eye(3, k=1, dtype=np.float32))
    with pytest.raises(ConfigError, match=r"exit code .* on 2 links of 3 crops"):
        infomap_modules(links, seed=-1)


def test_wrong_settings_are_refused():
    for similarity in (0, 1.1):
        with pytest.raises(ValueError, match=f"min_similarity is {similarity}"):
            InfoMap(min_similarity=similarity)
    with pytest.raises(ValueError, match="min_size is 0"):
        InfoMap(min_size=0)
