"""Cluster Contrast for unsupervised person re-identification (Dai et al., ACCV 2022)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from resight.clustering import DBSCAN, AutoDBSCAN
from resight.data.augment import Augment
from resight.data.batches import PKBatches
from resight.graph import Jaccard
from resight.losses import ClusterNCE
from resight.memory import ClusterMemory
from resight.memory.update import Policy
from resight.models import EncoderSpec
from resight.recipe import OptimPlan, Recipe
from resight.schedules import Cosine, Steps


def cluster_contrast() -> Recipe:
    """One vector per cluster, updated by the batch; ClusterNCE. Settings fitted to the data.

    What the published settings fix for their benchmarks comes from the data here, without labels:
    k1 and eps (`AutoDBSCAN`) and the number of batches. The graph compares features without their
    camera's mean, joined with colour histograms; epochs are short, so that labels are renewed
    often.
    """
    return replace(
        published(),
        name="cluster-contrast",
        size=(128, 64),
        encoder=EncoderSpec(last_stride=2, mirror=True),
        augment=Augment(pad=5),
        graph=Jaccard(centre_cameras=True, colour=0.4),
        clusterer=AutoDBSCAN(),
        batches=PKBatches(identities=8, instances=8),
        optim=OptimPlan(epochs=20, iterations=0, passes=1.0, schedule=Cosine()),
    )


def published(
    *,
    eps: float = 0.6,
    update: Policy = "vanilla",
    iterations: int = 200,
    size: tuple[int, int] = (256, 128),
) -> Recipe:
    """The released code's settings: mean initialisation, vanilla update, eps 0.6.

    The paper's own are `update="hard"` with eps 0.4.
    """
    return Recipe(
        name="cluster-contrast",
        size=size,
        encoder=EncoderSpec("resnet50"),
        graph=Jaccard(k1=30, k2=6),
        clusterer=DBSCAN(eps, min_samples=4),
        memory=ClusterMemory(init="mean", update=update, momentum=0.1),  # Eq. 1-2
        losses=(ClusterNCE(temperature=0.05),),  # Eq. 3
        batches=PKBatches(identities=16, instances=16),
        optim=OptimPlan(epochs=50, iterations=iterations, lr=3.5e-4, schedule=Steps(every=20)),
    )


PUBLISHED: dict[str, Callable[[], Recipe]] = {
    "market1501": partial(published, eps=0.6, iterations=200),
    "market1501-paper": partial(published, eps=0.4, update="hard", iterations=200),
    "msmt17": partial(published, eps=0.6, iterations=400),
    "personx": partial(published, eps=0.6, iterations=200),
    "veri776": partial(published, eps=0.6, iterations=400, size=(224, 224)),
}
