"""Published settings are the papers', number by number."""

from typing import Any

import pytest

from resight.methods import METHODS, recipe_for
from resight.methods.annotated import _flat
from resight.parts import to_plain
from resight.recipe import Recipe, misfits

SHARED: dict[str, Any] = {
    "size.0": 256,
    "size.1": 128,
    "encoder.backbone": "resnet50",
    "encoder.weights": "imagenet",
    "encoder.pooling": "gem",
    "encoder.last_stride": 1,
    "encoder.embedding": "bn",
    "encoder.mirror": False,
    "encoder.parts": 0,
    "augment.flip": 0.5,
    "augment.pad": 10,
    "augment.erase": 0.5,
    "augment.colour": 0.0,
    "sample_fraction": 1.0,
    "graph.k1": 30,
    "graph.k2": 6,
    "graph.self_counts": True,
    "graph.centre_cameras": False,
    "graph.colour": 0.0,
    "clusterer.part": "DBSCAN",
    "clusterer.eps": 0.6,
    "clusterer.min_samples": 4,
    "min_cluster_size": 2,
    "confidence.part": "AllAlike",
    "memory.part": "ClusterMemory",
    "memory.init": "mean",
    "memory.update": "vanilla",
    "memory.momentum": 0.1,
    "losses.0.part": "ClusterNCE",
    "losses.0.temperature": 0.05,
    "losses.0.weight": 1.0,
    "targets.part": "HardTargets",
    "weights.part": "EqualWeights",
    "batches.identities": 16,
    "batches.instances": 16,
    "optim.epochs": 50,
    "optim.iterations": 200,
    "optim.lr": 3.5e-4,
    "optim.weight_decay": 5e-4,
    "optim.schedule.part": "Steps",
    "optim.schedule.every": 20,
    "optim.schedule.factor": 0.1,
    "teacher": None,
}
GONE = object()
VEHICLES = {"size.0": 224, "size.1": 224, "optim.iterations": 400}
PAPER = {
    "clusterer.eps": 0.4,
    "memory.init": "random",
    "memory.update": "hard",
    "encoder.pooling": "avg",
    "encoder.embedding": "pooled",
}
CGC = {
    "confidence.part": "Silhouette",
    "confidence.distance": "jaccard",
    "confidence.delta.part": "Linear",
    "confidence.delta.start": -0.1,
    "confidence.delta.end": 0.1,
    "targets.part": "GuidedLabels",
    "targets.beta": 0.8,
    "optim.epochs": 70,
    "optim.schedule.every": 30,
}
CGC_MSMT17 = CGC | {
    "confidence.delta.part": "Constant",
    "confidence.delta.value": 0.0,
    "confidence.delta.start": GONE,
    "confidence.delta.end": GONE,
    "optim.epochs": 50,
    "optim.iterations": 400,
}
THREE_C = {
    "graph.self_counts": False,
    "clusterer.part": "Switch",
    "clusterer.eps": GONE,
    "clusterer.min_samples": GONE,
    "clusterer.epoch": 10,
    "clusterer.first.part": "DBSCAN",
    "clusterer.first.eps": 0.6,
    "clusterer.first.min_samples": 4,
    "clusterer.then.part": "HDC",
    "clusterer.then.n_clusters": 750,
    "clusterer.then.similarity": "released",
    "clusterer.then.max_iterations": 80,
    "clusterer.then.drop_peripheral": True,
    "clusterer.then.cut": None,
    "min_cluster_size": 4,
    "memory.update": "chd",
    "weights.part": "CameraEntropy",
    "weights.base": 2,
    "optim.epochs": 60,
    "optim.schedule.part": "Ramp",
    "optim.schedule.every": GONE,
    "optim.schedule.factor": GONE,
    "optim.schedule.epochs": 10,
    "optim.schedule.start": 0.1,
    "optim.schedule.then.part": "Milestones",
    "optim.schedule.then.at.0": 30,
    "optim.schedule.then.at.1": 50,
    "optim.schedule.then.factor": 0.1,
}
ACFL = {
    "clusterer.eps": 0.5,
    "memory.part": "InstanceMemory",
    "memory.init": GONE,
    "memory.update": GONE,
    "memory.momentum": 0.0,
    "memory.fraction": 1.0,
    "memory.normalise": False,
    "losses.0.part": "HardPersonNCE",
    "losses.0.steps": 10,
    "losses.0.positive_rate": 0.00035,
    "losses.0.negative_rate": 0.0028,
    "losses.1.part": "InstanceLoss",
    "losses.1.measure": "relative_entropy",
    "losses.1.positives": "generated",
    "losses.1.steps": 3,
    "losses.1.rate": 1.0,
    "losses.1.temperature": 0.05,
    "losses.1.weight": 1.0,
    "batches.instances": 4,
    "optim.epochs": 60,
    "optim.iterations": 0,
    "optim.passes": 1.0,
    "optim.lr": 5e-4,
    "optim.schedule.every": 25,
}
ACFL_C = ACFL | {
    "losses.2.part": "CrossCamera",
    "losses.2.weight": 0.5,
    "losses.2.temperature": 0.07,
    "losses.2.negatives": 50,
    "losses.2.other_only": False,
}
ACFL_VIT = ACFL | {
    "encoder.backbone": "vit_small",
    "encoder.pooling": "token",
    "encoder.last_stride": 2,
}
ACFL_ST = ACFL | {
    "losses.2.part": "Distillation",
    "losses.2.view": "global",
    "losses.2.weight": 1.0,
    "teacher": GONE,
    "teacher.warm_up": 2.0,
    "teacher.momentum": 1.0,
}
LP = {
    "encoder.parts": 2,
    "graph.part": "Fused",
    "graph.part_weight": 0.15,
    "graph.graph.k1": 30,
    "graph.graph.k2": 6,
    "graph.graph.self_counts": True,
    "graph.graph.colour": 0.0,
    **{f"graph.{key}": GONE for key in ("k1", "k2", "self_counts", "centre_cameras", "colour")},
    "individual_labels": False,
    "losses.0.view": "global",
    "losses.0.weight": 0.8,
    "losses.1.part": "ClusterNCE",
    "losses.1.view": "part1",
    "losses.1.weight": 0.2,
    "losses.2.view": "part2",
    "losses.2.weight": 0.2,
    "losses.3.part": "Distillation",
    "losses.3.view": "global",
    "losses.3.weight": 0.8,
    "losses.4.view": "part1",
    "losses.4.weight": 0.2,
    "losses.5.part": "Distillation",
    "losses.5.view": "part2",
    "losses.5.weight": 0.2,
    "teacher": GONE,
    "teacher.run": None,
    "teacher.epochs": None,
    "teacher.warm_up": 2.0,
    "teacher.labels": "warm-up",
    "teacher.bn": "batch",
    "teacher.momentum": 1.0,
    "teacher.distil_in_warm_up": False,
}
LARGE = {"clusterer.eps": 0.7}
EXPECTED: dict[tuple[str, str], dict[str, Any]] = {
    ("cluster-contrast", "market1501"): {},
    ("cluster-contrast", "market1501-paper"): PAPER,
    ("cluster-contrast", "dukemtmc-paper"): PAPER,
    ("cluster-contrast", "msmt17"): {"optim.iterations": 400},
    ("cluster-contrast", "personx"): {},
    ("cluster-contrast", "veri776"): VEHICLES,
    ("cgc", "market1501"): CGC,
    ("cgc", "msmt17"): CGC_MSMT17,
    ("3c", "market1501"): THREE_C,
    ("3c", "msmt17"): THREE_C | {"clusterer.then.n_clusters": 1000, "optim.iterations": 400},
    ("3c", "veri776"): THREE_C
    | VEHICLES
    | {"clusterer.then.n_clusters": 1000, "clusterer.then.drop_peripheral": False},
    **{
        (name, data): settings | (LARGE if data == "msmt17" else {})
        for name, settings in (
            ("acfl", ACFL),
            ("acfl-c", ACFL_C),
            ("acfl-vit", ACFL_VIT),
            ("acfl-st", ACFL_ST),
        )
        for data in ("market1501", "dukemtmc", "msmt17")
    },
    ("lp", "market1501"): LP,
    ("lp", "msmt17"): LP | LARGE | {"optim.iterations": 400},
}


