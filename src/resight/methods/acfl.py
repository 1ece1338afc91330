"""Adversarial contrastive feature learning, ACFL: harder samples are made, not searched for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from resight.data.batches import PKBatches
from resight.losses import (
    ClusterNCE,
    CrossCamera,
    Distillation,
    HardPersonNCE,
    InstanceLoss,
)
from resight.memory import InstanceMemory
from resight.methods.cluster_contrast import cluster_contrast
from resight.methods.cluster_contrast import published as baseline
from resight.methods.tables import Figures, Row, Table
from resight.models import EncoderSpec
from resight.recipe import Recipe, Teacher
from resight.schedules import Steps


def acfl() -> Recipe:
    """An instance memory; cluster vectors and positive images are made harder for each query.

    Settings fitted to the data are those of `cluster_contrast`, in batches of 16 x 4.
    """
    return replace(
        cluster_contrast(),
        name="acfl",
        memory=InstanceMemory(momentum=0.0),  # Section 3.1
        losses=(
            HardPersonNCE(),  # Eq. 1-2, 6, Alg. 2
            InstanceLoss(positives="generated"),  # Eq. 3-4, 7, Alg. 3
        ),
        batches=PKBatches(identities=16, instances=4),
    )


def acfl_c() -> Recipe:
    """ACFL with the proxies of each cluster's cameras (Section 4.6). Needs cameras."""
    return camera_aware(acfl())


def acfl_vit() -> Recipe:
    """ACFL with a ViT-S/16 for an encoder (Section 4.7)."""
    return transformer(acfl())


def acfl_st() -> Recipe:
    """ACFL as the student of an ACFL model, in the framework of LP (Section 4.7)."""
    return student(acfl())


def published(*, eps: float = 0.5, steps: int = 10, positive_steps: int = 3) -> Recipe:
    """The paper's settings; steps is V, positive_steps Z. An epoch passes once over the crops."""
    base = baseline(eps=eps)
    return replace(
        base,
        name="acfl",
        memory=InstanceMemory(momentum=0.0),
        losses=(
            HardPersonNCE(steps=steps, positive_rate=0.00035, negative_rate=0.0028),
            InstanceLoss(positives="generated", steps=positive_steps, rate=1.0),
        ),
        batches=PKBatches(identities=16, instances=4),
        optim=replace(base.optim, epochs=60, iterations=0, lr=5e-4, schedule=Steps(every=25)),
    )


def camera_aware(recipe: Recipe) -> Recipe:
    """ACFL-C: ICE's loss against camera proxies beside the others."""
    return replace(recipe, name=f"{recipe.name}-c", losses=_with_proxies(recipe))


def transformer(recipe: Recipe) -> Recipe:
    """ACFL-ViT: the class token of a ViT-S/16, with ImageNet weights."""
    mirror = recipe.encoder.mirror
    encoder = EncoderSpec("vit_small", pooling="token", last_stride=2, mirror=mirror)
    return replace(recipe, name=f"{recipe.name}-vit", encoder=encoder)


def student(recipe: Recipe) -> Recipe:
    """ACFL-ST: a teacher trained first, of the global view alone."""
    return replace(
        recipe, name=f"{recipe.name}-st", losses=_with_teacher(recipe), teacher=Teacher()
    )


def _with_proxies(recipe: Recipe) -> tuple[Any, ...]:
    return (*recipe.losses, CrossCamera(weight=0.5))


def _with_teacher(recipe: Recipe) -> tuple[Any, ...]:
    return (*recipe.losses, Distillation("global"))


PUBLISHED: dict[str, Callable[[], Recipe]] = {
    "market1501": partial(published, eps=0.5),
    "dukemtmc": partial(published, eps=0.5),
    "msmt17": partial(published, eps=0.7),
}


def published_as(
    variant: Callable[[Recipe], Recipe],
) -> dict[str, Callable[[], Recipe]]:
    """The published settings of a variant."""

    def of(build: Callable[[], Recipe]) -> Recipe:
        return variant(build())

    return {name: partial(of, build) for name, build in PUBLISHED.items()}


