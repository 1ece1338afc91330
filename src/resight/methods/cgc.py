"""Confidence-guided centroids and labels (CGC and CGL, Miao et al.)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from resight.clustering import AllAlike, Silhouette, TrueLabels
from resight.losses import GuidedLabels, HardTargets
from resight.methods.cluster_contrast import cluster_contrast
from resight.methods.cluster_contrast import published as baseline
from resight.methods.tables import Figures, Row, Table
from resight.recipe import Recipe
from resight.schedules import Constant, Linear, Schedule, Steps, Tanh

LINEAR = Linear(-0.1, 0.1)


def cgc() -> Recipe:
    """Cluster Contrast with confident members for centroids, and labels shared with near clusters.

    Settings fitted to the data are those of `cluster_contrast`.
    """
    return replace(
        cluster_contrast(),
        name="cgc",
        confidence=Silhouette(delta=LINEAR),  # Eq. 4-7
        targets=GuidedLabels(beta=0.8),  # Eq. 8-9
    )


def published(
    *,
    delta: Schedule = LINEAR,
    beta: float = 0.8,
    epochs: int = 70,
    iterations: int = 200,
) -> Recipe:
    """The paper's settings; delta is the threshold that a confident member's silhouette passes."""
    base = baseline(iterations=iterations)
    return replace(
        base,
        name="cgc",
        confidence=Silhouette(delta=delta),
        targets=GuidedLabels(beta),
        optim=replace(base.optim, epochs=epochs, schedule=Steps(every=30)),
    )


PUBLISHED: dict[str, Callable[[], Recipe]] = {
    "market1501": partial(published, delta=LINEAR, epochs=70, iterations=200),
    "msmt17": partial(published, delta=Constant(0.0), epochs=50, iterations=400),
}

SOURCES = {
    "size": "Section 4.2",
    "encoder.backbone": "Section 4.2",
    "encoder.weights": "Section 4.2",
    "encoder.pooling": "Section 4.2",
    "encoder.embedding": "Section 4.2",
    "confidence.part": "Eq. 4-7",
    "confidence.distance": "silent; the distance that DBSCAN clusters by",
    "confidence.delta.part": "Section 4.5, Table 2",
    "confidence.delta.start": "Section 4.5",
    "confidence.delta.end": "Section 4.5",
    "confidence.delta.value": "Section 4.5, Table 2",
    "memory.init": "Eq. 7",
    "memory.update": "Eq. 3",
    "losses.0.part": "Eq. 10",
    "targets.part": "Eq. 8-9",
    "targets.beta": "Section 4.2, Fig. 4",
    "batches.identities": "Section 4.2",
    "batches.instances": "Section 4.2",
    "optim.epochs": "Section 4.2",
    "optim.lr": "Section 4.2",
    "optim.weight_decay": "Section 4.2",
    "optim.schedule.every": "Section 4.2",
    "optim.schedule.factor": "Section 4.2",
}

ALL_MEMBERS = {"confidence": AllAlike()}
ONE_HOT = {"targets": HardTargets()}


def _both(*figures: float) -> Figures:
    """MAP and top-1 on Market-1501, then on MSMT17."""
    return {"market1501": (figures[0], figures[1]), "msmt17": (figures[2], figures[3])}


BASELINE = Row("Baseline", {**ALL_MEMBERS, **ONE_HOT}, _both(82.4, 92.5, 31.4, 61.2))

TABLES: dict[str, Table] = {
    "1": Table(
        "Table 1: confidence-guided centroids (CGC) and labels (CGL)",
        (
            BASELINE,
            Row("Baseline + CGC", ONE_HOT, _both(84.1, 93.1, 34.1, 63.1)),
            Row("Baseline + CGL", ALL_MEMBERS, _both(83.4, 93.2, 33.7, 62.5)),
            Row("Both", {}, _both(85.3, 94.2, 34.6, 63.4)),
            Row("Ground truth", {"clusterer": TrueLabels()}, _both(87.4, 95.3, 51.0, 76.6)),
        ),
        note="Ground truth is Both with identities for pseudo-labels, so it needs crops with "
        "identities.",
    ),
    "2": Table(
        "Table 2: the threshold of confidence",
        (
            BASELINE,
            Row("Linear", {"confidence.delta": LINEAR}, _both(85.3, 94.2, 33.6, 63.0)),
            Row("Dynamic", {"confidence.delta": Tanh(0.1, 0.1)}, _both(84.9, 93.9, 33.0, 62.8)),
            Row(
                "Constant -0.1", {"confidence.delta": Constant(-0.1)}, _both(83.5, 93.4, 32.7, 62.8)
            ),
            Row("Constant 0", {"confidence.delta": Constant(0.0)}, _both(84.9, 94.0, 34.6, 63.4)),
            Row("Constant 0.1", {"confidence.delta": Constant(0.1)}, _both(84.0, 93.3, 34.0, 63.2)),
        ),
    ),
    "fig4": Table(
        "Fig. 4: the share beta of the label itself",
        tuple(
            Row(f"beta {beta}", {"targets.beta": beta}) for beta in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
        ),
        note="The paper draws its figures and does not print them.",
    ),
}
