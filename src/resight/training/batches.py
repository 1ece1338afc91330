"""The batches of an epoch: augment, embed, losses, optimiser step, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resight import progress
from resight.errors import ResightError
from resight.models.statistics import kept_statistics
from resight.recipe import Recipe
from resight.records import GLOBAL, Batch, Clustered, IntArray, Network, Step
from resight.slots import LossTerm, MemoryState
from resight.training import teacher
from resight.training.learner import Learner
from resight.training.plan import EpochPlan
from resight.training.randomness import Streams


@dataclass(frozen=True, eq=False)
class Work:
    """What all batches of an epoch share."""

    learner: Learner
    plan: EpochPlan
    clustered: Clustered
    memory: MemoryState
    network: Network
    random: Streams


def train_on(
    learner: Learner, plan: EpochPlan, rows: IntArray, clustered: Clustered, random: Streams
) -> float:
    """Train on the crops of these rows (N,) of the store; returns the mean loss.

    Raises ResightError when the loss is not finite.
    """
    memory = learner.recipe.memory.start(clustered, generator=random.memory)
    work = Work(learner, plan, clustered, memory, network_of(learner), random)
    order = torch.from_numpy(_planned(work))
    for group in learner.optimizer.param_groups:
        group["lr"] = plan.lr
    learner.forward.train()
    total = torch.zeros((), device=learner.device.place)
    store_rows = torch.from_numpy(rows)
    with progress.bar(plan.title, len(order)) as shown:
        for indices in order:
            images = learner.recipe.augment(
                learner.feed.take(store_rows[indices]),
                learner.encoder.normalise,
                generator=random.augment,
            )
            total += _guarded_step(work, _batch(work, indices, images))
            progress.step(shown)
    loss = float(total) / len(order)
    if not np.isfinite(loss):
        raise ResightError(
            f"the loss became {loss} in {plan.title}: lower optim.lr "
            f"({learner.recipe.optim.lr:g} now) or train in float32; "
            "the last finished epoch is kept"
        )
    return loss


def _planned(work: Work) -> IntArray:
    """The rows of all batches, (iterations, B)."""
    recipe, labels = work.learner.recipe, work.clustered.labels[GLOBAL].cpu().numpy()
    cameras = work.clustered.cameras
    size = recipe.batches.identities * recipe.batches.instances
    usual = recipe.optim.batches_for(int(np.count_nonzero(labels >= 0)), size)
    return recipe.batches.plan(
        labels,
        max(1, round(work.plan.batches * usual)),
        cameras=None if cameras is None else cameras.cpu().numpy(),
        rng=work.random.batches,
    )


def _batch(work: Work, indices: Tensor, images: Tensor) -> Batch:
    clustered = work.clustered
    there = work.learner.device.to(indices)
    own_labels = {}
    if work.learner.recipe.individual_labels:
        own_labels = {v: labels[there] for v, labels in clustered.labels.items() if v != GLOBAL}
    cameras = None if clustered.cameras is None else clustered.cameras[there]
    return Batch(there, images, clustered.labels[GLOBAL][there], cameras, own_labels)


def _guarded_step(work: Work, batch: Batch) -> Tensor:
    try:
        return train_step(work, batch)
    except torch.OutOfMemoryError as error:
        raise ResightError(
            f"{work.learner.device.place} has too little memory for batches of {len(batch.labels)} "
            "crops: lower batches.identities, batches.instances or size; "
            "the last finished epoch is kept"
        ) from error


def train_step(work: Work, batch: Batch) -> Tensor:
    """One optimiser step; the memory is written after it, with detached embeddings."""
    learner, memory = work.learner, work.memory
    with learner.device.autocast(training=True):
        embeddings = learner.forward(batch.images)
    step = Step(
        batch,
        embeddings,
        memory.read(),
        clustered=work.clustered,
        instances=memory.instances(),
        teacher=_teacher_of(work, batch),
        network=work.network,
        generator=work.random.losses,
    )
    loss = per_sample_loss(learner.recipe, work.plan.losses, step).mean()
    learner.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    learner.optimizer.step()
    if work.plan.writes:
        memory.write({view: q.detach() for view, q in embeddings.items()}, batch)
        _follow(learner)
    return loss.detach()


def per_sample_loss(recipe: Recipe, losses: Sequence[LossTerm], step: Step) -> Tensor:
    """(B,) the weighted sum of the loss terms, times the weight of each sample."""
    targets = {view: recipe.targets.choose(step, view) for view in {t.view: None for t in losses}}
    terms = [term.weight * term(step, targets[term.view]) for term in losses]
    return torch.stack(terms).sum(dim=0) * recipe.weights.weigh(step)


def network_of(learner: Learner) -> Network:
    """The encoder as losses may use it."""

    def embed(images: Tensor) -> Mapping[str, Tensor]:
        with kept_statistics(learner.encoder), learner.device.autocast(training=True):
            embeddings: Mapping[str, Tensor] = learner.forward(images)
        return embeddings

    return Network(embed, *learner.encoder.pixel_range)


def _teacher_of(work: Work, batch: Batch) -> Mapping[str, Tensor] | None:
    """The teacher's embeddings of the batch, where a loss compares with them."""
    settings, encoder = work.learner.recipe.teacher, work.learner.teacher
    if settings is None or encoder is None or not work.plan.distils:
        return None
    with work.learner.device.autocast(training=True):
        return teacher.embed(encoder, batch.images, settings)


def _follow(learner: Learner) -> None:
    settings = learner.recipe.teacher
    if settings is not None and learner.teacher is not None and settings.momentum < 1:
        teacher.follow(learner.teacher, learner.encoder, momentum=settings.momentum)
