"""One epoch: features, graph, pseudo-labels, memory, batches. The loop of every method."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from resight.clustering.constraints import Links, among
from resight.records import OUTLIER, Clustered, Features, FloatArray, IntArray
from resight.training.batches import train_on
from resight.training.extract import extract
from resight.training.learner import Learner
from resight.training.plan import EpochPlan, plan_epoch
from resight.training.pseudo_labels import Labelling, label
from resight.training.randomness import streams

Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True, eq=False)
class EpochResult:
    """What one epoch did.

    taken: (M,) the training crops, of all N, that were sampled; the labelling is of these.
    """

    plan: EpochPlan
    n: int
    taken: IntArray
    labelling: Labelling
    loss: float
    seconds: dict[str, float]

    @property
    def labels(self) -> IntArray:
        """(N,) pseudo-labels of all training crops, -1 for those not sampled."""
        return self._of_all(self.labelling.pseudo.labels, OUTLIER)

    @property
    def silhouettes(self) -> FloatArray:
        """(N,) float32, NaN for outliers and those not sampled."""
        return self._of_all(self.labelling.silhouettes, np.nan)

    def _of_all(self, values: npt.NDArray[Value], other: float) -> npt.NDArray[Value]:
        spread = np.full(self.n, other, values.dtype)
        spread[self.taken] = values
        return spread


def run_epoch(
    learner: Learner, number: int, history: Sequence[Mapping[str, Any]] = ()
) -> EpochResult:
    """Cluster the crops with the encoder as it is, then train it on what was found.

    number: of the epoch, from 0. history: the log's records of the epochs before.

    Raises NothingToLearnError when no clusters can be had, ResightError when the loss diverges.
    """
    recipe = learner.recipe
    plan = plan_epoch(recipe, number, history)
    random = streams(learner.seed, number)
    clock = [time.perf_counter()]
    taken = drawn(learner, number)
    features = _features(learner, taken, by_teacher=plan.labels_by_teacher)
    first = features
    if plan.memory_by_teacher != plan.labels_by_teacher:
        first = _features(learner, taken, by_teacher=plan.memory_by_teacher)
    clock.append(time.perf_counter())
    labelling = label(
        recipe,
        features,
        random.cluster,
        plan=plan,
        memory=learner.memory,
        links=links_of(learner, taken),
    )
    clock.append(time.perf_counter())
    loss = train_on(
        learner, plan, learner.rows[taken], _on_device(first, labelling, learner), random
    )
    clock.append(time.perf_counter())
    names = ("extract", "cluster", "train")
    seconds = dict(zip(names, np.diff(clock).round(3).tolist(), strict=True))
    return EpochResult(plan, len(learner.rows), taken, labelling, loss, seconds)


def drawn(learner: Learner, number: int) -> IntArray:
    """(M,) which of the N training crops take part in an epoch, ascending."""
    n, fraction = len(learner.rows), learner.recipe.sample_fraction
    if fraction == 1:
        return np.arange(n)
    rng = streams(learner.seed, number).sample
    return np.sort(rng.choice(n, size=max(1, round(fraction * n)), replace=False))


def links_of(learner: Learner, taken: IntArray) -> Links | None:
    """What people's decisions say of the crops that take part."""
    if learner.links is None:
        return None
    number = np.full(len(learner.rows), OUTLIER, np.int64)
    number[taken] = np.arange(len(taken))
    return among(learner.links, number)


def _features(learner: Learner, taken: IntArray, *, by_teacher: bool) -> Features:
    """Of the training crops that take part, by the encoder or by its teacher."""
    encoder, forward = learner.encoder, learner.forward
    if by_teacher:
        assert learner.teacher is not None
        encoder = forward = learner.teacher
    features = extract(
        encoder,
        learner.feed,
        learner.crops,
        learner.device,
        rows=learner.rows[taken],
        trained=True,
        forward=forward,
    )
    return features if learner.colour is None else replace(features, colour=learner.colour[taken])


def _on_device(features: Features, labelling: Labelling, learner: Learner) -> Clustered:
    def there(array: IntArray | FloatArray) -> torch.Tensor:
        return learner.device.to(torch.from_numpy(array))

    shared = there(labelling.pseudo.labels), there(labelling.anchors)
    own = {
        view: (there(found.pseudo.labels), there(found.anchors))
        for view, found in labelling.views.items()
    }
    cameras = None if features.crops is None else features.crops.cameras
    return Clustered(
        features={view: there(table) for view, table in features.views.items()},
        labels={view: own.get(view, shared)[0] for view in features.views},
        anchors={view: own.get(view, shared)[1] for view in features.views},
        cameras=None if cameras is None else there(cameras),
    )
