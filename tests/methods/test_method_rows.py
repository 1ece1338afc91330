"""What every row of every table changes, value by value."""

import inspect
from collections.abc import Iterable
from typing import Any

import pytest

from resight.methods import METHODS, recipe_for, table_of
from resight.parts import to_plain

Settings = dict[str, Any]
Rows = dict[str, Settings]


def nce(view: str = "global", weight: float = 1.0) -> Settings:
    return {"part": "ClusterNCE", "temperature": 0.05, "view": view, "weight": weight}


def hard(*, positive: float = 0.00035, negative: float = 0.0028) -> Settings:
    rates = {"positive_rate": positive, "negative_rate": negative}
    return nce() | {"part": "HardPersonNCE", "steps": 10} | rates


def instance(measure: str, positives: str) -> Settings:
    made = {"measure": measure, "positives": positives, "steps": 3, "rate": 1.0}
    return nce() | {"part": "InstanceLoss"} | made


def distilled(view: str = "global", weight: float = 1.0) -> Settings:
    return {"part": "Distillation", "view": view, "weight": weight}


def of_views(*, parts: int = 2, lambda2: float = 0.2, mu: float = 1.0) -> list[Settings]:
    """Eq. 8 of LP, and with mu above 0 Eq. 9-10."""
    weights = {"global": 1 - lambda2} | {f"part{n}": lambda2 for n in range(1, parts + 1)}
    guided = [distilled(view, mu * w) for view, w in weights.items() if mu]
    return [*(nce(view, w) for view, w in weights.items()), *guided]


def sweep(key: str, values: Iterable[Any], name: str) -> Rows:
    return {name.format(value): {key: value} for value in values}


INSTANCES = {
    "memory": {"part": "InstanceMemory", "momentum": 0.2, "fraction": 1.0, "normalise": False}
}
TRUE = {"part": "TrueLabels", "split": 0.0, "merge": 0.0}
CLUSTER_CONTRAST: dict[str, Rows] = {
    "3": {
        "4 crops": INSTANCES | {"batches.instances": 4},
        "8 crops": INSTANCES | {"batches.instances": 8},
        "16 crops": INSTANCES | {"batches.instances": 16},
        "26 crops": INSTANCES | {"batches.instances": 26},
    },
    "4": {
        f"at most {n}": INSTANCES | {"batches.instances": 4, "max_cluster_size": n}
        for n in (20, 8, 5, 4)
    },
    "5": {
        "Ground truth": INSTANCES | {"clusterer": TRUE},
        "Splitting": INSTANCES | {"clusterer": TRUE | {"split": 0.133155792277}},
        "Merging": INSTANCES | {"clusterer": TRUE | {"merge": 0.133155792277}},
    },
    "6": {
        "Average": {"memory.update": "average"},
        "Random": {"memory.update": "random"},
        "Easy": {"memory.update": "easy"},
        "Hard": {"memory.update": "hard"},
        "Vanilla": {"memory.update": "vanilla"},
    },
    "7": {
        f"eps {eps}": {"clusterer": {"part": "DBSCAN", "eps": eps, "min_samples": 4}}
        for eps in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    },
    "8": sweep("sample_fraction", (0.3, 0.5, 1.0), "{}"),
    "fig7": {
        "32 crops in a batch": {"batches.identities": 16, "batches.instances": 2},
        "64 crops in a batch": {"batches.identities": 16, "batches.instances": 4},
        "128 crops in a batch": {"batches.identities": 16, "batches.instances": 8},
        "256 crops in a batch": {"batches.identities": 16, "batches.instances": 16},
        "512 crops in a batch": {"batches.identities": 16, "batches.instances": 32},
        **sweep("memory.momentum", (0.0, 0.1, 0.3, 0.5, 0.7, 0.9), "momentum {}"),
    },
}

ALL_MEMBERS = {"confidence": {"part": "AllAlike"}}
ONE_HOT = {"targets": {"part": "HardTargets"}}
CGC: dict[str, Rows] = {
    "1": {
        "Baseline": ALL_MEMBERS | ONE_HOT,
        "Baseline + CGC": ONE_HOT,
        "Baseline + CGL": ALL_MEMBERS,
        "Both": {},
        "Ground truth": {"clusterer": TRUE},
    },
    "2": {
        "Baseline": ALL_MEMBERS | ONE_HOT,
        "Linear": {"confidence.delta": {"part": "Linear", "start": -0.1, "end": 0.1}},
        "Dynamic": {"confidence.delta": {"part": "Tanh", "size": 0.1, "rate": 0.1}},
        "Constant -0.1": {"confidence.delta": {"part": "Constant", "value": -0.1}},
        "Constant 0": {"confidence.delta": {"part": "Constant", "value": 0.0}},
        "Constant 0.1": {"confidence.delta": {"part": "Constant", "value": 0.1}},
    },
    "fig4": sweep("targets.beta", (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), "beta {}"),
}

