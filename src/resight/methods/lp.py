"""Learning to purification for unsupervised person re-identification, LP (Lan et al., TIP 2023)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from resight.errors import ConfigError
from resight.graph import Fused
from resight.losses import ClusterNCE, Distillation
from resight.methods.cluster_contrast import cluster_contrast
from resight.methods.cluster_contrast import published as baseline
from resight.methods.tables import Figures, Row, Table
from resight.recipe import Recipe, Teacher


def lp() -> Recipe:
    """Upper and lower halves beside the whole, and a teacher trained first that guides a student.

    Settings fitted to the data are those of `cluster_contrast`, for teacher and student.
    """
    return purified(cluster_contrast())


def published(*, eps: float = 0.6, iterations: int = 200, parts: int = 2) -> Recipe:
    """The paper's settings, for teacher and student."""
    return purified(baseline(eps=eps, iterations=iterations), parts=parts)


def purified(
    base: Recipe,
    *,
    parts: int = 2,
    lambda1: float = 0.15,
    lambda2: float = 0.2,
    mu: float = 1.0,
) -> Recipe:
    """LP on top of a recipe of the global view, whose graph every view gets (Alg. 1-2)."""
    return replace(
        base,
        name="lp",
        encoder=replace(base.encoder, parts=parts),  # Eq. 3
        graph=Fused(lambda1, base.graph),  # type: ignore[arg-type]  # Eq. 4
        losses=_losses(parts=parts, lambda2=lambda2, mu=mu),
        teacher=Teacher(warm_up=2.0),  # Section III-D.2
    )


def _losses(*, parts: int = 2, lambda2: float = 0.2, mu: float = 1.0) -> tuple[Any, ...]:
    """Eq. 8 with mu = 0; Eq. 9-10 otherwise."""
    weights = {"global": 1 - lambda2} | {f"part{i + 1}": lambda2 for i in range(parts)}
    contrast = tuple(ClusterNCE(view=view, weight=w) for view, w in weights.items())
    if mu == 0:
        return contrast
    return contrast + tuple(Distillation(view, weight=mu * w) for view, w in weights.items())


PUBLISHED: dict[str, Callable[[], Recipe]] = {
    "market1501": partial(published, eps=0.6, iterations=200),
    "msmt17": partial(published, eps=0.7, iterations=400),
}

SOURCES = {
    "size": "Section IV-B",
    "encoder.backbone": "Section IV-B",
    "encoder.weights": "Section IV-B",
    "encoder.pooling": "Section IV-B, Table V",
    "encoder.embedding": "Section IV-B",
    "encoder.parts": "Section III-B, Table XI",
    "graph.part": "Eq. 4",
    "graph.part_weight": "Section IV-B: lambda1",
    "graph.graph.k1": "Section III-B.2",
    "graph.graph.k2": "released code of Cluster Contrast",
    "clusterer.part": "Section IV-B",
    "clusterer.eps": "Section IV-B",
    "clusterer.min_samples": "Section IV-B",
    "individual_labels": "Section IV-D.4, Table VI",
    "memory.init": "Eq. 5",
    "memory.update": "Eq. 11",
    "memory.momentum": "released code of Cluster Contrast",
    **{f"losses.{i}.part": "Eq. 7" for i in range(3)},
    **{f"losses.{i}.temperature": "released code of Cluster Contrast" for i in range(3)},
    **{f"losses.{i}.part": "Eq. 9" for i in range(3, 6)},
    "losses.0.weight": "Eq. 8: 1 - lambda2",
    "losses.1.weight": "Eq. 8: lambda2 (Section IV-B)",
    "losses.2.weight": "Eq. 8: lambda2 (Section IV-B)",
    "losses.3.weight": "Eq. 9-10: (1 - lambda2) mu",
    "losses.4.weight": "Eq. 9-10: lambda2 mu (Section IV-B)",
    "losses.5.weight": "Eq. 9-10: lambda2 mu (Section IV-B)",
    "batches.identities": "Section IV-B",
    "batches.instances": "Section IV-B",
    "optim.epochs": "Section IV-B",
    "optim.lr": "Section IV-B",
    "optim.weight_decay": "Section IV-B",
    "optim.schedule.every": "Section IV-B",
    "optim.schedule.factor": "silent; released code of Cluster Contrast",
    "teacher.warm_up": "Section III-D.2, Alg. 2",
    "teacher.labels": "Section III-D.2, Table X",
    "teacher.bn": "released code",
    "teacher.momentum": "Section IV-D.6, Table VIII",
    "teacher.distil_in_warm_up": "Section III-D.2; released code: true",
}