SOURCES = {
    "size": "Section 4.2",
    "encoder.backbone": "Section 4.2",
    "encoder.weights": "silent; released code of Cluster Contrast",
    "encoder.pooling": "released code of Cluster Contrast; Section 4.2: the pooling of ResNet-50",
    "clusterer.part": "Section 4.2",
    "clusterer.eps": "Section 4.2",
    "memory.part": "Section 3.1",
    "memory.momentum": "Section 3.1: replaced",
    "memory.fraction": "Table 10",
    "memory.normalise": "Section 3.2: plain means",
    "losses.0.part": "Eq. 6",
    "losses.0.temperature": "Section 4.2",
    "losses.0.steps": "Section 4.2, Fig. 3",
    "losses.0.positive_rate": "Section 4.2",
    "losses.0.negative_rate": "Section 4.2",
    "losses.0.weight": "Eq. 5",
    "losses.1.part": "Eq. 7",
    "losses.1.measure": "Eq. 7, Table 2",
    "losses.1.positives": "Eq. 3-4, Alg. 3",
    "losses.1.steps": "Section 4.2, Table 1",
    "losses.1.rate": "Section 4.2",
    "losses.1.temperature": "Section 4.2",
    "losses.1.weight": "Eq. 5",
    "batches.identities": "silent; 64 crops (Section 4.2), 4 of each",
    "batches.instances": "silent; 64 crops (Section 4.2), 4 of each",
    "optim.epochs": "Section 4.2",
    "optim.iterations": "Alg. 1",
    "optim.passes": "Alg. 1",
    "optim.lr": "Section 4.2",
    "optim.schedule.every": "Section 4.2",
    "optim.schedule.factor": "Section 4.2",
}
SOURCES_C = SOURCES | {
    "losses.2.part": "Section 4.6",
    "losses.2.weight": "Section 4.6",
    "losses.2.temperature": "released code of ICE",
    "losses.2.negatives": "released code of ICE",
    "losses.2.other_only": "released code of ICE",
}
SOURCES_VIT = SOURCES | {
    "encoder.backbone": "Section 4.7",
    "encoder.weights": "silent; Section 4.7 cites PASS, which is trained on persons",
    "encoder.pooling": "silent; the class token",
    "encoder.last_stride": "a transformer has no stages",
}
SOURCES_ST = SOURCES | {
    "losses.2.part": "Section 4.7; Eq. 9 of LP",
    "losses.2.view": "Section 4.7: no parts",
    "losses.2.weight": "Section IV-B of LP",
    "teacher.warm_up": "Alg. 2 of LP",
    "teacher.labels": "Alg. 2 of LP",
    "teacher.bn": "released code of LP",
    "teacher.momentum": "Section IV-D.6 of LP",
    "teacher.distil_in_warm_up": "Alg. 2 of LP; its released code: true",
}


def _figures(*figures: float) -> Figures:
    """Top-1 and mAP, in the paper's order, on Market-1501, DukeMTMC-reID and MSMT17."""
    names = ("market1501", "dukemtmc", "msmt17")
    pairs = zip(figures[1::2], figures[::2], strict=True)
    return dict(zip(names, pairs, strict=False))


def _classes(**settings: Any) -> Mapping[str, Any]:
    """Hard person features alone."""
    return {"losses": (HardPersonNCE(**settings),)}


ENTROPY = InstanceLoss(measure="relative_entropy", positives="batch")
HARD_ENTROPY = InstanceLoss(measure="relative_entropy", positives="generated")
DISTANCE = InstanceLoss(measure="distance", positives="batch")
HARD_DISTANCE = InstanceLoss(measure="distance", positives="generated")
MINED = InstanceLoss(measure="relative_entropy", positives="mined")
WHOLE = _figures(94.7, 85.8, 85.5, 74.0)
WHOLE_3 = _figures(94.7, 85.8, 85.5, 74.0, 67.7, 39.0)

