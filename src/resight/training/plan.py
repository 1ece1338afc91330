"""What an epoch does, decided by its number: a warm-up under the teacher, or the recipe's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resight.clustering import Switch
from resight.losses import Distillation
from resight.recipe import Recipe
from resight.slots import LossTerm


@dataclass(frozen=True)
class EpochPlan:
    """One epoch of a run.

    title: for people. epoch: its number among the recipe's own, from 0, for schedules and switches;
    the warm-up has that of the first. lr: the learning rate. batches: how many times the usual
    number. labels_by_teacher, memory_by_teacher: whose features are clustered, and whose the memory
    starts from. writes: whether batches change the memory (and the teacher follows the student).
    n_clusters: what a clusterer with n_clusters "auto" should use, None for its own estimate.
    k1_k2: of the graph, where an earlier clusterer's data proposed them, None for the recipe's.
    """

    title: str
    epoch: int
    lr: float
    losses: tuple[LossTerm, ...]
    batches: float = 1.0
    labels_by_teacher: bool = False
    memory_by_teacher: bool = False
    writes: bool = True
    n_clusters: int | None = None
    k1_k2: tuple[int, int] | None = None

    @property
    def distils(self) -> bool:
        """Whether the batches need the teacher's embeddings."""
        return any(isinstance(term, Distillation) for term in self.losses)


def plan_epoch(recipe: Recipe, number: int, history: Sequence[Mapping[str, Any]]) -> EpochPlan:
    """The plan of a run's epoch `number` (from 0, the warm-up included).

    history: the log's records of the epochs before.
    """
    teacher, optim = recipe.teacher, recipe.optim
    if teacher is not None and recipe.has_warm_up and number == 0:
        return EpochPlan(
            title="warm-up",
            epoch=0,
            lr=optim.lr * optim.schedule(0, optim.epochs),
            losses=recipe.losses if teacher.distil_in_warm_up else recipe.of_teacher().losses,
            batches=teacher.warm_up,
            labels_by_teacher=True,
            memory_by_teacher=True,
            writes=False,
        )
    epoch = number - recipe.has_warm_up
    return EpochPlan(
        title=f"epoch {epoch + 1}/{optim.epochs}",
        epoch=epoch,
        lr=optim.lr * optim.schedule(epoch, optim.epochs),
        losses=recipe.losses,
        labels_by_teacher=teacher is not None and teacher.labels == "always",
        **_handed_on(recipe, epoch, history),
    )


def _handed_on(recipe: Recipe, epoch: int, history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the last epoch before this one's clusterer took over has found (3C's warm-up)."""
    since = recipe.clusterer.since(epoch) if isinstance(recipe.clusterer, Switch) else 0
    if not since:
        return {}
    record = history[since - 1 + recipe.has_warm_up]
    proposed = record.get("proposed")
    return {
        "n_clusters": int(record["clusters"]),
        "k1_k2": (int(proposed["k1"]), int(proposed["k2"])) if proposed else None,
    }