def _both(*figures: float) -> Figures:
    """MAP and R1 on Market-1501, then on MSMT17."""
    return {"market1501": (figures[0], figures[1]), "msmt17": (figures[2], figures[3])}


def _market(m_ap: float, rank1: float) -> Figures:
    return {"market1501": (m_ap, rank1)}


def _graph_of_one_view(recipe: Recipe) -> Any:
    if not isinstance(recipe.graph, Fused):
        raise ConfigError(
            "graph: a row without parts takes the graph of one view, so the recipe needs Fused, "
            f"and has {type(recipe.graph).__name__}"
        )
    return recipe.graph.graph


def _epochs(share: float) -> Callable[[Recipe], int]:
    return lambda recipe: max(1, round(share * recipe.optim.epochs))


def _other_weights(recipe: Recipe) -> str:
    """Those that the recipe was given."""
    weights = recipe.encoder.weights
    if weights in ("imagenet", "none"):
        raise ConfigError(
            "encoder.weights: this row starts from a file of other weights, such as ResNet-50's of "
            "LUPerson-NL: give it with --set encoder.weights=FILE"
        )
    return weights


TEACHER_ALONE = {"losses": _losses(mu=0), "teacher": None}
ONE_VIEW = {"encoder.parts": 0, "graph": _graph_of_one_view}
BASELINE = {**ONE_VIEW, "losses": (ClusterNCE(),), "teacher": None}
STUDENT_OF_ONE_VIEW = {**ONE_VIEW, "losses": (ClusterNCE(), Distillation("global"))}
WHOLE = _both(85.8, 94.5, 39.5, 67.9)
SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
IMAGENET = {"encoder.weights": "imagenet"}
OTHER = {"encoder.weights": _other_weights}