NO_CIE = {"weights": {"part": "EqualWeights"}}
COLD = {"clusterer.epoch": 0}
DBSCAN = {"clusterer": {"part": "DBSCAN", "eps": 0.6, "min_samples": 4}}
K_MEANS = {"clusterer.then": {"part": "KMeans", "n_clusters": 750, "iterations": 50}}
BACKBONES = ("resnet50", "resnet50_v2", "resnet50_ibn_a")
NUMBERS = {0.5: 375, 0.75: 562, 1.0: 750, 1.25: 938, 1.5: 1125}
THREE_C: dict[str, Rows] = {
    "1": {
        "DBSCAN": DBSCAN | NO_CIE,
        "DBSCAN + CIE": DBSCAN,
        "K-means": K_MEANS | COLD | NO_CIE,
        "K-means + CIE": K_MEANS | COLD,
        "K-means + CIE + warm-up": K_MEANS,
        "HDC": COLD | NO_CIE,
        "HDC + CIE": COLD,
        "HDC + CIE + warm-up": {},
    },
    "2": {
        "Vanilla": {"memory.update": "vanilla", **NO_CIE},
        "Hard": {"memory.update": "hard", **NO_CIE},
        "Hard (TCCL)": {"memory.update": "tccl", **NO_CIE},
        "Hard (CHD)": {"memory.update": "chd", **NO_CIE},
        "Vanilla + CIE": {"memory.update": "vanilla"},
        "Hard + CIE": {"memory.update": "hard"},
        "Hard (TCCL) + CIE": {"memory.update": "tccl"},
        "Hard (CHD) + CIE": {"memory.update": "chd"},
    },
    "4": {
        f"{name}, {backbone}": clusterer | {"encoder.backbone": backbone}
        for name, clusterer in (("DBSCAN", DBSCAN), ("K-means", K_MEANS), ("HDC", {}))
        for backbone in BACKBONES
    },
    "fig5": {
        f"{name}{suffix}, x {share}": clusterer | start | {"clusterer.then.n_clusters": number}
        for name, clusterer in (("K-means", K_MEANS), ("HDC", {}))
        for suffix, start in (("", COLD), (" + warm-up", {}))
        for share, number in NUMBERS.items()
    },
}

DISTANCE = instance("distance", "batch")
HARD_DISTANCE = instance("distance", "generated")
ENTROPY = instance("relative_entropy", "batch")
HARD_ENTROPY = instance("relative_entropy", "generated")
MINED = instance("relative_entropy", "mined")
CAMERAS = {
    "part": "CrossCamera",
    "temperature": 0.07,
    "negatives": 50,
    "other_only": False,
    "view": "global",
    "weight": 0.5,
}
TEACHER = {
    "part": "resight.recipe:Teacher",
    "run": None,
    "epochs": None,
    "warm_up": 2.0,
    "labels": "warm-up",
    "bn": "batch",
    "momentum": 1.0,
    "distil_in_warm_up": False,
}
VIT = {"encoder.backbone": "vit_small", "encoder.pooling": "token", "encoder.last_stride": 2}
ACFL: dict[str, Rows] = {
    "1": sweep("losses.1.steps", (1, 2, 3, 4, 5), "Z = {}"),
    "2": {
        "Base.": {"losses": [nce()]},
        "Base.+distance": {"losses": [nce(), DISTANCE]},
        "Base.+distance+HPI": {"losses": [nce(), HARD_DISTANCE]},
        "Base.+RE": {"losses": [nce(), ENTROPY]},
        "Base.+HPF": {"losses": [hard()]},
        "Base.+HPF+RE": {"losses": [hard(), ENTROPY]},
        "Base.+RE+HPI": {"losses": [nce(), HARD_ENTROPY]},
        "Base.+RE+(HPI+HPF)": {"losses": [hard(), HARD_ENTROPY]},
    },
    "3": {
        "Positive": {"losses": [hard(negative=0.0)]},
        "Negative": {"losses": [hard(positive=0.0)]},
        "Both": {"losses": [hard()]},
    },
    "4": {
        "Easy": {"losses": [nce(), ENTROPY]},
        "Mining": {"losses": [nce(), MINED]},
        "ACFL": {},
    },
    "6": {"ACFL": {}, "ACFL-C": {"losses": [hard(), HARD_ENTROPY, CAMERAS]}},
    "7": {"ACFL": {}, "ACFL-ViT": VIT},
    "9": {
        "ACFL": {},
        "ACFL-ST": {"losses": [hard(), HARD_ENTROPY, distilled()], "teacher": TEACHER},
    },
    "10": sweep("memory.fraction", (0.1, 0.3, 0.5, 0.7, 0.9, 1.0), "mu {}"),
    "fig3": sweep("losses.0.steps", (2, 4, 6, 8, 10, 12, 14), "V = {}"),
}

