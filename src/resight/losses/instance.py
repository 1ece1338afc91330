"""Instance losses: a query and a positive of its cluster should look alike (ACFL, Eq. 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from resight.losses.similarity import check_temperature, precise, similarities


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
