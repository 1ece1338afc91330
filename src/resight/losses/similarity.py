"""The similarities that losses start from."""

from __future__ import annotations

import torch
from torch import Tensor


def similarities(q: Tensor, others: Tensor) -> Tensor:
    """(B, M) inner products of q (B, D) with others (M, D), as precise as `precise`."""
    return precise(q) @ precise(others).T


def precise(values: Tensor) -> Tensor:
    """The values in float32, or in float64 if they are so already."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is above 0."""
    if temperature <= 0:
        raise ValueError(f"temperature={temperature} should be above 0")
