"""Backbones by name: timm networks, where their ImageNet weights come from, the last stride."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import is_model_in_modules
from torch import Tensor, nn

from resight.errors import ConfigError
from resight.models import ibn, lite0

log = logging.getLogger(__name__)

IMAGENET = "imagenet"
NO_WEIGHTS = "none"


@dataclass(frozen=True)
class Backbone:
    """A timm network under the name that this field uses.

    load: fills the network with ImageNet weights from elsewhere than timm; change: alters the
    architecture before any weights are loaded.
    """

    timm_name: str
    load: Callable[[], Mapping[str, Tensor]] | None = None
    change: Callable[[nn.Module], None] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


BACKBONES: dict[str, Backbone] = {
    "efficientnet_lite0": Backbone("tf_efficientnet_lite0", load=lite0.packaged_weights),
    "resnet50": Backbone("resnet50.tv_in1k"),
    "resnet50_v2": Backbone("resnet50.tv2_in1k"),
    "resnet50_ibn_a": Backbone(
        "resnet50.tv_in1k", load=ibn.published_weights, change=ibn.insert_ibn_a
    ),
    "vit_small": Backbone(
        "vit_small_patch16_224.augreg_in21k_ft_in1k", options={"dynamic_img_size": True}
    ),
}


def create_backbone(name: str, *, weights: str = IMAGENET, last_stride: int = 2) -> nn.Module:
    """A timm network without classifier and pooling: images (B, 3, H, W) -> feature map or tokens.

    name: a key of BACKBONES or any timm model name. weights: "imagenet", "none", or the path of a
    state dict (.safetensors, .pth). last_stride: 1 keeps the last stage at the resolution of the
    stage before it. Raises ConfigError for unknown names, weights that cannot be had, or a
    network without stages when last_stride is 1.
    """
    backbone = _lookup(name)
    network: nn.Module = timm.create_model(
        backbone.timm_name, pretrained=False, num_classes=0, global_pool="", **backbone.options
    )
    if backbone.change is not None:
        backbone.change(network)
    if weights == IMAGENET:
        network.load_state_dict(_without_head(_imagenet(name, backbone), network))
    elif weights != NO_WEIGHTS:
        _load_file(network, Path(weights))
    if last_stride == 1:
        _keep_resolution(network, name)
    return network


def _lookup(name: str) -> Backbone:
    if name in BACKBONES:
        return BACKBONES[name]
    if not timm.is_model(name):
        near = [*BACKBONES, *timm.list_models(f"*{name}*")[:8]]
        raise ConfigError(
            f"encoder.backbone {name!r} is unknown: use one of {', '.join(near)}, "
            "or any name that timm.list_models() gives"
        )
    options = {"dynamic_img_size": True} if is_model_in_modules(name, _VIT_MODULES) else {}
    return Backbone(name, options=options)


_VIT_MODULES = ("vision_transformer", "deit", "eva")


def _imagenet(name: str, backbone: Backbone) -> Mapping[str, Tensor]:
    if backbone.load is not None:
        return backbone.load()
    try:
        network = timm.create_model(backbone.timm_name, pretrained=True, **backbone.options)
    except Exception as error:  # hub, network and file errors share no base class
        raise ConfigError(
            f"the ImageNet weights of {name!r} could not be downloaded "
            f"({type(error).__name__}): go online, give a state dict with --weights FILE, start "
            "from random weights with --weights none, or use --backbone efficientnet_lite0, whose "
            "weights are installed"
        ) from error
    state: Mapping[str, Tensor] = network.state_dict()
    return state


def _without_head(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    wanted = network.state_dict().keys()
    return {key: value for key, value in state.items() if key in wanted}


def _load_file(network: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise ConfigError(
            f"--weights {path}: no such file (a path to a .safetensors or .pth state dict, "
            "or the words imagenet or none)"
        )
    state = _read_state(path)
    fitting = _without_head(state, network)
    missing, _ = network.load_state_dict(fitting, strict=False)
    if len(missing) > len(fitting):
        raise ConfigError(
            f"--weights {path}: only {len(fitting)} of the network's "
            f"{len(network.state_dict())} tensors are in the file; is it of another backbone?"
        )
    if missing:
        log.warning("%s lacks %d tensors, which start random", path, len(missing))


def _read_state(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    state: Mapping[str, Tensor] = loaded.get("state_dict", loaded)
    return state


def _keep_resolution(network: nn.Module, name: str) -> None:
    """Set every stride of the last stage to 1 (ResNet: layer4's 3x3 and its shortcut).

    Shortcuts that average (ResNet-D) average single positions then.
    """
    info = getattr(network, "feature_info", None)
    if info is None or len(info) < 2 or info[-1]["reduction"] == info[-2]["reduction"]:
        raise ConfigError(
            f"encoder.last_stride=1 needs a backbone with stages, which {name!r} has not: "
            "set encoder.last_stride=2"
        )
    before_last = info[-2]["module"]
    names = [key for key, _ in network.named_modules()]
    start = max(i for i, key in enumerate(names) if key.startswith(before_last))
    for key in names[start + 1 :]:
        module = network.get_submodule(key)
        if isinstance(module, nn.Conv2d | nn.AvgPool2d) and module.stride in (2, (2, 2)):
            module.stride = (1, 1)
            if isinstance(module, nn.AvgPool2d):
                module.kernel_size = (1, 1)