TABLES: dict[str, Table] = {
    "II": Table(
        "Table II: purification of features (FP) and of labels (LP)",
        (
            Row("Baseline", BASELINE, _both(82.8, 92.7, 34.2, 64.2)),
            Row("Baseline + FP", TEACHER_ALONE, _both(84.4, 93.5, 35.2, 64.5)),
            Row("Baseline + LP", STUDENT_OF_ONE_VIEW, _both(84.7, 93.6, 37.6, 67.6)),
            Row("Baseline + FP + LP", {}, WHOLE),
        ),
        note="On MSMT17 the paper has 35.2 / 64.5 for Baseline + FP here and 34.8 / 64.4 for the "
        "same model in Table IV.",
    ),
    "III": Table(
        "Table III: the weight mu of the teacher's guidance",
        tuple(
            Row(f"mu {mu}", {"losses": _losses(mu=mu)}, _both(*figures))
            for mu, figures in {
                0.5: (86.1, 94.3, 39.3, 67.5),
                1.0: (85.8, 94.5, 39.5, 67.9),
                1.5: (85.8, 93.9, 38.8, 67.4),
                2.0: (85.8, 94.0, 38.7, 67.6),
                2.5: (85.9, 94.4, 37.9, 66.8),
                3.0: (85.8, 94.3, 37.5, 66.7),
            }.items()
        ),
    ),
    "IV": Table(
        "Table IV: weaker teachers, and their students",
        (
            Row(
                "Teacher 1",
                {**TEACHER_ALONE, "optim.epochs": _epochs(0.2)},
                _both(75.1, 88.8, 29.6, 57.6),
            ),
            Row("Student 1", {"teacher.epochs": _epochs(0.2)}, _both(84.8, 94.0, 36.8, 65.6)),
            Row(
                "Teacher 2",
                {**TEACHER_ALONE, "optim.epochs": _epochs(0.4)},
                _both(82.7, 92.9, 32.0, 60.6),
            ),
            Row("Student 2", {"teacher.epochs": _epochs(0.4)}, _both(86.3, 94.6, 38.0, 66.6)),
            Row("Teacher 3", TEACHER_ALONE, _both(84.4, 93.5, 34.8, 64.4)),
            Row("Student 3", {}, WHOLE),
        ),
        note="The paper changes its teachers' epochs and does not say to how many; here they are "
        "20%, 40% and all of the recipe's.",
    ),
    "V": Table(
        "Table V: pooling",
        (
            Row("Average", {"encoder.pooling": "avg"}, _both(84.9, 94.0, 37.4, 66.4)),
            Row("Maximum", {"encoder.pooling": "max"}, _both(82.7, 92.8, 34.6, 64.3)),
            Row("GeM", {"encoder.pooling": "gem"}, WHOLE),
        ),
    ),
    "VI": Table(
        "Table VI: pseudo-labels of each view, or of all together",
        (
            Row("Individual labels", {"individual_labels": True}, _both(85.4, 94.0, 38.4, 67.3)),
            Row("Aggregated labels", {"individual_labels": False}, WHOLE),
        ),
    ),
    "VII": Table(
        "Table VII: the weight alpha of each part when searching",
        (
            Row("alpha 0", {}, WHOLE),
            *(
                Row(f"alpha {alpha}", {}, _both(*figures), evaluate={"fuse": alpha})
                for alpha, figures in {
                    0.05: (85.8, 94.7, 39.6, 68.0),
                    0.1: (85.7, 94.6, 39.7, 67.9),
                    0.15: (85.6, 94.5, 39.7, 67.9),
                    0.2: (85.5, 94.6, 39.7, 68.0),
                }.items()
            ),
        ),
        note="All rows are of the same models. The paper calls these distances Jaccard distances. "
        "But its figures at alpha 0 are those of its main result, which is not re-ranked, so that "
        "cosine distances are fused here.",
    ),
    "VIII": Table(
        "Table VIII: the momentum gamma of a trained teacher that follows the student",
        (
            Row("gamma 0.99", {"teacher.momentum": 0.99}, _both(83.6, 93.1, 39.3, 67.1)),
            Row("gamma 0.999", {"teacher.momentum": 0.999}, _both(85.3, 94.1, 40.8, 69.0)),
            Row("gamma 1.0", {"teacher.momentum": 1.0}, WHOLE),
        ),
    ),
    "IX": Table(
        "Table IX: the momentum gamma of a teacher that starts as the student does",
        tuple(
            Row(
                f"gamma {gamma}",
                {"teacher.epochs": 0, "teacher.warm_up": 0.0, "teacher.momentum": gamma},
                _both(*figures),
            )
            for gamma, figures in {
                0.99: (83.1, 93.2, 37.0, 66.3),
                0.999: (81.8, 92.6, 33.5, 62.4),
            }.items()
        ),
        note="Without a warm-up: such a teacher has nothing to teach yet.",
    ),
    "X": Table(
        "Table X: the teacher's labels alone, without distillation",
        (
            Row(
                "Teacher's labels",
                {"losses": _losses(mu=0), "teacher.labels": "always"},
                _both(84.8, 94.0, 37.4, 66.7),
            ),
            Row("Label purification", {}, WHOLE),
        ),
    ),
    "XI": Table(
        "Table XI: parts",
        tuple(
            Row(
                f"{parts} parts",
                {"encoder.parts": parts, "losses": _losses(parts=parts)},
                _both(*figures),
            )
            for parts, figures in {
                2: (85.8, 94.5, 39.5, 67.9),
                3: (85.4, 94.2, 38.1, 67.1),
                4: (84.9, 93.8, 36.6, 65.4),
            }.items()
        ),
    ),
    "XII": Table(
        "Table XII: IBN-ResNet-50",
        (
            Row(
                "Baseline",
                {**BASELINE, "encoder.backbone": "resnet50_ibn_a"},
                _both(84.1, 93.2, 41.1, 69.1),
            ),
            Row("LP", {"encoder.backbone": "resnet50_ibn_a"}, _both(86.9, 94.4, 47.9, 74.5)),
        ),
    ),
    "XIII": Table(
        "Table XIII: other weights to start from",
        (
            Row("ImageNet, baseline", {**BASELINE, **IMAGENET}, _market(82.8, 92.7)),
            Row("ImageNet, LP", IMAGENET, _market(85.8, 94.5)),
            Row("Other weights, baseline", {**BASELINE, **OTHER}, _market(84.3, 93.3)),
            Row("Other weights, LP", OTHER, _market(88.0, 95.0)),
        ),
        note="The paper's other weights are ResNet-50's of LUPerson-NL; here they are the file "
        "that encoder.weights names.",
    ),
    "fig5": Table(
        "Fig. 5 and 6: the weights of parts in the graph, lambda1, and in the loss, lambda2, of "
        "the teacher alone",
        tuple(
            Row(
                f"lambda1 {lambda1}, lambda2 {lambda2}",
                {
                    "graph.part_weight": lambda1,
                    "losses": _losses(lambda2=lambda2, mu=0),
                    "teacher": None,
                },
            )
            for lambda1, lambda2 in (
                *((share, 0.2) for share in SHARES),
                *((0.15, share) for share in SHARES if share != 0.2),
            )
        ),
        note="The paper draws its figures, on Market-1501 and on MSMT17, and does not print them. "
        "Its text does not tell the weights either. "
        "With 0.15 and 0.2 a row is Baseline + FP of Table II.",
    ),
}
