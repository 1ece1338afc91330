"""Hard person features: cluster vectors moved against each query (ACFL, Eq. 1-2, 6, Alg. 2).

The gradient of -log softmax(q . c / tau)_y with respect to c_a is (p_a - [a = y]) q / tau, so all
steps move c_a along q: c*_a = c_a + alpha_a q. The similarities q . c*_a = q . c_a + alpha_a q . q
are therefore all that the generation and the loss need: (B, C) numbers, no B x C vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from resight.losses.cluster_nce import against_targets
from resight.losses.similarity import check_temperature, precise, similarities
from resight.records import GLOBAL, Step


def hard_persons(
    q: Tensor,
    memory: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    steps: int,
    positive_rate: float,
    negative_rate: float,
) -> Tensor:
    """(B, C) similarities of each query with its own hard person features, exactly.

    q: (B, D). memory: (C, D). labels: (B,) int64 0 … C-1; what a query with label -1 is compared
    with means nothing, so that it should take no part. temperature: tau > 0 of the loss that is
    ascended. steps: V >= 0. positive_rate: eta1 >= 0 of the query's own cluster; negative_rate:
    eta2 >= 0 of the others; a rate of 0 leaves that kind as it is (Table 3's rows).

    The gradient to q is that of comparing with vectors that stand still: c*_a. Raises ValueError
    for values out of range.
    """
    check_temperature(temperature)
    _check_ascent(steps, positive_rate, negative_rate)
    plain = similarities(q, memory)  # (B, C)
    square = (precise(q) * precise(q.detach())).sum(dim=1, keepdim=True)
    alpha = _ascend(
        plain.detach() / temperature,
        square.detach() / temperature,
        labels.clamp_min(0)[:, None],
        steps,
        positive_rate / temperature,
        negative_rate / temperature,
    )
    return torch.addcmul(plain, alpha, square)


def _check_ascent(steps: int, positive_rate: float, negative_rate: float) -> None:
    if steps < 0 or min(positive_rate, negative_rate) < 0:
        raise ValueError(
            f"steps={steps}, positive_rate={positive_rate} and negative_rate={negative_rate} "
            "should be >= 0"
        )


def _ascend(
    logits: Tensor, square: Tensor, own: Tensor, steps: int, positive: float, negative: float
) -> Tensor:
    """alpha (B, C), from q . c (B, C), q . q (B, 1) and both rates, all divided by tau.

    own: (B, 1) the clusters of the queries.
    """
    alpha = torch.zeros_like(logits)
    for _ in range(steps):
        shares = torch.softmax(torch.addcmul(logits, alpha, square), dim=1)
        ascent = shares.gather(1, own).sub_(1).mul_(positive)
        alpha.add_(shares.mul_(negative).scatter_(1, own, ascent))
    return alpha


@dataclass(frozen=True)
class HardPersonNCE:
    """ClusterNCE against hard person features, made anew for each query.

    temperature: tau > 0. steps: V. positive_rate, negative_rate: eta1 and eta2; 0 leaves the
    query's own cluster, or the others, as they are. view: what it looks at. weight: its share.
    """

    temperature: float = 0.05
    steps: int = 10
    positive_rate: float = 0.00035
    negative_rate: float = 0.0028
    view: str = GLOBAL
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        _check_ascent(self.steps, self.positive_rate, self.negative_rate)

    def __call__(self, step: Step, targets: Tensor) -> Tensor:
        """(B,) the loss of each sample, before `weight`; what is own is the pseudo-label."""
        hard = hard_persons(
            step.embeddings[self.view],
            step.prototypes[self.view],
            step.batch.labels_of(self.view),
            temperature=self.temperature,
            steps=self.steps,
            positive_rate=self.positive_rate,
            negative_rate=self.negative_rate,
        )
        return against_targets(hard, targets, self.temperature)
