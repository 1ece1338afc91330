import numpy as np
import pytest
from tables import Table, clouds

from resight.clustering import DBSCAN
from resight.clustering.doctor import (
    GRID,
    LOW_GRID,
    SCORED,
    Trouble,
    camera_mix,
    diagnose,
    propose_eps,
    propose_k1,
    sweep,
)
from resight.clustering.quality import against_identities
from resight.clustering.silhouettes import feature_silhouette
from resight.graph import jaccard_graph, neighbours
from resight.records import Features, PseudoLabels


def sized(sizes, outliers=0):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return PseudoLabels(np.append(labels, np.full(outliers, -1)))


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (sized([]), Trouble.NO_CLUSTER),
        (sized([], 50), Trouble.NO_CLUSTER),
        (sized([50], 3), Trouble.ONE_CLUSTER),
        (sized([4] * 12, 1000), Trouble.MOSTLY_OUTLIERS),
        (sized([600, *[8] * 50], 10), Trouble.GIANT_CLUSTER),
        (sized([26, 4]), Trouble.GIANT_CLUSTER),
        (sized([12, 8]), None),
        (sized([4, 4], 30), None),
        (sized([40, *[8] * 50]), None),
        (sized([400, *[8] * 50]), None),
    ],
)
def test_diagnose(labels, kind):
    problem = diagnose(labels)
    assert (problem and problem.kind) == kind
    assert kind is None or str(problem).startswith(f"{kind.value} (")


class CountedTable(Table):
    cuts = ()

    def near(self, cut):
        CountedTable.cuts += (cut,)
        return super().near(cut)


def test_sweep_says_what_dbscan_finds_from_one_near_graph():
    rows, _ = clouds(np.random.default_rng(1), [12] * 5)
    table = np.clip((1 - rows @ rows.T) / 2, 0, 1)
    np.fill_diagonal(table, 0)
    features = Features({"global": np.zeros((60, 1), np.float32)})
    eps_values = (0.05, 0.15, 0.025, 0.3)
    CountedTable.cuts = ()
    rows = sweep(CountedTable(table), eps_values, min_samples=3)
    assert CountedTable.cuts == (0.3,)
    assert [row.eps for row in rows] == list(eps_values)
    for row in rows:
        found = DBSCAN(row.eps, 3)(Table(table), features, None)
        assert (row.clusters, row.outliers) == (found.n_clusters, found.n_outliers)
        assert row.largest_share == pytest.approx(found.sizes.max(initial=0) / 60)
        assert row.problem == diagnose(found)
    assert len({row.outliers for row in rows}) > 2


