"""Hard positive instances: images changed until they look less alike (ACFL, Eq. 3-4, Alg. 3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def hard_positives(
    images: Tensor,
    loss: Callable[[Tensor], Tensor],
    *,
    steps: int,
    rate: float,
    low: Tensor,
    high: Tensor,
) -> Tensor:
    """The images after `steps` steps x <- x + rate g / |g|_2, g the gradient of the loss to x.

    images: (B, 3, H, W), left as they are. loss: images to (B,), the query's side of it standing
    still; only the gradient to the images is computed, never that to the weights. steps: Z >= 0.
    rate: eta3 >= 0, the Euclidean length of a step on the normalised image. low, high: broadcast
    to the images, the range that every step is clamped to. Returns (B, 3, H, W) without gradient.

    g is the gradient of the sum of the losses, so that where the encoder's BatchNorm uses the
    statistics of the batch, an image also moves for the sake of the others. An image whose
    gradient is zero does not move. Raises ValueError for values out of range.
    """
    check_generation(steps, rate)
    hard = images.detach()
    for _ in range(steps):
        hard = torch.clamp(hard + rate * _direction(loss, hard), low, high)
    return hard


def check_generation(steps: int, rate: float) -> None:
    """Raise ValueError unless both are at least 0."""
    if steps < 0 or rate < 0:
        raise ValueError(f"steps={steps} and rate={rate} of hard positives should be >= 0")


def _direction(loss: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """g / |g|_2 of each image, zero where g is; dividing by the peak first keeps tiny g exact."""
    moving = images.detach().requires_grad_()
    with torch.enable_grad():
        slope: Tensor = torch.autograd.grad(loss(moving).sum(), [moving])[0]
    flat = slope.flatten(1)
    peak = flat.abs().amax(dim=1, keepdim=True)
    flat = flat / peak.masked_fill(peak == 0, 1)
    length: Tensor = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    return (flat / length.clamp_min(1)).view_as(slope)