JACCARD = {
    "part": "Jaccard",
    "k1": 30,
    "k2": 6,
    "self_counts": True,
    "centre_cameras": False,
    "balance_cameras": False,
    "colour": 0.0,
}
ONE_VIEW = {"encoder.parts": 0, "graph": JACCARD}
BASELINE = ONE_VIEW | {"losses": [nce()], "teacher": None}
ALONE = {"losses": of_views(mu=0), "teacher": None}
IBN = {"encoder.backbone": "resnet50_ibn_a"}
ONLINE = {"teacher.epochs": 0, "teacher.warm_up": 0.0}
LP: dict[str, Rows] = {
    "II": {
        "Baseline": BASELINE,
        "Baseline + FP": ALONE,
        "Baseline + LP": ONE_VIEW | {"losses": [nce(), distilled()]},
        "Baseline + FP + LP": {},
    },
    "III": {f"mu {mu}": {"losses": of_views(mu=mu)} for mu in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)},
    "IV": {
        "Teacher 1": ALONE | {"optim.epochs": 10},
        "Student 1": {"teacher.epochs": 10},
        "Teacher 2": ALONE | {"optim.epochs": 20},
        "Student 2": {"teacher.epochs": 20},
        "Teacher 3": ALONE,
        "Student 3": {},
    },
    "V": {
        "Average": {"encoder.pooling": "avg"},
        "Maximum": {"encoder.pooling": "max"},
        "GeM": {"encoder.pooling": "gem"},
    },
    "VI": {
        "Individual labels": {"individual_labels": True},
        "Aggregated labels": {"individual_labels": False},
    },
    "VII": {f"alpha {alpha}": {} for alpha in (0, 0.05, 0.1, 0.15, 0.2)},
    "VIII": sweep("teacher.momentum", (0.99, 0.999, 1.0), "gamma {}"),
    "IX": {
        "gamma 0.99": ONLINE | {"teacher.momentum": 0.99},
        "gamma 0.999": ONLINE | {"teacher.momentum": 0.999},
    },
    "X": {
        "Teacher's labels": {"losses": of_views(mu=0), "teacher.labels": "always"},
        "Label purification": {},
    },
    "XI": {f"{n} parts": {"encoder.parts": n, "losses": of_views(parts=n)} for n in (2, 3, 4)},
    "XII": {"Baseline": BASELINE | IBN, "LP": IBN},
    "XIII": {
        "ImageNet, baseline": BASELINE | {"encoder.weights": "imagenet"},
        "ImageNet, LP": {"encoder.weights": "imagenet"},
        "Other weights, baseline": BASELINE | {"encoder.weights": "other.pth"},
        "Other weights, LP": {"encoder.weights": "other.pth"},
    },
    "fig5": {
        f"lambda1 {lambda1}, lambda2 {lambda2}": {
            "graph.part_weight": lambda1,
            "losses": of_views(lambda2=lambda2, mu=0),
            "teacher": None,
        }
        for lambda1, lambda2 in (
            *((0.05, 0.2), (0.1, 0.2), (0.15, 0.2), (0.2, 0.2), (0.25, 0.2), (0.3, 0.2)),
            *((0.15, 0.05), (0.15, 0.1), (0.15, 0.15), (0.15, 0.25), (0.15, 0.3)),
        )
    },
}
EXPECTED = {
    (method, number): rows
    for method, tables in (
        ("cluster-contrast", CLUSTER_CONTRAST),
        ("cgc", CGC),
        ("3c", THREE_C),
        ("acfl", ACFL),
        ("lp", LP),
    )
    for number, rows in tables.items()
}


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, 12) if isinstance(value, float) else value


def test_all_tables_are_pinned() -> None:
    assert set(EXPECTED) == {(m.name, number) for m in METHODS.values() for number in m.tables}


@pytest.mark.parametrize(("method", "number"), EXPECTED)
def test_rows_change_what_the_paper_changes(method: str, number: str) -> None:
    base = recipe_for(method, published="market1501")
    if number == "XIII":
        base = base.override({"encoder.weights": "other.pth"})
    found = {
        row.name: {
            key: to_plain(value(base) if inspect.isfunction(value) else value)
            for key, value in row.settings.items()
        }
        for row in table_of(method, number).rows
    }
    assert list(found) == list(EXPECTED[method, number])
    for name, settings in EXPECTED[method, number].items():
        assert rounded(found[name]) == rounded(settings), name


def test_rows_that_differ_in_searching_alone() -> None:
    found = {
        (method, number, row.name): row.evaluate
        for method, number in EXPECTED
        for row in table_of(method, number).rows
        if row.evaluate
    }
    assert found == {
        ("lp", "VII", f"alpha {alpha}"): {"fuse": alpha} for alpha in (0.05, 0.1, 0.15, 0.2)
    }


def test_the_teachers_labels_alone_have_a_warm_up_too() -> None:
    row = next(row for row in table_of("lp", "X").rows if row.name == "Teacher's labels")
    for published in (None, "market1501", "msmt17"):
        recipe = row.recipe(recipe_for("lp", published=published))
        assert recipe.teacher is not None
        assert (recipe.teacher.warm_up, recipe.teacher.labels) == (2.0, "always")
        assert recipe.has_warm_up
