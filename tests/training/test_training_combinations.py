"""Any part with any other: random recipes train, and what does not fit is told together."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import CAMERA, TINY

import resight
from resight.errors import ConfigError
from resight.recipe import Recipe

CHOICES: dict[str, list[dict[str, Any]]] = {
    "views": [
        {},
        {"encoder.parts": 2, "graph": {"part": "Fused", "graph": {"k1": 6, "k2": 3}}},
        {
            "encoder.parts": 3,
            "graph": {"part": "Fused", "part_weight": 0.1, "graph": {"k1": 6, "colour": 0.3}},
        },
        {"encoder.parts": 2, "individual_labels": True},
    ],
    "clusterer": [
        {"clusterer": {"part": "DBSCAN", "eps": 0.5}},
        {"clusterer": {"part": "HDC", "n_clusters": 12}},
        {"clusterer": {"part": "KMeans", "n_clusters": 12}},
        {"clusterer": {"part": "AutoDBSCAN"}},
        {
            "clusterer": {
                "part": "Switch",
                "epoch": 1,
                "first": {"part": "DBSCAN", "eps": 0.5},
                "then": {"part": "HDC"},
            }
        },
    ],
    "confidence": [
        {},
        {"confidence": {"part": "Silhouette"}},
        {"confidence": {"part": "Silhouette", "distance": "cosine", "delta": {"part": "Tanh"}}},
    ],
    "memory": [
        *({"memory": {"part": "ClusterMemory", "update": u}} for u in ("vanilla", "chd", "tccl")),
        {"memory": {"part": "ClusterMemory", "init": "random", "update": "hard"}},
        {"memory": {"part": "InstanceMemory", "momentum": 0.0}},
        {"memory": {"part": "InstanceMemory", "momentum": 0.2, "fraction": 0.5}},
    ],
    "targets": [{}, {"targets": {"part": "GuidedLabels"}}],
    "weights": [{}, {"weights": {"part": "CameraEntropy"}}],
    "class": [{"part": "ClusterNCE"}, {"part": "HardPersonNCE"}],
    "instance": [
        {},
        {"part": "InstanceLoss"},
        {"part": "InstanceLoss", "positives": "generated", "steps": 1},
        {"part": "InstanceLoss", "positives": "mined", "measure": "distance"},
    ],
    "cameras": [{}, {"part": "CrossCamera", "negatives": 3}],
    "teacher": [
        {},
        {"teacher": {"epochs": 1}},
        {"teacher": {"epochs": 0, "momentum": 0.9, "bn": "running", "warm_up": 0.0}},
        {"teacher": {"epochs": 1, "labels": "always", "warm_up": 1.0}},
    ],
}
SEEDS = (1, 7, 8, 9, 13, 16, 18, 21, 23, 25)


def drawn_by(seed: int) -> dict[str, dict[str, Any]]:
    """A random valid choice for every slot."""
    rng = np.random.default_rng(seed)
    drawn = {slot: options[rng.integers(len(options))] for slot, options in CHOICES.items()}
    if drawn["memory"]["memory"]["part"] == "ClusterMemory":
        drawn["instance"] = CHOICES["instance"][rng.integers(3)]
    return drawn


def combined(seed: int) -> dict[str, Any]:
    """The settings of what is drawn."""
    drawn = drawn_by(seed)
    views = ["global", *(f"part{i + 1}" for i in range(drawn["views"].get("encoder.parts", 0)))]
    losses = [drawn["class"] | {"view": view, "weight": 1 / len(views)} for view in views]
    losses += [term for term in (drawn["instance"], drawn["cameras"]) if term]
    if drawn["teacher"]:
        losses += [{"part": "Distillation", "view": view} for view in views]
    slots = ("views", "clusterer", "confidence", "memory", "targets", "weights", "teacher")
    settings = {**TINY, "size": [96, 32], "optim.iterations": 2, "losses": losses}
    settings["batches.instances"] = 3
    for slot in slots:
        settings |= drawn[slot]
    if "graph" in settings:
        settings = {k: v for k, v in settings.items() if not k.startswith("graph.")}
    return settings


@pytest.mark.parametrize("slot", CHOICES)
def test_every_option_is_among_the_ten_combinations(slot: str) -> None:
    drawn = [drawn_by(seed)[slot] for seed in SEEDS]
    assert [option for option in CHOICES[slot] if option not in drawn] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_random_combinations_train_two_epochs(seed: int, crops: Path, tmp_path: Path) -> None:
    settings = combined(seed)
    run = resight.train(crops, out=tmp_path / "run", settings=settings, camera_pattern=CAMERA)
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert len(lines) == Recipe.read(run / "recipe.yaml").total_epochs
    assert all(math.isfinite(line["loss"]) for line in lines)


def test_views_of_lp_with_parts_of_3c_and_cgc(crops: Path, tmp_path: Path) -> None:
    tiny = {k: v for k, v in TINY.items() if not k.startswith("graph.")}
    settings = tiny | {
        "graph.graph.k1": 6,
        "clusterer": {"part": "HDC", "n_clusters": 12},
        "weights": {"part": "CameraEntropy"},
        "memory.update": "chd",
        "targets": {"part": "GuidedLabels"},
        "teacher.epochs": 1,
    }
    run = resight.train(
        crops, out=tmp_path / "run", method="lp", settings=settings, camera_pattern=CAMERA
    )
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["title"] for line in lines] == ["warm-up", "epoch 1/2", "epoch 2/2"]
    assert all(math.isfinite(line["loss"]) for line in lines)


def test_all_that_a_combination_lacks_is_told_together(crops: Path, tmp_path: Path) -> None:
    settings = TINY | {
        "losses": [
            {"part": "ClusterNCE", "view": "part1"},
            {"part": "Distillation"},
            {"part": "InstanceLoss", "positives": "mined"},
            {"part": "CrossCamera"},
        ],
        "weights": {"part": "CameraEntropy"},
        "memory": {"part": "ClusterMemory", "update": "chd"},
        "individual_labels": True,
        "clusterer": {"part": "HDC", "n_clusters": 500},
    }
    with pytest.raises(ConfigError) as raised:
        resight.train(crops, out=tmp_path / "run", settings=settings)
    for told in (
        "losses.0 (ClusterNCE) looks at view 'part1' and the encoder gives global",
        "losses.1 (Distillation) needs a teacher",
        "losses.2 (InstanceLoss) picks from an instance memory",
        "CrossCamera needs crops with cameras",
        "CameraEntropy needs crops with cameras",
        "update=chd needs crops with cameras",
        "individual_labels needs the views of parts",
        "500 clusters",
    ):
        assert told in str(raised.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"teacher": {}}, "the teacher has nothing to do"),
        ({"teacher": {}, "losses": [{"part": "Distillation"}]}, "Distillation alone"),
        ({"graph": {"part": "Fused"}}, "Fused needs the views of parts"),
        (
            {"graph": {"part": "Fused", "part_weight": 0.4}, "encoder.parts": 3},
            "set at most 0.333",
        ),
        ({"encoder.parts": 2}, "part1, part2 of the encoder's views are trained by no loss"),
        (
            {"losses": [{"part": "InstanceLoss"}], "batches.instances": 1},
            "takes positives from the batch: set batches.instances to 2 or more",
        ),
        (
            {
                "teacher": {"epochs": 0},
                "losses": [{"part": "ClusterNCE"}, {"part": "Distillation"}],
            },
            "starts as the student does and stands still",
        ),
        ({"targets": {"part": "GuidedLabels", "beta": 1.2}}, "beta=1.2 should be between 0 and 1"),
        ({"teacher": {"run": "x", "epochs": 3}}, "is trained already"),
        ({"teacher": {"momentum": 2}}, "momentum=2.0 should be between 0 and 1"),
        (
            {"losses": [{"part": "ClusterNCE", "weight": -1}]},
            r"losses\.0 \(ClusterNCE\) has weight=-1, which should be >= 0",
        ),
    ],
)
def test_wrong_combinations_are_one_sentence(
    settings: dict[str, Any], told: str, crops: Path, tmp_path: Path
) -> None:
    if settings == {"teacher": {}}:
        settings = {"teacher": {"warm_up": 0.0}}
    plain = {k: v for k, v in TINY.items() if not ("graph" in settings and k.startswith("graph."))}
    with pytest.raises(ConfigError, match=told) as raised:
        resight.train(crops, out=tmp_path / "run", settings=plain | settings)
    assert "\n" not in str(raised.value)
