"""Cluster Contrast for unsupervised person re-identification (Dai et al., ACCV 2022)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

from resight.clustering import DBSCAN, AutoDBSCAN, TrueLabels
from resight.data.augment import Augment
from resight.data.batches import PKBatches
from resight.graph import Jaccard
from resight.losses import ClusterNCE
from resight.memory import ClusterMemory, InstanceMemory
from resight.memory.update import Policy
from resight.methods.tables import Figures, Row, Table
from resight.models import EncoderSpec
from resight.recipe import OptimPlan, Recipe
from resight.schedules import Cosine, Steps


def cluster_contrast() -> Recipe:
    """One vector per cluster, updated by the batch; ClusterNCE.

    Settings are fitted to the data: what the published ones fix for their benchmarks comes from
    the data here, without labels: k1 and eps (`AutoDBSCAN`) and the number of batches. The graph
    compares features without their camera's mean, joined with colour histograms; epochs are short,
    so that labels are renewed often. Cluster vectors move slowly: at the published momentum of 0.1
    each is little more than the last crop of its batch.
    """
    return replace(
        published(),
        name="cluster-contrast",
        size=(128, 64),
        encoder=EncoderSpec(last_stride=2, mirror=True),
        augment=Augment(pad=5),
        graph=Jaccard(centre_cameras=True, colour=0.4),
        clusterer=AutoDBSCAN(),
        memory=ClusterMemory(momentum=0.8),
        batches=PKBatches(identities=8, instances=8),
        optim=OptimPlan(epochs=20, iterations=0, passes=1.0, schedule=Cosine()),
    )


def published(
    *,
    eps: float = 0.6,
    init: Literal["mean", "random"] = "mean",
    update: Policy = "vanilla",
    iterations: int = 200,
    size: tuple[int, int] = (256, 128),
) -> Recipe:
    """The released code's settings: mean initialisation, vanilla update, eps 0.6.

    The paper's own are `init="random"` and `update="hard"` with eps 0.4.
    """
    return Recipe(
        name="cluster-contrast",
        size=size,
        encoder=EncoderSpec("resnet50"),
        graph=Jaccard(k1=30, k2=6),
        clusterer=DBSCAN(eps, min_samples=4),
        memory=ClusterMemory(init=init, update=update, momentum=0.1),  # Eq. 1-2
        losses=(ClusterNCE(temperature=0.05),),  # Eq. 3
        batches=PKBatches(identities=16, instances=16),
        optim=OptimPlan(epochs=50, iterations=iterations, lr=3.5e-4, schedule=Steps(every=20)),
    )


def published_paper(*, iterations: int = 200) -> Recipe:
    """The paper's own settings: a random member to start from, the hard update, average pooling.

    As in Section 4.1, images are compared by the pooled feature before the BN neck.
    """
    recipe = published(eps=0.4, init="random", update="hard", iterations=iterations)
    return replace(recipe, encoder=EncoderSpec("resnet50", pooling="avg", embedding="pooled"))


PUBLISHED: dict[str, Callable[[], Recipe]] = {
    "market1501": partial(published, eps=0.6, iterations=200),
    "market1501-paper": partial(published_paper, iterations=200),
    "dukemtmc-paper": partial(published_paper, iterations=200),
    "msmt17": partial(published, eps=0.6, iterations=400),
    "personx": partial(published, eps=0.6, iterations=200),
    "veri776": partial(published, eps=0.6, iterations=400, size=(224, 224)),
}

SOURCES = {
    "size": "released code; Section 4.1 has 224 x 224 for MSMT17 too",
    "encoder.backbone": "Section 4.1",
    "encoder.weights": "Section 4.1",
    "encoder.pooling": "released code: gem; Section 4.1: avg",
    "encoder.embedding": "released code: bn; Section 4.1: pooled",
    "augment.pad": "Section 4.1",
    "graph.k1": "Section 4.1",
    "graph.k2": "released code",
    "clusterer.part": "Section 4.1",
    "clusterer.eps": "released code: 0.6; Section 4.1: 0.4, with the hard update",
    "clusterer.min_samples": "Section 4.1",
    "memory.part": "Section 3.2",
    "memory.init": "released code: mean; Eq. 1: random",
    "memory.update": "released code: vanilla; Eq. 2: hard; Table 6 compares",
    "memory.momentum": "released code; Fig. 7 (b): small values are best",
    "losses.0.part": "Eq. 3",
    "losses.0.temperature": "released code",
    "batches.identities": "Section 4.1",
    "batches.instances": "Section 4.1",
    "optim.epochs": "Section 4.1",
    "optim.iterations": "released code",
    "optim.lr": "Section 4.1",
    "optim.weight_decay": "Section 4.1",
    "optim.schedule.every": "Section 4.1",
    "optim.schedule.factor": "Section 4.1",
}


def _market(m_ap: float, rank1: float) -> Figures:
    return {"market1501": (m_ap, rank1)}


def _veri(m_ap: float, rank1: float) -> Figures:
    return {"veri776": (m_ap, rank1)}


INSTANCES = {"memory": InstanceMemory()}  # the baseline of Section 4.3, Fig. 3 (b)

TABLES: dict[str, Table] = {
    "3": Table(
        "Table 3: crops of each identity in a batch, with an instance memory",
        tuple(
            Row(f"{k} crops", {**INSTANCES, "batches.instances": k}, _market(*figures))
            for k, figures in {
                4: (65.5, 82.7),
                8: (71.5, 86.7),
                16: (73.1, 87.3),
                26: (75.1, 89.0),
            }.items()
        ),
        note="With the paper's 16 identities, batches have 64, 128, 256 and 416 crops.",
    ),
    "4": Table(
        "Table 4: crops that a cluster keeps, with an instance memory",
        tuple(
            Row(
                f"at most {size}",
                {**INSTANCES, "batches.instances": 4, "max_cluster_size": size},
                _market(*figures),
            )
            for size, figures in {
                20: (67.6, 84.4),
                8: (71.4, 85.9),
                5: (73.2, 87.5),
                4: (76.5, 89.0),
            }.items()
        ),
        note="Batches have 4 crops of each identity: a fifth, half, four fifths and all of the "
        "largest clusters.",
    ),
    "5": Table(
        "Table 5: true labels, with mistakes, and an instance memory",
        (
            Row("Ground truth", {**INSTANCES, "clusterer": TrueLabels()}, _market(85.1, 93.8)),
            Row(
                "Splitting",
                {**INSTANCES, "clusterer": TrueLabels(split=100 / 751)},
                _market(83.3, 93.6),
            ),
            Row(
                "Merging",
                {**INSTANCES, "clusterer": TrueLabels(merge=100 / 751)},
                _market(78.2, 91.0),
            ),
        ),
        note="The paper splits and merges 751 identities into 851 and 651 clusters: 13.3% more "
        "and fewer clusters than identities here.",
    ),
    "6": Table(
        "Table 6: what a batch moves cluster vectors to",
        (
            Row("Average", {"memory.update": "average"}, _market(78.7, 90.9)),
            Row("Random", {"memory.update": "random"}, _market(80.9, 91.7)),
            Row("Easy", {"memory.update": "easy"}, _market(75.8, 89.7)),
            Row("Hard", {"memory.update": "hard"}, _market(82.6, 93.0)),
            Row("Vanilla", {"memory.update": "vanilla"}),
        ),
        note="The paper's figures are with eps 0.4; Vanilla is the released code's default, which "
        "the table does not have.",
    ),
    "7": Table(
        "Table 7: eps of DBSCAN",
        tuple(
            Row(f"eps {eps}", {"clusterer": DBSCAN(eps)}, {**_market(*market), **_veri(*veri)})
            for eps, market, veri in (
                (0.3, (78.1, 90.6), (25.6, 58.9)),
                (0.4, (82.6, 93.0), (36.8, 78.0)),
                (0.5, (81.3, 92.2), (39.4, 82.5)),
                (0.6, (80.9, 92.0), (39.7, 83.3)),
                (0.7, (77.9, 90.6), (42.5, 87.8)),
                (0.8, (67.2, 84.8), (38.9, 80.0)),
            )
        ),
        note="The paper's figures are with the hard update.",
    ),
    "8": Table(
        "Table 8: share of the crops that an epoch clusters and trains on",
        (
            Row("0.3", {"sample_fraction": 0.3}, _veri(37.2, 82.5)),
            Row("0.5", {"sample_fraction": 0.5}, _veri(40.4, 84.7)),
            Row("1.0", {"sample_fraction": 1.0}, _veri(42.5, 87.8)),
        ),
        note="The paper does not say the eps of this table. Its figures at 1.0 are those of eps "
        "0.7 in Table 7.",
    ),
    "fig7": Table(
        "Fig. 7: batch size (a), and the momentum of cluster vectors (b)",
        (
            *(
                Row(
                    f"{16 * k} crops in a batch",
                    {"batches.identities": 16, "batches.instances": k},
                )
                for k in (2, 4, 8, 16, 32)
            ),
            *(
                Row(f"momentum {momentum}", {"memory.momentum": momentum})
                for momentum in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
            ),
        ),
        note="The paper draws its figures and does not print them. It does not say how many "
        "identities a batch has: here they are 16, as in its other tables. The text finds momentum "
        "below 0.3 better than above 0.7.",
    ),
}
