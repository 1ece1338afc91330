"""Cluster Contrast for unsupervised person re-identification (Dai et al., ACCV 2022)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from resight.clustering import DBSCAN
from resight.graph import Jaccard
from resight.losses import ClusterNCE
from resight.memory import ClusterMemory
from resight.models import EncoderSpec
from resight.recipe import OptimPlan, Recipe
from resight.schedules import Steps


def cluster_contrast(
    *,
    eps: float = 0.6,
    update: Literal["vanilla", "average", "random", "easy", "hard"] = "vanilla",
    iterations: int = 200,
    size: tuple[int, int] = (256, 128),
    backbone: str = "efficientnet_lite0",
) -> Recipe:
    """One vector per cluster, updated by the batch; ClusterNCE (Dai et al. 2022).

    The released code's settings: mean initialisation, vanilla update, eps 0.6. The paper's own are
    `update="hard"` with eps 0.4.
    """
    return Recipe(
        name="cluster-contrast",
        size=size,
        encoder=EncoderSpec(backbone),
        graph=Jaccard(k1=30, k2=6),
        clusterer=DBSCAN(eps, min_samples=4),
        memory=ClusterMemory(init="mean", update=update, momentum=0.1),  # Eq. 1-2
        losses=(ClusterNCE(temperature=0.05),),  # Eq. 3
        optim=OptimPlan(epochs=50, iterations=iterations, lr=3.5e-4, schedule=Steps(every=20)),
    )


PUBLISHED: dict[str, Callable[[], Recipe]] = {
    "market1501": partial(cluster_contrast, eps=0.6, iterations=200, backbone="resnet50"),
    "msmt17": partial(cluster_contrast, eps=0.6, iterations=400, backbone="resnet50"),
    "personx": partial(cluster_contrast, eps=0.7, iterations=200, backbone="resnet50"),
    "veri776": partial(
        cluster_contrast, eps=0.6, iterations=400, size=(224, 224), backbone="resnet50"
    ),
    "market1501-paper": partial(
        cluster_contrast, eps=0.4, update="hard", iterations=200, backbone="resnet50"
    ),
}
