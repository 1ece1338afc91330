"""Passes that leave BatchNorm's running statistics alone."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from resight.models import EncoderSpec, build_encoder
from resight.models.statistics import BATCH_NORMS, kept_statistics


@pytest.fixture(params=["resnet18", "efficientnet_lite0", "resnet50_ibn_a"])
def encoder(request):
    return build_encoder(EncoderSpec(request.param, weights="none", last_stride=2, parts=2))


def images(seed=0):
    return torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(seed))


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module, before):
    return {n for n, value in module.state_dict().items() if not torch.equal(value, before[n])}


def test_statistics_stay_and_the_batch_is_what_normalises(encoder):
    encoder.train()
    before = state_of(encoder)
    with kept_statistics(encoder):
        kept = encoder(images())
    assert not changed(encoder, before)
    plain = encoder(images())
    for view, rows in plain.items():
        assert torch.equal(kept[view], rows)
    names = {name.rpartition(".")[2] for name in changed(encoder, before)}
    assert names == {"running_mean", "running_var", "num_batches_tracked"}


def test_gradients_are_those_of_the_plain_pass(encoder):
    encoder.train()
    other = copy.deepcopy(encoder)
    x, y = images().requires_grad_(), images().requires_grad_()
    with kept_statistics(encoder):
        encoder(x)["part1"][:, 0].sum().backward()
    other(y)["part1"][:, 0].sum().backward()
    assert torch.equal(x.grad, y.grad)


def test_layers_in_evaluation_use_their_running_statistics(encoder):
    encoder.train()(images(1))
    encoder.eval()
    before = state_of(encoder)
    want = encoder(images())["global"]
    with kept_statistics(encoder):
        assert torch.equal(encoder(images())["global"], want)
    assert not changed(encoder, before)


def test_timm_layers_are_among_those_found():
    lite = build_encoder(EncoderSpec("efficientnet_lite0", weights="none"))
    norms = [m for m in lite.modules() if isinstance(m, BatchNormAct2d)]
    assert norms
    assert all(isinstance(norm, BATCH_NORMS) for norm in norms)


def test_all_is_as_before_afterwards_also_after_an_error():
    module = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2, track_running_stats=False))

    def fail():
        with kept_statistics(module), kept_statistics(module):
            assert not module[0].track_running_stats
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert [norm.track_running_stats for norm in module] == [True, False]
    module(torch.randn(4, 2))
    assert module[0].num_batches_tracked == 1
