"""The module that is exported: an encoder behind the input that a preset agrees on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from resight.exporting.presets import Preset
from resight.exporting.resample import resample
from resight.inference.described import ANY, Input
from resight.models import Encoder
from resight.records import GLOBAL


class Graph(nn.Module):
    """Images as `takes` says, to the embeddings of the whole image: (N, 3, h, w) -> (N, D).

    resize: `resample`, or a scripted version of it.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        encoder: Encoder,
        preset: Preset,
        size: tuple[int, int],
        *,
        resize: Callable[[Tensor, int, int], Tensor] = resample,
    ) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.takes = preset.takes(size)
        self.size = size
        self.preset = preset
        self.resizes = preset.resizes
        self._resize = resize
        scale, shift = _to_encoder(self.takes, encoder)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Embed."""
        values = images.float()
        if self.resizes:
            height, width = self.size
            pixels = self._resize(values * (255.0 / self.takes.white), height, width)
            values = self.encoder.normalise(pixels)
        else:
            values = values * self.scale + self.shift
        embeddings: Tensor = self.encoder(values)[GLOBAL]
        return embeddings

    def example(self) -> Tensor:
        """Two images that the module takes, of a size that nothing else here has."""
        height, width = self.size
        shape = (self.takes.height or height + 7, self.takes.width or width + 5)
        noise = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))
        values = noise * self.takes.white
        return values.to(getattr(torch, self.takes.dtype))

    @property
    def free(self) -> dict[int, str]:
        """The dimensions of the input that may differ from call to call, and their names."""
        names = {0: "batch"}
        if self.takes.height is ANY:
            names[2] = "height"
        if self.takes.width is ANY:
            names[3] = "width"
        return names


def _to_encoder(takes: Input, encoder: Encoder) -> tuple[Tensor, Tensor]:
    """(1, 3, 1, 1) each: what turns normalised input into the encoder's own normalisation."""
    mean, std = (
        torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) / takes.white
        for values in (takes.mean, takes.std)
    )
    own_mean, own_std = encoder.mean.double(), encoder.std.double()
    return (std / own_std).float(), ((mean - own_mean) / own_std).float()
