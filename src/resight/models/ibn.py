"""IBN-a: half of a ResNet's early normalisation by instance, half by batch (Pan et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from resight.errors import ConfigError

WEIGHTS_URL = (
    "https://github.com/XingangPan/IBN-Net/releases/download/v1.0/resnet50_ibn_a-d9d0bb7b.pth"
)


class InstanceBatchNorm(nn.Module):
    """The first half of the channels by InstanceNorm, the rest by BatchNorm: (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.widths = [channels // 2, channels - channels // 2]
        self.IN = nn.InstanceNorm2d(self.widths[0], affine=True)
        self.BN = nn.BatchNorm2d(self.widths[1])

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise."""
        first, second = torch.split(maps, self.widths, dim=1)
        return torch.cat((self.IN(first), self.BN(second)), dim=1)


def insert_ibn_a(network: nn.Module) -> None:
    """Replace `bn1` in every block of a timm ResNet's stages 1-3 by IBN."""
    for stage in ("layer1", "layer2", "layer3"):
        for block in network.get_submodule(stage).children():
            norm = block.get_submodule("bn1")
            if not isinstance(norm, nn.BatchNorm2d):
                raise ValueError(f"{stage} has no BatchNorm2d bn1: IBN-a is for ResNets")
            block.add_module("bn1", InstanceBatchNorm(norm.num_features))


def published_weights() -> Mapping[str, Tensor]:
    """The authors' ImageNet weights of ResNet-50-IBN-a, downloaded once by torch.hub."""
    try:
        state: Mapping[str, Tensor] = torch.hub.load_state_dict_from_url(
            WEIGHTS_URL, map_location="cpu", weights_only=True
        )
    except OSError as error:
        raise ConfigError(
            f"the weights of resnet50_ibn_a could not be downloaded ({error}): fetch "
            f"{WEIGHTS_URL} elsewhere and give it with --weights FILE, or use --weights none"
        ) from error
    return {key.removeprefix("module."): value for key, value in state.items()}