def values(recipe: Recipe) -> dict[str, Any]:
    flat = _flat(to_plain(recipe, annotated=Recipe))
    return {key: value for key, value in flat.items() if not isinstance(value, dict)}


def test_all_published_settings_are_pinned() -> None:
    assert set(EXPECTED) == {(m.name, data) for m in METHODS.values() for data in m.published}


@pytest.mark.parametrize(("name", "data"), EXPECTED)
def test_published_settings_are_the_papers(name: str, data: str) -> None:
    found = values(recipe_for(name, published=data))
    wrong = {
        key: (found.get(key, GONE), value)
        for key, value in (SHARED | EXPECTED[name, data]).items()
        if found.get(key, GONE) != value
    }
    assert not wrong


@pytest.mark.parametrize("name", METHODS)
def test_every_recipe_fits_together(name: str) -> None:
    for data in (None, *METHODS[name].published):
        assert misfits(recipe_for(name, published=data)) == []


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"cluster-contrast"}))
def test_settings_fitted_to_the_data_are_those_of_cluster_contrast(name: str) -> None:
    base, found = values(recipe_for("cluster-contrast")), values(recipe_for(name))
    for key in ("size.0", "augment.pad", "optim.epochs", "optim.passes", "optim.schedule.part"):
        assert found[key] == base[key]
    assert not any(found.get(f"clusterer.{key}n_clusters") == 750 for key in ("", "then."))


def test_the_learning_rate_of_3c_over_its_epochs() -> None:
    optim = recipe_for("3c", published="market1501").optim
    lr = [optim.lr * optim.schedule(epoch, optim.epochs) for epoch in range(optim.epochs)]
    assert lr[0] == pytest.approx(3.5e-5)
    assert lr[:11] == sorted(lr[:11])
    assert lr[10:30] == pytest.approx([3.5e-4] * 20)
    assert lr[30:50] == pytest.approx([3.5e-5] * 20)
    assert lr[50:] == pytest.approx([3.5e-6] * 10)
