"""Instance losses: a query and a positive of its cluster should look alike (ACFL, Eq. 3-4, 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from resight.losses.hard_positives import check_generation, hard_positives
from resight.losses.positives import mined_positives, positives_in_batch
from resight.losses.similarity import check_temperature, precise, similarities
from resight.records import GLOBAL, OUTLIER, Step

Measure = Literal["relative_entropy", "distance"]
Source = Literal["batch", "generated", "mined"]


def instance_kl(q: Tensor, positives: Tensor, memory: Tensor, *, temperature: float) -> Tensor:
    """KL(v(q) || v(p)), v(x) = softmax(x . c / tau) over all cluster vectors (Eq. 7).

    q, positives: (B, D), row by row a query and its positive. memory: (C, D). temperature:
    tau > 0. Returns (B,) float, 0 when both compare alike. The gradient flows into both q and
    positives: detach the side that should stand still. Raises ValueError for a wrong temperature.
    """
    check_temperature(temperature)
    of_q = torch.log_softmax(similarities(q, memory) / temperature, dim=1)  # (B, C)
    of_p = torch.log_softmax(similarities(positives, memory) / temperature, dim=1)
    return (of_q.exp() * (of_q - of_p)).sum(dim=1)


def instance_distance(q: Tensor, positives: Tensor) -> Tensor:
    """2 (1 - q . p), the squared distance of vectors of length 1 (Section 4.4, "distance").

    q, positives: (B, D) L2-normalised. Returns (B,) float, 0 … 4; the gradient flows into both.
    """
    return 2 * (1 - (precise(q) * precise(positives)).sum(dim=1))


@dataclass(frozen=True)
class InstanceLoss:
    """A query and a positive of its pseudo-identity should look alike (ACFL, Eq. 3-4, 7).

    measure: "relative_entropy" (Eq. 7) or "distance" (Table 2). positives: another entry of the
    "batch" at random; that one's image changed to a hard one, "generated" anew for each query; or
    "mined", the least similar instance of the query's cluster in the memory, which must be an
    instance memory (Table 4). steps, rate: Z >= 0 and eta3 >= 0 of the generation. temperature:
    tau > 0 of the relative entropy. view: what it looks at. weight: its share in the sum.
    """

    measure: Measure = "relative_entropy"
    positives: Source = "batch"
    steps: int = 3
    rate: float = 1.0
    temperature: float = 0.05
    view: str = GLOBAL
    weight: float = 1.0

    def __post_init__(self) -> None:
        for name, kind in (("measure", Measure), ("positives", Source)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name}={getattr(self, name)!r} should be of {get_args(kind)}")
        check_generation(self.steps, self.rate)
        check_temperature(self.temperature)

    @property
    def needs_instances(self) -> bool:
        """Whether the memory must be one of instances."""
        return self.positives == "mined"

    def __call__(self, step: Step, targets: Tensor) -> Tensor:
        """(B,) the loss of each sample, before `weight`; 0 for those with pseudo-label -1."""
        del targets
        q = step.embeddings[self.view]
        if self.positives == "generated":
            positives = self._generated(step, q.detach())
        elif self.positives == "mined":
            positives = self._mined(step, q)
        else:
            positives = q[self._drawn(step)]
        return self._compare(step, q, positives)

    def _compare(self, step: Step, q: Tensor, positives: Tensor) -> Tensor:
        if self.measure == "distance":
            losses = instance_distance(q, positives)
        else:
            memory = step.prototypes[self.view]
            losses = instance_kl(q, positives, memory, temperature=self.temperature)
        return losses.masked_fill(step.batch.labels_of(self.view) == OUTLIER, 0)

    def _generated(self, step: Step, q: Tensor) -> Tensor:
        network = step.network
        if network is None:
            raise ValueError("the step carries no network, which generates positives")
        images = hard_positives(
            step.batch.images[self._drawn(step)],
            lambda moving: self._compare(step, q, network.embed(moving)[self.view]),
            steps=self.steps,
            rate=self.rate,
            low=network.low,
            high=network.high,
        )
        return network.embed(images)[self.view]

    def _mined(self, step: Step, q: Tensor) -> Tensor:
        if step.instances is None:
            raise ValueError("the step carries no instances, which positives are mined from")
        vectors, of = step.instances.vectors[self.view], step.instances.labels[self.view]
        mined = mined_positives(q, step.batch.labels_of(self.view), vectors, of)
        return vectors[mined.clamp_min(0)].detach()

    def _drawn(self, step: Step) -> Tensor:
        if step.generator is None:
            raise ValueError("the step carries no generator, which positives are drawn with")
        return positives_in_batch(step.batch.labels_of(self.view), generator=step.generator)
