"""Pseudo-labels of an epoch: what the clusterer is given, and what becomes of what it finds."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import CAMERA, TINY

import resight
from resight.clustering import DBSCAN, AutoDBSCAN, KMeans, Silhouette
from resight.clustering.silhouettes import silhouette
from resight.graph import Jaccard, jaccard_graph
from resight.recipe import OptimPlan, Recipe
from resight.records import GLOBAL, Features, Graph, PseudoLabels
from resight.schedules import Linear
from resight.training import epoch as epoch_module
from resight.training.plan import EpochPlan
from resight.training.pseudo_labels import Labelling, label

N = 24


@dataclass(frozen=True, eq=False)
class Given:
    """A clusterer that keeps what it is given and finds what it was told."""

    labels: Any
    given: list[tuple[Graph, Features]] = field(default_factory=list)

    def __call__(self, graph: Graph, features: Features, rng: Any) -> PseudoLabels:
        self.given.append((graph, features))
        return PseudoLabels(np.array(self.labels))


@dataclass(frozen=True)
class Sure:
    """A confidence that is told; the threshold rises from 0 to 1 over the epochs."""

    scores: tuple[float, ...]

    def score(self, graph: Any, features: Any, labels: Any) -> Any:
        return np.array(self.scores, np.float32)

    def threshold(self, epoch: int, epochs: int) -> float:
        return epoch / epochs


def drawn(seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)

    def unit(dimensions: int) -> Any:
        rows = rng.normal(size=(N, dimensions)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return Features({GLOBAL: unit(6), "part1": unit(6)}, colour=unit(9))


def labelled(
    features: Features, clusterer: Any, *, plan: dict[str, Any] | None = None, **changed: Any
) -> Labelling:
    plain: dict[str, Any] = {"graph": Jaccard(k1=8, k2=3), "optim": OptimPlan(epochs=4)}
    recipe = Recipe(clusterer=clusterer, **plain | changed)
    planned = EpochPlan(
        **{"title": "", "epoch": 0, "lr": 1.0, "losses": recipe.losses} | (plan or {})
    )
    return label(recipe, features, np.random.default_rng(0), plan=planned)


@pytest.mark.parametrize(
    "clusterer",
    [Given(np.repeat([0, 1, 2, 3], [5, 7, 6, 6])), AutoDBSCAN(), Given(np.full(N, -1))],
    ids=["the recipe's", "proposed", "rescued"],
)
def test_clusters_smaller_than_asked_are_outliers(clusterer: Any) -> None:
    rng, groups = np.random.default_rng(0), np.repeat([0, 1, 2, 3], [5, 7, 6, 6])
    rows = np.eye(4, 8)[groups] + 0.02 * rng.normal(size=(N, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    features = Features({GLOBAL: rows.astype(np.float32)})
    for min_size, expected in ((5, groups), (6, groups - 1)):
        found = labelled(features, clusterer, min_cluster_size=min_size)
        assert np.array_equal(found.pseudo.labels, expected)
        assert np.array_equal(found.anchors, expected)


def test_of_large_clusters_so_many_random_members_stay() -> None:
    told = np.repeat([0, 1, 2], [12, 8, 4])
    found = labelled(drawn(), Given(told), max_cluster_size=5)
    assert found.pseudo.sizes.tolist() == [5, 5, 4]
    kept = found.pseudo.labels >= 0
    assert np.array_equal(found.pseudo.labels[kept], told[kept])
    assert np.array_equal(found.anchors, found.pseudo.labels)
    assert not np.array_equal(np.flatnonzero(kept)[:5], np.arange(5))


@pytest.mark.parametrize(
    ("epoch", "sure"),
    [(0, [0.1, 0.3, 0.6, 0.8]), (1, [0.3, 0.6, 0.8]), (2, [0.6, 0.8]), (3, [0.8])],
)
def test_the_members_above_the_threshold_of_the_epoch_are_anchors(
    epoch: int, sure: list[float]
) -> None:
    """Eq. 7 of CGC; the threshold is 0, 1/4, 1/2, 3/4."""
    scores, told = np.tile([0.1, 0.3, 0.6, 0.8], 6), np.repeat([0, 1, 2], 8)
    found = labelled(
        drawn(), Given(told), plan={"epoch": epoch}, confidence=Sure(tuple(scores.tolist()))
    )
    assert np.array_equal(found.anchors, np.where(np.isin(scores, sure), told, -1))
    assert np.array_equal(found.pseudo.labels, told)
    np.testing.assert_allclose(found.pseudo.confidence, scores, rtol=1e-6)


@pytest.mark.parametrize("epoch", range(4))
def test_the_anchors_of_cgc_are_those_with_a_silhouette_above_the_linear_delta(epoch: int) -> None:
    features, told = drawn(), np.arange(N) % 3
    found = labelled(
        features, Given(told), plan={"epoch": epoch}, confidence=Silhouette(delta=Linear(-0.1, 0.1))
    )
    scores = silhouette(jaccard_graph(features.vectors, k1=8, k2=3), told)
    above = scores > -0.1 + 0.2 * epoch / 4
    assert 0 < above.sum() < N
    expected = np.where(above, told, -1)
    for cluster in range(3):
        if not above[told == cluster].any():
            expected[told == cluster] = cluster
    assert np.array_equal(found.anchors, expected)


def test_each_view_is_clustered_by_itself() -> None:
    """Four groups in either view, of other crops."""
    n = np.arange(N)
    views = {GLOBAL: np.eye(4)[n % 4], "part1": np.eye(4)[n // 6]}
    features = Features({view: rows.astype(np.float32) for view, rows in views.items()})
    found = labelled(features, DBSCAN(0.5), graph=Jaccard(k1=6, k2=1), individual_labels=True)
    assert np.array_equal(found.pseudo.labels, n % 4)
    assert list(found.views) == ["part1"]
    assert np.array_equal(found.views["part1"].pseudo.labels, n // 6)
    assert np.array_equal(found.views["part1"].anchors, n // 6)


def test_clusterers_see_what_the_graph_compares() -> None:
    features, graph = drawn(), Jaccard(k1=8, k2=3, colour=0.5)
    clusterer = Given(np.arange(N) % 3)
    labelled(features, clusterer, graph=graph)
    _, given = clusterer.given[0]
    expected = np.hstack((features.vectors, features.colour)) * np.sqrt(0.5)
    np.testing.assert_allclose(given.vectors, expected, rtol=1e-6)
    assert np.array_equal(given.views["part1"], features.views["part1"])


@pytest.mark.parametrize(("handed_on", "k1", "k2"), [(None, 8, 3), ((5, 2), 5, 2)])
def test_a_proposal_that_is_handed_on_makes_the_graph(
    handed_on: tuple[int, int] | None, k1: int, k2: int
) -> None:
    features, clusterer = drawn(), Given(np.arange(N) % 3)
    found = labelled(
        features, clusterer, plan={"k1_k2": handed_on}, confidence=Silhouette(delta=Linear())
    )
    graph, _ = clusterer.given[0]
    expected = jaccard_graph(features.vectors, k1=k1, k2=k2)
    assert (graph.near(0.999) != expected.near(0.999)).nnz == 0
    np.testing.assert_array_equal(found.silhouettes, silhouette(expected, found.pseudo.labels))


def test_an_eps_of_the_recipe_is_for_the_k1_of_the_recipe() -> None:
    rng = np.random.default_rng(0)
    rows = np.eye(4, 8)[np.arange(N) % 4] + 0.3 * rng.normal(size=(N, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    features = Features({GLOBAL: rows.astype(np.float32)})
    found = labelled(features, DBSCAN(0.7), plan={"k1_k2": (5, 2)})
    own, other = (
        silhouette(jaccard_graph(features.vectors, k1=k1, k2=k2), found.pseudo.labels)
        for k1, k2 in ((8, 3), (5, 2))
    )
    assert found.rescue is None
    np.testing.assert_array_equal(found.silhouettes, own)
    assert not np.allclose(own, other, equal_nan=True)


def test_a_number_of_clusters_that_is_handed_on_is_looked_for() -> None:
    found = labelled(drawn(), KMeans(), plan={"n_clusters": 7}, min_cluster_size=1)
    assert found.pseudo.n_clusters == 7


def test_a_run_hands_on_what_its_warm_up_proposed(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = []

    def spied(*args: Any, plan: EpochPlan, **options: Any) -> Labelling:
        plans.append(plan)
        return label(*args, plan=plan, **options)

    monkeypatch.setattr(epoch_module, "label", spied)
    switch = {
        "part": "Switch",
        "epoch": 1,
        "first": {"part": "AutoDBSCAN"},
        "then": {"part": "KMeans"},
    }
    settings = TINY | {"clusterer": switch}
    run = resight.train(
        crops, out=tmp_path / "run", settings=settings, camera_pattern=CAMERA, evaluate_every=0
    )
    first = json.loads((run / "log.jsonl").read_text().splitlines()[0])
    proposed = first["proposed"]
    assert [plan.k1_k2 for plan in plans] == [None, (proposed["k1"], proposed["k2"])]
    assert [plan.n_clusters for plan in plans] == [None, first["clusters"]]
