"""The encoder: backbone, pooling, BN neck, L2 normalisation."""

from __future__ import annotations

import math
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
    each image and its mirror image and take the normalised sum, at twice the time. parts: 0, or 2
    and more: so many strips of the feature map, from top to bottom, are embedded beside the whole
    (LP, Section III-B); a single strip would be the whole again and is refused.
    """

    backbone: str = "efficientnet_lite0"
    weights: str = IMAGENET
    pooling: Pooling = "gem"
    last_stride: Literal[1, 2] = 1
    embedding: Literal["bn", "pooled"] = "bn"
    mirror: bool = False
    parts: int = 0

    def __post_init__(self) -> None:
        if self.parts < 0 or self.parts == 1:
            raise ValueError(f"parts={self.parts} should be 0, or 2 and more")

    @property
    def views(self) -> tuple[str, ...]:
        """The views of the embeddings: "global", then "part1" (top) … "partn" (bottom)."""
        return (GLOBAL, *(f"part{number}" for number in range(1, self.parts + 1)))


class Encoder(nn.Module):
    """Images (B, 3, H, W), normalised -> {view: (B, D)} for `spec.views`, each row of length 1.

    Training uses the feature after the BN neck; evaluation mode the one that `spec.embedding`
    names. `normalise` turns uint8 pixels into what the backbone was trained on. Parts are strips
    of the last feature map, as high as one another to a row (the upper ones have the rows that are
    left over); each view has its own pooling and BN neck. Raises ConfigError where the feature map
    has fewer rows than parts.
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
        self.neck = _neck(self.dim)
        self.part_pools = nn.ModuleList(POOLINGS[spec.pooling]() for _ in range(spec.parts))
        self.part_necks = nn.ModuleList(_neck(self.dim) for _ in range(spec.parts))
        config: dict[str, Any] = self.backbone.pretrained_cfg  # type: ignore[assignment]
        self.register_buffer("mean", _channels(config["mean"]))
        self.register_buffer("std", _channels(config["std"]))

    def normalise(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in 0 … 255, uint8 or float, to float32 with the backbone's mean and std."""
        return pixels.float().sub_(self.mean * 255).div_(self.std * 255)

    @property
    def pixel_range(self) -> tuple[Tensor, Tensor]:
        """(1, 3, 1, 1) each: what `normalise` makes of 0 and of 255."""
        low, high = (torch.full_like(self.mean, value) for value in (0.0, 255.0))
        return self.normalise(low), self.normalise(high)

    def forward(self, images: Tensor, *, trained: bool = False) -> dict[str, Tensor]:
        """Embed as the mode asks; trained: in evaluation mode too, take the feature that is."""
        if self.training:
            return self.embed(images)
        take = self.embed if trained else self._embed_for_test
        q = take(images)
        if self.spec.mirror:
            mirrored = take(images.flip(3))
            q = {view: F.normalize(rows + mirrored[view]) for view, rows in q.items()}
        return q

    def embed(self, images: Tensor) -> dict[str, Tensor]:
        """The feature that is trained, in either mode: after the BN neck, of the image alone.

        images: (B, 3, H, W), normalised. Returns {view: (B, D)}, each row of length 1.
        """
        necks = (self.neck, *self.part_necks)
        pooled = self._pooled(images)
        return {
            view: F.normalize(neck(rows))
            for (view, rows), neck in zip(pooled.items(), necks, strict=True)
        }

    def _embed_for_test(self, images: Tensor) -> dict[str, Tensor]:
        if self.spec.embedding == "bn":
            return self.embed(images)
        return {view: F.normalize(rows) for view, rows in self._pooled(images).items()}

    def _pooled(self, images: Tensor) -> dict[str, Tensor]:
        """{view: (B, D)} of `spec.views`, in their order."""
        maps = self._features(images)
        pooled = {GLOBAL: self.pool(maps)}
        if self.spec.parts:
            strips = self._strips(maps, images.shape[2])
            for view, pool, strip in zip(self.spec.views[1:], self.part_pools, strips, strict=True):
                pooled[view] = pool(strip)
        return pooled

    def _strips(self, maps: Tensor, image_height: int) -> tuple[Tensor, ...]:
        """The feature map (B, D, h, w) in as many strips as there are parts, top to bottom."""
        parts, rows = self.spec.parts, maps.shape[2]
        if rows < parts:
            raise ConfigError(
                f"encoder.parts={parts} needs a feature map of at least {parts} rows, and "
                f"{self.spec.backbone!r} gives {rows} for images {image_height} high: use a larger "
                "image height or fewer parts"
            )
        return torch.tensor_split(maps, parts, dim=2)

    def _features(self, images: Tensor) -> Tensor:
        """The feature map (B, D, h, w); all tokens (B, T, D) where one of them is taken."""
        features: Tensor = self.backbone.forward_features(images)  # type: ignore[operator]
        if features.ndim == 4:
            nhwc = str(getattr(self.backbone, "output_fmt", "NCHW")).endswith("NHWC")
            return features.permute(0, 3, 1, 2) if nhwc else features
        if self.spec.pooling == "token":
            return features
        prefix = int(getattr(self.backbone, "num_prefix_tokens", 0))
        return _grid(features[:, prefix:], images.shape[2], images.shape[3])


def build_encoder(spec: EncoderSpec, *, seed: int = 0) -> Encoder:
    """The network of `spec`, channels-last, its random parts drawn from `seed` alone.

    Raises ConfigError when the parts do not fit together or weights cannot be had.
    """
    if spec.pooling == "token" and spec.parts:
        raise ConfigError(
            f"encoder.pooling='token' takes one token, which cannot be split into "
            f"encoder.parts={spec.parts}: use gem, avg or max"
        )
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


def _neck(dim: int) -> nn.BatchNorm1d:
    neck = nn.BatchNorm1d(dim)
    neck.bias.requires_grad_(False)
    return neck


def _grid(tokens: Tensor, height: int, width: int) -> Tensor:
    """Tokens of square patches of an image, row by row: (B, T, D) -> (B, D, h, w).

    Tokens that form no grid of the image's proportions become a single row.
    """
    batch, n, dim = tokens.shape
    rows = round(math.sqrt(n * height / width))
    if rows * rows * width != n * height or n % rows:
        rows = 1
    return tokens.transpose(1, 2).reshape(batch, dim, rows, n // rows)


def _channels(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1)
