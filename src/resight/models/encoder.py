"""The encoder: backbone, pooling, BN neck, L2 normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resight.errors import ConfigError
from resight.models.backbones import IMAGENET, create_backbone
from resight.models.pooling import POOLINGS, Pooling
from resight.records import GLOBAL


@dataclass(frozen=True)
class EncoderSpec:
    """What makes an encoder: a value; `build_encoder` makes the network.

    backbone: a name of resight.models.backbones.BACKBONES or of timm. weights: "imagenet",
    "none", or a file. pooling: "gem" (p = 3, learnable), "avg", "max", "token" (transformers).
    last_stride: stride of the last stage, 1 or 2. embedding: "bn" tests with the feature that is
    trained, after the BN neck; "pooled" with the one before it. mirror: in evaluation mode, embed
    each image and its mirror image and take the normalised sum, at twice the time.
    """

    backbone: str = "efficientnet_lite0"
    weights: str = IMAGENET
    pooling: Pooling = "gem"
    last_stride: Literal[1, 2] = 1
    embedding: Literal["bn", "pooled"] = "bn"
    mirror: bool = False


class Encoder(nn.Module):
    """Images (B, 3, H, W), normalised -> {"global": (B, D)}, each row of length 1.

    Training uses the feature after the BN neck; evaluation mode the one that `spec.embedding`
    names. `normalise` turns uint8 pixels into what the backbone was trained on.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = create_backbone(
            spec.backbone, weights=spec.weights, last_stride=spec.last_stride
        )
        self.dim = int(self.backbone.num_features)  # type: ignore[arg-type]
        self.pool = POOLINGS[spec.pooling]()
        self.neck = nn.BatchNorm1d(self.dim)
        self.neck.bias.requires_grad_(False)
        config: dict[str, Any] = self.backbone.pretrained_cfg  # type: ignore[assignment]
        self.register_buffer("mean", _channels(config["mean"]))
        self.register_buffer("std", _channels(config["std"]))

    def normalise(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in 0 … 255, uint8 or float, to float32 with the backbone's mean and std."""
        return pixels.float().sub_(self.mean * 255).div_(self.std * 255)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Embed."""
        q = self._embed(images)
        if self.spec.mirror and not self.training:
            mirrored = self._embed(images.flip(3))
            q = {view: F.normalize(rows + mirrored[view]) for view, rows in q.items()}
        return q

    def _embed(self, images: Tensor) -> dict[str, Tensor]:
        pooled = self.pool(self._features(images))  # (B, D)
        before_neck = self.spec.embedding == "pooled" and not self.training
        return {GLOBAL: F.normalize(pooled if before_neck else self.neck(pooled))}

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self.backbone.forward_features(images)  # type: ignore[operator]
        if features.ndim == 4:
            nhwc = str(getattr(self.backbone, "output_fmt", "NCHW")).endswith("NHWC")
            return features.permute(0, 3, 1, 2) if nhwc else features
        if self.spec.pooling == "token":
            return features
        prefix = int(getattr(self.backbone, "num_prefix_tokens", 0))
        return features[:, prefix:].transpose(1, 2).unsqueeze(-1)  # (B, D, T, 1)


def build_encoder(spec: EncoderSpec, *, seed: int = 0) -> Encoder:
    """The network of `spec`, channels-last, its random parts drawn from `seed` alone.

    Raises ConfigError when the parts do not fit together or weights cannot be had.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(spec)
    is_transformer = hasattr(encoder.backbone, "num_prefix_tokens")
    if spec.pooling == "token" and not is_transformer:
        raise ConfigError(
            f"encoder.pooling='token' needs a transformer, and {spec.backbone!r} is none: "
            "use gem, avg or max"
        )
    return encoder.to(memory_format=torch.channels_last)


def _channels(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1)
