"""One epoch: features, graph, pseudo-labels, memory, batches. The loop of every method."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from resight import progress
from resight.device import Device
from resight.errors import ResightError
from resight.models import Encoder
from resight.recipe import MemoryState, Recipe
from resight.records import (
    OUTLIER,
    Batch,
    Crops,
    Features,
    FloatArray,
    IntArray,
    PseudoLabels,
    Step,
)
from resight.training.extract import extract
from resight.training.feed import Feed
from resight.training.pseudo_labels import Labelling, label
from resight.training.randomness import Streams, streams


@dataclass(frozen=True, eq=False)
class Learner:
    """What training carries from epoch to epoch, and what it works with.

    forward: the encoder as it is called, compiled or not. feed and crops: the whole image store;
    rows: (N,) which of its crops are trained on. memory: bytes that clustering may use besides the
    features, None for no limit. colour: colour histograms (N, E) of the rows, where the recipe's
    graph uses them.
    """

    recipe: Recipe
    encoder: Encoder
    forward: torch.nn.Module
    optimizer: torch.optim.Optimizer
    feed: Feed
    crops: Crops
    rows: IntArray
    device: Device
    seed: int
    memory: int | None = None
    colour: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class EpochResult:
    """What one epoch did; labels (N,) of all training crops, -1 for those not sampled."""

    features: Features
    labelling: Labelling
    labels: IntArray
    loss: float
    seconds: dict[str, float]


def run_epoch(learner: Learner, epoch: int) -> EpochResult:
    """Cluster the crops with the encoder as it is, then train it on what was found.

    Raises NothingToLearnError when no clusters can be had, ResightError when the loss diverges.
    """
    recipe = learner.recipe
    random = streams(learner.seed, epoch)
    clock = [time.perf_counter()]
    taken = _sampled(len(learner.rows), recipe.sample_fraction, random.sample)
    rows = learner.rows[taken]
    features = extract(
        learner.encoder,
        learner.feed,
        learner.crops,
        learner.device,
        rows=rows,
        forward=learner.forward,
    )
    if learner.colour is not None:
        features = replace(features, colour=learner.colour[taken])
    clock.append(time.perf_counter())
    labelling = label(recipe, features, random.cluster, epoch=epoch, memory=learner.memory)
    clock.append(time.perf_counter())
    loss = _train(learner, epoch, rows, features, labelling.pseudo, random)
    clock.append(time.perf_counter())
    labels = np.full(len(learner.rows), OUTLIER, np.int64)
    labels[taken] = labelling.pseudo.labels
    names = ("extract", "cluster", "train")
    seconds = dict(zip(names, np.diff(clock).round(3).tolist(), strict=True))
    return EpochResult(features, labelling, labels, loss, seconds)


def _sampled(n: int, fraction: float, rng: np.random.Generator) -> IntArray:
    if fraction == 1:
        return np.arange(n)
    return np.sort(rng.choice(n, size=max(1, round(fraction * n)), replace=False))


def _train(
    learner: Learner,
    epoch: int,
    rows: IntArray,
    features: Features,
    pseudo: PseudoLabels,
    random: Streams,
) -> float:
    """The epoch's batches; returns the mean loss."""
    recipe, optim = learner.recipe, learner.recipe.optim
    to_device = learner.device.to
    labels = to_device(torch.from_numpy(pseudo.labels))
    memory = recipe.memory.start(
        {view: to_device(torch.from_numpy(table)) for view, table in features.views.items()},
        labels,
        generator=random.memory,
    )
    known = features.crops.cameras if features.crops is not None else None
    cameras = None if known is None else to_device(torch.from_numpy(known))
    n_batches = optim.batches_for(
        len(rows) - pseudo.n_outliers, recipe.batches.identities * recipe.batches.instances
    )
    plan = recipe.batches.plan(pseudo.labels, n_batches, cameras=known, rng=random.batches)
    for group in learner.optimizer.param_groups:
        group["lr"] = optim.lr * optim.schedule(epoch, optim.epochs)
    learner.forward.train()
    total = torch.zeros((), device=learner.device.place)
    store_rows = torch.from_numpy(rows)
    with progress.bar(f"epoch {epoch + 1}/{optim.epochs}", len(plan)) as shown:
        for indices in torch.from_numpy(plan):
            images = recipe.augment(
                learner.feed.take(store_rows[indices]),
                learner.encoder.normalise,
                generator=random.augment,
            )
            there = to_device(indices)
            batch = Batch(there, images, labels[there], None if cameras is None else cameras[there])
            total += _step(learner, batch, memory)
            progress.step(shown)
    loss = float(total) / len(plan)
    if not np.isfinite(loss):
        raise ResightError(
            f"the loss became {loss} in epoch {epoch + 1}: lower optim.lr "
            f"({optim.lr:g} now) or train in float32; the last finished epoch is kept"
        )
    return loss


def _step(learner: Learner, batch: Batch, memory: MemoryState) -> Tensor:
    """One optimiser step; the memory is written after it, with detached embeddings."""
    with learner.device.autocast(training=True):
        embeddings = learner.forward(batch.images)
    loss = per_sample_loss(learner.recipe, Step(batch, embeddings, memory.read())).mean()
    learner.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    learner.optimizer.step()
    memory.write({view: q.detach() for view, q in embeddings.items()}, batch)
    return loss.detach()


def per_sample_loss(recipe: Recipe, step: Step) -> Tensor:
    """(B,) the weighted sum of the recipe's loss terms, times the weight of each sample."""
    targets = recipe.targets.choose(step)
    terms = [term.weight * term(step, targets) for term in recipe.losses]
    return torch.stack(terms).sum(dim=0) * recipe.weights.weigh(step)