@pytest.mark.parametrize("with_features", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_proposed_eps_is_close_to_the_best(seed, with_features):
    sizes = np.random.default_rng(seed).integers(8, 26, 40)
    features, identities = clouds(np.random.default_rng(seed), sizes, dim=24, noise=0.9)
    graph = jaccard_graph(features)
    proposal = propose_eps(graph, features=features if with_features else None)

    def ari(eps):
        labels = DBSCAN(eps)(graph, Features({"global": features}), None).labels
        return against_identities(labels, identities + 1)["ari"]

    results = {eps: ari(eps) for eps in GRID}
    assert results[proposal.eps] > max(results.values()) - 0.05
    assert min(results.values()) < max(results.values()) - 0.3


def test_a_proposal_explains_itself():
    table = np.full((12, 12), 0.9, np.float32)
    for start in (0, 4, 8):
        table[start : start + 4, start : start + 4] = 0.2
    np.fill_diagonal(table, 0)
    table[8:, 8:] = 0.5 * (1 - np.eye(4))
    proposal = propose_eps(Table(table))
    assert proposal.eps == 0.5
    assert proposal.reach == pytest.approx((0.2, 0.2, 0.5))
    assert proposal.explain() == (
        "of 21 values, eps 0.5 separates the crops best: 3 clusters, 0 outliers, silhouette 0.67. "
        "Half of the crops have the neighbours that a cluster takes within 0.20, "
        "a tenth within 0.20, nine tenths within 0.50"
    )


def test_near_duplicates_ask_for_a_lower_eps():
    table = np.full((15, 15), 0.25, np.float32)
    for start in (0, 5, 10):
        table[start : start + 5, start : start + 5] = 0.08
    np.fill_diagonal(table, 0)
    proposal = propose_eps(Table(table))
    assert proposal.eps in LOW_GRID
    assert [row.eps for row in proposal.sweep] == [*GRID, *LOW_GRID]


def test_no_eps_is_of_use():
    assert propose_eps(Table(np.zeros((20, 20), np.float32))) is None
    assert propose_eps(Table((1 - np.eye(20)).astype(np.float32))) is None
    assert propose_eps(Table(np.zeros((0, 0), np.float32))) is None


def test_cameras_keep_an_individual_together():
    """Two views of each individual, alike only across the whole: each camera sees one of them."""
    rng = np.random.default_rng(5)
    views = np.repeat(rng.standard_normal((30, 1, 32)), 2, axis=1)
    views += 0.75 * rng.standard_normal(views.shape)
    features = np.repeat(views.reshape(60, 32), 10, axis=0)
    features += 0.35 * rng.standard_normal(features.shape)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    features = features.astype(np.float32)
    identities, cameras = np.repeat(np.arange(30), 20), np.tile(np.repeat([0, 1], 10), 30)
    graph = jaccard_graph(features, k1=20)

    def ari(proposal):
        labels = DBSCAN(proposal.eps)(graph, Features({"global": features}), None).labels
        return against_identities(labels, identities + 1)["ari"]

    blind = ari(propose_eps(graph, features=features))
    aware = ari(propose_eps(graph, features=features, cameras=cameras))
    one = propose_eps(graph, features=features, cameras=np.zeros(600, np.int64))
    assert aware > blind + 0.1
    assert ari(one) == blind


def test_k1_and_eps_together():
    features, identities = clouds(np.random.default_rng(3), [7] * 60, dim=24, noise=0.6)
    nearest = neighbours(features, 30)
    asked = []

    def build(k1, k2):
        asked.append((k1, k2))
        return jaccard_graph(features, k1=k1, k2=k2, nearest=nearest)

    proposal = propose_k1(features, build)
    assert asked == [(8, 4), (12, 6), (16, 6), (20, 6), (30, 6)]
    assert proposal.k1 < 30
    assert proposal.eps == proposal.tried[proposal.k1, proposal.k2].eps
    assert all(
        proposal.tried[proposal.k1, proposal.k2].score >= p.score for p in proposal.tried.values()
    )
    graph = build(proposal.k1, proposal.k2)
    labels = DBSCAN(proposal.eps)(graph, Features({"global": features}), None).labels
    assert against_identities(labels, identities + 1)["ari"] > 0.9
    assert proposal.explain().startswith("best silhouettes k1 8: ")


def test_k1_without_samples_enough():
    features, _ = clouds(np.random.default_rng(3), [10, 9], dim=24, noise=0.3)

    def build(k1, k2):
        return jaccard_graph(features, k1=k1, k2=k2)

    assert {k1 for k1, _ in propose_k1(features, build).tried} <= {8, 12, 16}
    assert propose_k1(features[:5], build) is None


def test_sweep_tells_the_share_of_clusters_across_cameras():
    features, _ = clouds(np.random.default_rng(1), [12] * 9, dim=24, noise=0.6)
    cameras = np.random.default_rng(0).integers(0, 3, 108)
    graph = jaccard_graph(features, k1=10)
    for row in sweep(graph, (0.3, 0.5), features=features, cameras=cameras):
        labels = DBSCAN(row.eps)(graph, Features({"global": features}), None).labels
        spans = [len(set(cameras[labels == c])) > 1 for c in range(labels.max() + 1)]
        assert row.across_cameras == pytest.approx(np.mean(spans))
    blind = sweep(graph, (0.3,), features=features)
    assert np.isnan(blind[0].across_cameras)


def test_large_sets_are_scored_by_a_sample():
    """Every sample twice: the sample's mean is close to that of half the set, all of it scored."""
    features, _ = clouds(np.random.default_rng(2), [12] * 600, dim=24, noise=0.6)
    both = np.repeat(features, 2, axis=0)
    assert len(features) < SCORED < len(both)
    graph = jaccard_graph(both, k1=12)
    labels = DBSCAN(0.5)(graph, Features({"global": both}), None).labels
    every = feature_silhouette(both, labels)
    row = sweep(graph, (0.5,), features=both)[0]
    assert row.score == pytest.approx(np.nansum(every) / len(both), abs=0.01)
    some = np.array([3, 14_000, 77])
    np.testing.assert_allclose(
        feature_silhouette(both, labels, wanted=some), every[some], atol=1e-6
    )


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_cameras_that_dominate_are_told(shift):
    rng = np.random.default_rng(4)
    rows, _ = clouds(rng, [10] * 30, dim=32, noise=0.5)
    cameras = rng.integers(0, 4, 300) * 3
    rows = rows + shift * rng.standard_normal((10, 32))[cameras]
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    graph = jaccard_graph(rows, k1=10)
    mix = camera_mix(graph, cameras)
    found = neighbours(rows, 10).indices[:, 1:]
    assert mix.across == pytest.approx(np.mean(cameras[:, None] != cameras[found]))
    counts = np.unique(cameras, return_counts=True)[1] / 300
    assert mix.expected == pytest.approx(1 - np.sum(counts**2))
    assert mix.cameras_dominate == (shift > 0)
    assert ("centre the features" in mix.explain()) == (shift > 0)
    assert ("balance the neighbours" in mix.explain(centred=True)) == (shift > 0)


def test_dbscan_with_eps_of_the_data():
    features, _ = clouds(np.random.default_rng(1), [12] * 20, dim=24, noise=0.7)
    graph, given = jaccard_graph(features, k1=10), Features({"global": features})
    labels = DBSCAN("auto")(graph, given, None).labels
    eps = propose_eps(graph, features=features).eps
    np.testing.assert_array_equal(labels, DBSCAN(eps)(graph, given, None).labels)
    alone = np.eye(20, dtype=np.float32)
    nothing = DBSCAN("auto")(jaccard_graph(alone, k1=1, k2=1), Features({"global": alone}), None)
    assert nothing.n_outliers == 20