TABLES: dict[str, Table] = {
    "1": Table(
        "Table 1: steps Z of making positive images harder",
        tuple(
            Row(f"Z = {z}", {"losses.1.steps": z}, _figures(*figures))
            for z, figures in {
                1: (93.8, 84.0, 85.0, 73.2),
                2: (94.1, 84.9, 85.2, 73.5),
                3: (94.7, 85.8, 85.5, 74.0),
                4: (94.7, 85.6, 85.5, 73.7),
                5: (94.5, 85.5, 85.8, 73.1),
            }.items()
        ),
    ),
    "2": Table(
        "Table 2: instance losses (distance, RE), hard positive instances (HPI), hard person "
        "features (HPF)",
        tuple(
            Row(name, {"losses": losses}, _figures(*figures))
            for name, losses, figures in (
                ("Base.", (ClusterNCE(),), (88.3, 75.8, 78.5, 64.3)),
                ("Base.+distance", (ClusterNCE(), DISTANCE), (90.4, 77.1, 79.8, 65.5)),
                ("Base.+distance+HPI", (ClusterNCE(), HARD_DISTANCE), (91.9, 80.2, 81.8, 68.5)),
                ("Base.+RE", (ClusterNCE(), ENTROPY), (91.6, 78.6, 81.1, 67.4)),
                ("Base.+HPF", (HardPersonNCE(),), (93.0, 82.8, 82.5, 70.2)),
                ("Base.+HPF+RE", (HardPersonNCE(), ENTROPY), (94.2, 84.2, 83.7, 72.0)),
                ("Base.+RE+HPI", (ClusterNCE(), HARD_ENTROPY), (93.1, 82.0, 84.5, 71.7)),
                ("Base.+RE+(HPI+HPF)", (HardPersonNCE(), HARD_ENTROPY), (94.7, 85.8, 85.5, 74.0)),
            )
        ),
        note="For Base.+HPF+RE the text of Section 4.4 repeats the losses of Base.+RE+HPI. The "
        "name of the row is followed here: hard person features, and positives as they are.",
    ),
    "3": Table(
        "Table 3: which person features are hard",
        (
            Row("Positive", _classes(negative_rate=0.0), _figures(91.2, 78.3, 81.5, 68.1)),
            Row("Negative", _classes(positive_rate=0.0), _figures(91.5, 79.8, 82.1, 68.7)),
            Row("Both", _classes(), _figures(93.0, 82.8, 82.5, 70.2)),
        ),
        note="Without an instance loss: the last row is Base.+HPF of Table 2.",
    ),
    "4": Table(
        "Table 4: hard samples made, and hard samples mined",
        (
            Row("Easy", {"losses": (ClusterNCE(), ENTROPY)}, _figures(91.6, 78.6, 81.1, 67.4)),
            Row("Mining", {"losses": (ClusterNCE(), MINED)}, _figures(92.4, 81.8, 82.7, 70.2)),
            Row("ACFL", {}, WHOLE),
        ),
        note="Mining takes the member of the query's cluster in the memory that is least like it, "
        "and leaves person features as they are.",
    ),
    "6": Table(
        "Table 6: camera proxies",
        (
            Row("ACFL", {}, WHOLE_3),
            Row("ACFL-C", {"losses": _with_proxies}, _figures(95.2, 87.3, 86.4, 75.8, 74.2, 45.4)),
        ),
    ),
    "7": Table(
        "Table 7: a transformer for an encoder",
        (
            Row("ACFL", {}, WHOLE_3),
            Row(
                "ACFL-ViT",
                {
                    "encoder.backbone": "vit_small",
                    "encoder.pooling": "token",
                    "encoder.last_stride": 2,
                },
                _figures(95.1, 89.1, 88.1, 77.6, 70.1, 45.7),
            ),
        ),
        note="The paper's ViT-S starts from weights of PASS, trained on persons; the row here from "
        "ImageNet's.",
    ),
    "9": Table(
        "Table 9: a teacher and a student",
        (
            Row("ACFL", {}, WHOLE_3),
            Row(
                "ACFL-ST",
                {"losses": _with_teacher, "teacher": Teacher()},
                _figures(94.6, 86.1, 86.8, 76.0, 68.8, 40.3),
            ),
        ),
    ),
    "10": Table(
        "Table 10: a memory of mu times the crops",
        tuple(
            Row(f"mu {mu}", {"memory.fraction": mu}, _figures(*figures))
            for mu, figures in {
                0.1: (85.0, 67.9, 75.3, 58.4),
                0.3: (91.1, 80.1, 79.9, 65.1),
                0.5: (92.9, 83.3, 84.2, 71.8),
                0.7: (93.6, 85.2, 85.3, 72.5),
                0.9: (94.6, 85.6, 85.5, 73.9),
                1.0: (94.7, 85.8, 85.5, 74.0),
            }.items()
        ),
    ),
    "fig3": Table(
        "Fig. 3: steps V of making person features harder",
        tuple(Row(f"V = {v}", {"losses.0.steps": v}) for v in range(2, 16, 2)),
        note="The paper draws its figures and does not print them.",
    ),
}
