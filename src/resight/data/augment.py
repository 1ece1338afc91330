"""Augmentation of a whole batch on the training device, each sample with its own luck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augment:
    """Flip, pad and crop, colour, random erasing: probabilities 0 … 1, padding in pixels.

    colour: strength of the random gain per channel, brightness, contrast and saturation, each
    drawn from 1 ± colour; 0 switches it off, as in the published settings.
    """

    flip: float = 0.5
    pad: int = 10
    erase: float = 0.5
    erase_area: tuple[float, float] = (0.02, 0.4)
    erase_aspect: tuple[float, float] = (0.3, 3.33)
    colour: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip", "erase", "colour"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} should be between 0 and 1")
        if self.pad < 0:
            raise ValueError(f"pad={self.pad} should be >= 0")

    def __call__(
        self,
        pixels: Tensor,
        normalise: Callable[[Tensor], Tensor],
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """(B, 3, H, W) uint8, channels-last, to the normalised float32 images of a step.

        normalise: from 0 … 255 to the encoder's range. generator: on the CPU. Erased areas are 0
        after normalisation, which is the mean colour; padding is black.
        """
        images = flip_and_crop(pixels, flip=self.flip, pad=self.pad, generator=generator)
        if self.colour:
            images = jitter_colour(images, self.colour, generator=generator)
        return erase(
            normalise(images),
            probability=self.erase,
            area=self.erase_area,
            aspect=self.erase_aspect,
            generator=generator,
        )


def flip_and_crop(pixels: Tensor, *, flip: float, pad: int, generator: torch.Generator) -> Tensor:
    """Mirror with probability `flip`; shift by up to `pad` pixels each way, black outside.

    One gather does both: each output pixel names the input row and column that it comes from.
    """
    b, _, h, w = pixels.shape
    device = pixels.device
    shift = torch.randint(-pad, pad + 1, (2, b, 1), generator=generator).to(device)
    mirrored = (torch.rand(b, 1, generator=generator) < flip).to(device)
    rows = torch.arange(h, device=device) + shift[0]  # (B, H)
    columns = torch.arange(w, device=device) + shift[1]  # (B, W)
    outside = ((rows < 0) | (rows >= h))[:, :, None] | ((columns < 0) | (columns >= w))[:, None, :]
    columns = torch.where(mirrored, w - 1 - columns, columns)
    sample = torch.arange(b, device=device)[:, None, None]
    source = (sample * h + rows.clamp(0, h - 1)[:, :, None]) * w + columns.clamp(0, w - 1)[:, None]
    flat = pixels.permute(0, 2, 3, 1).reshape(b * h * w, -1)
    moved = flat[source.flatten()].view(b, h, w, -1)
    if pad:
        moved.masked_fill_(outside[..., None], 0)
    return moved.permute(0, 3, 1, 2)


def jitter_colour(pixels: Tensor, strength: float, *, generator: torch.Generator) -> Tensor:
    """Random saturation, contrast and gain of each channel, like another camera's response.

    (B, 3, H, W) in 0 … 255 to float32 in 0 … 255.
    """
    images = pixels.float()
    b = len(images)
    luck = 1 + strength * (2 * torch.rand(5, b, 1, 1, 1, generator=generator) - 1)
    luck = luck.to(pixels.device)
    saturation, contrast = luck[0], luck[1]
    gain = luck[2:].squeeze(2).permute(1, 0, 2, 3)  # (B, 3, 1, 1)
    grey = images.mean(dim=1, keepdim=True)
    images = torch.lerp(grey.expand_as(images), images, saturation)
    middle = grey.mean(dim=(2, 3), keepdim=True)
    return torch.lerp(middle.expand_as(images), images, contrast).mul_(gain).clamp_(0, 255)


def erase(
    images: Tensor,
    *,
    probability: float,
    area: tuple[float, float],
    aspect: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """Random erasing (Zhong et al. 2020): set one rectangle per chosen image to 0, in place.

    area: share of the image. aspect: height / width, drawn log-uniformly. Rectangles that would
    not fit are cut to the image's size.
    """
    b, _, h, w = images.shape
    luck = torch.rand(5, b, generator=generator)
    size = h * w * (area[0] + (area[1] - area[0]) * luck[0])
    low, high = torch.tensor(aspect).log()
    ratio = torch.exp(low + (high - low) * luck[1])
    height = (size * ratio).sqrt().round().clamp(1, h)
    width = (size / ratio).sqrt().round().clamp(1, w)
    top = (luck[2] * (h - height + 1)).floor()
    left = (luck[3] * (w - width + 1)).floor()
    bottom = torch.where(luck[4] < probability, top + height, top)
    y, x = torch.arange(h), torch.arange(w)
    in_rows = (y >= top[:, None]) & (y < bottom[:, None])  # (B, H)
    in_columns = (x >= left[:, None]) & (x < (left + width)[:, None])  # (B, W)
    hole = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    return images.masked_fill_(hole.to(images.device), 0)
