"""LP's graph of several views."""

import numpy as np
import pytest
from dense import affinities, clouds, full_table, jaccard, ranking
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.errors import ConfigError, CostError
from resight.graph import Fused, Jaccard, view_weights
from resight.records import Crops, Features


def crops_of(n, cameras):
    return Crops(
        root="x",
        paths=tuple(map(str, range(n))),
        splits=np.full(n, "train"),
        cameras=cameras,
        camera_names=("a", "b", "c"),
    )


def features_of(rng, n, parts, *, noise=0.5, dim=8, identities=5):
    """Views that agree on who is who only in part; the global one is not the first."""
    names = [*(f"part{i + 1}" for i in range(parts)), "global"]
    views = {name: clouds(rng, n, identities=identities, dim=dim, noise=noise) for name in names}
    colour = np.abs(clouds(rng, n, identities=4, dim=6))
    return Features(views, crops_of(n, rng.integers(0, 3, n)), colour)


def dense(vectors, **settings):
    order = ranking(vectors.astype(np.float64) @ vectors.T.astype(np.float64))
    return jaccard(affinities(vectors, order, **settings))


def mean(graphs):
    """The distances of the global view and of two parts, which weigh 0.2 each."""
    tables = {view: full_table(graph) for view, graph in graphs.items()}
    return 0.6 * tables["global"] + 0.2 * (tables["part1"] + tables["part2"])


@given(
    n=st.integers(1, 40),
    parts=st.integers(0, 3),
    k1=st.integers(1, 9),
    share=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    self_counts=st.booleans(),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_equals_the_equation(n, parts, k1, share, self_counts, seed):
    features = features_of(np.random.default_rng(seed), n, parts)
    weight = share / max(1, parts)
    inner = {"k1": k1, "k2": 3, "self_counts": self_counts}
    graph = Fused(weight, Jaccard(**inner))(features)
    tables = {view: dense(vectors, **inner) for view, vectors in features.views.items()}
    want = (1 - parts * weight) * tables.pop("global") + weight * sum(tables.values())
    table = full_table(graph)
    np.testing.assert_allclose(table, want, atol=1e-5)
    np.testing.assert_array_equal(table, table.T)
    np.testing.assert_array_equal(np.diag(table), 0)


@pytest.mark.parametrize(
    "inner",
    [
        Jaccard(k1=7, k2=2, colour=0.4),
        Jaccard(k1=7, k2=2, centre_cameras=True),
        Jaccard(k1=7, k2=2, balance_cameras=True),
        Jaccard(k1=7, k2=2, self_counts=False, centre_cameras=True, colour=0.3),
    ],
)
def test_the_inner_settings_hold_in_each_view(inner):
    features = features_of(np.random.default_rng(3), 120, 2)
    plain = full_table(Fused(0.2, Jaccard(k1=7, k2=2))(features))
    builder = Fused(0.2, inner)
    want = mean({view: inner(features.only(view)) for view in features.views})
    np.testing.assert_allclose(full_table(builder(features)), want, atol=1e-6)
    assert np.abs(want - plain).max() > 0.01
    assert builder.colour == inner.colour
    vectors = builder.vectors(features)
    np.testing.assert_array_equal(vectors, inner.vectors(features.only("global")))
    variant = builder.variants(features, vectors)(7, 2)
    alone = {view: features.only(view) for view in features.views}
    want = mean({v: inner.variants(f, inner.vectors(f))(7, 2) for v, f in alone.items()})
    np.testing.assert_allclose(full_table(variant), want, atol=1e-6)


def test_variants_are_the_graphs_with_other_neighbours():
    features = features_of(np.random.default_rng(5), 90, 2)
    builder = Fused(0.15, Jaccard(k1=20, k2=5))
    build = builder.variants(features, builder.vectors(features))
    for k1, k2 in ((5, 2), (12, 4), (30, 6)):
        want = full_table(Fused(0.15, Jaccard(k1, k2))(features))
        np.testing.assert_allclose(full_table(build(k1, k2)), want, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.15, 0.5])
def test_neighbours_are_those_of_the_global_view(weight):
    features = features_of(np.random.default_rng(6), 60, 2)
    inner = Jaccard(k1=6, k2=2)
    links = Fused(weight, inner)(features).nearest().toarray()
    np.testing.assert_array_equal(links, inner(features.only("global")).nearest().toarray())


@pytest.mark.parametrize(("weight", "parts"), [(0.15, 0), (1.0, 0), (0.0, 2)])
def test_the_global_view_alone_is_the_inner_graph(weight, parts):
    features = features_of(np.random.default_rng(7), 70, parts)
    inner = Jaccard(k1=6, k2=2)
    graph, want = Fused(weight, inner)(features), inner(features.only("global"))
    for one, other in zip(graph.affinities, want.affinities, strict=True):
        np.testing.assert_array_equal(one, other)
    assert graph.weights == want.weights == (1.0,)


def test_weights_are_those_of_the_equation():
    weights = view_weights(["part1", "global", "part2"], 0.15, setting="x")
    assert [*weights] == ["global", "part1", "part2"]
    assert list(weights.values()) == pytest.approx([0.7, 0.15, 0.15])
    assert view_weights(["global", "a", "b", "c"], 1 / 3, setting="x")["global"] == 0


def test_weights_above_one_in_sum_are_refused():
    features = features_of(np.random.default_rng(0), 20, 3)
    told = r"graph\.part_weight=0\.34 should be between 0 and 0\.333: the model has 3 parts"
    builder = Fused(0.34)
    for build in (builder, lambda f: builder.variants(f, builder.vectors(f))):
        with pytest.raises(ConfigError, match=told):
            build(features)
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="should be between 0 and 1"):
            Fused(weight)


def test_the_memory_limit_is_for_all_views_together():
    features = features_of(np.random.default_rng(1), 300, 2)
    for builder in (Fused(), Fused(0.0)):
        assert builder(features, memory=10**8).memory == 10**8
    enough_for_one = 2 * 300 * 4 * 30 * 8 * 4
    Fused(0.0)(features, memory=enough_for_one)
    with pytest.raises(CostError, match="300 samples in 3 views"):
        Fused()(features, memory=enough_for_one)
