"""Bicubic resizing as two matrix products, which every runtime computes alike.

It is Pillow's: Keys' cubic filter (a = -0.5), widened where the image shrinks, first along the
width, with grey levels rounded after each direction, so that an exported network sees the pixels
that the image store has. Runtimes differ in what they call bicubic.
"""

from __future__ import annotations

import torch
from torch import Tensor


def resample(images: Tensor, height: int, width: int) -> Tensor:
    """Images (N, C, h, w) in 0 … 255 at (height, width), in whole grey levels.

    Images that have that size already stay as they are, bit for bit. Keys, "Cubic convolution
    interpolation for digital image processing", 1981, Eq. 15.
    """
    columns = weights(images[0, 0, 0, :], width)  # (width, w)
    rows = weights(images[0, 0, :, 0], height)  # (height, h)
    narrow = _grey(torch.matmul(images, columns.transpose(0, 1)))
    return _grey(torch.matmul(rows, narrow))


def weights(line: Tensor, wanted: int) -> Tensor:
    """(wanted, n): the weight of each pixel of a line (n,) in each of the wanted ones."""
    at = torch.arange(line.shape[0], dtype=torch.float32, device=line.device) + 0.5
    scale = (at[-1:] + 0.5) / wanted  # (1,), as a tensor: n may differ from call to call
    middle = torch.arange(wanted, dtype=torch.float32, device=line.device) + 0.5
    distance = (at[None, :] - (middle * scale)[:, None]) / scale.clamp(min=1.0)
    weight = keys(distance.abs())
    return weight / weight.sum(dim=1, keepdim=True)


def _grey(values: Tensor) -> Tensor:
    return torch.floor(values + 0.5).clamp(0.0, 255.0)


def keys(x: Tensor) -> Tensor:
    """Keys' filter with a = -0.5 at distances x >= 0."""
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return torch.where(x < 1.0, near, torch.where(x < 2.0, far, torch.zeros_like(x)))
