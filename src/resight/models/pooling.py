"""From a feature map to one vector: GeM, average, max, or a transformer's class token."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Pooling: TypeAlias = Literal["gem", "avg", "max", "token"]


class GeM(nn.Module):
    """Generalised-mean pooling, (mean x^p)^(1/p) over positions (Radenović et al. 2018).

    (B, D, H, W) -> (B, D). `p` is learnable; p = 1 is the average, p -> inf the maximum.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([p]))
        self.eps = eps

    def forward(self, maps: Tensor) -> Tensor:
        """Pool in float32: cubes of bf16 activations lose too much."""
        powered = maps.float().clamp(min=self.eps).pow(self.p)
        return powered.mean(dim=(-2, -1)).pow(1.0 / self.p)


class AveragePool(nn.Module):
    """The mean over positions: (B, D, H, W) -> (B, D)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Pool."""
        return maps.float().mean(dim=(-2, -1))


class MaxPool(nn.Module):
    """The largest value over positions: (B, D, H, W) -> (B, D)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Pool."""
        return F.adaptive_max_pool2d(maps, 1).flatten(1).float()


class ClassToken(nn.Module):
    """The first token of a transformer's (B, T, D) output: (B, D)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Take the token."""
        return tokens[:, 0].float()


POOLINGS: dict[Pooling, type[nn.Module]] = {
    "gem": GeM,
    "avg": AveragePool,
    "max": MaxPool,
    "token": ClassToken,
}
