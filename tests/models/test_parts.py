"""Views beside the global one: strips of the feature map, from top to bottom."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from resight.errors import ConfigError
from resight.models import EncoderSpec, build_encoder, load, save

SMALL = EncoderSpec("test_resnet", weights="none", last_stride=2, parts=2)
SPECS = [
    SMALL,
    replace(SMALL, parts=3, pooling="max", mirror=True),
    EncoderSpec("deit_tiny_patch16_224", weights="none", last_stride=2, parts=3),
    EncoderSpec("vit_small", weights="none", pooling="avg", last_stride=2, parts=2),
]


def images_of(encoder, n=3, size=(128, 64), seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 3, *size), dtype=torch.uint8, generator=generator)
    return encoder.normalise(pixels)


def settled(encoder):
    """Every neck with running statistics and weights of its own."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for neck in (encoder.neck, *encoder.part_necks):
            neck.running_mean.copy_(torch.randn(encoder.dim, generator=generator))
            neck.running_var.copy_(torch.rand(encoder.dim, generator=generator) + 0.5)
            neck.weight.copy_(torch.rand(encoder.dim, generator=generator) + 0.5)
    return encoder


def after_neck(neck, rows):
    """BatchNorm in evaluation, from its formula, then length 1."""
    scaled = (rows - neck.running_mean) / torch.sqrt(neck.running_var + neck.eps)
    return F.normalize(scaled * neck.weight + neck.bias)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.backbone}-{s.pooling}")
def test_contract(spec):
    encoder = build_encoder(spec, seed=1)
    images = images_of(encoder)
    for module in (encoder.train(), encoder.eval()):
        q = module(images)
        assert tuple(q) == ("global", *(f"part{i + 1}" for i in range(spec.parts)))
        for rows in q.values():
            assert rows.shape == (3, encoder.dim)
            assert rows.dtype == torch.float32
            torch.testing.assert_close(rows.norm(dim=1), torch.ones(3))
    for neck in encoder.part_necks:
        assert not neck.bias.requires_grad
        assert neck.weight.requires_grad


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_parts_are_strips_of_the_last_feature_map(parts):
    encoder = settled(build_encoder(replace(SMALL, parts=parts))).eval()
    with torch.no_grad():
        for i, pool in enumerate(encoder.part_pools):
            pool.p.fill_(2 + i)
        images = images_of(encoder, size=(192, 64))
        maps = encoder.backbone.forward_features(images)
        assert maps.shape[2] == 6
        q = encoder(images)
        rows = {2: [(0, 3), (3, 6)], 3: [(0, 2), (2, 4), (4, 6)]}
        rows[4] = [(0, 2), (2, 4), (4, 5), (5, 6)]
        for i, (start, stop) in enumerate(rows[parts]):
            strip = maps[:, :, start:stop].clamp(min=1e-6)
            pooled = (strip ** (2 + i)).mean((2, 3)) ** (1 / (2 + i))
            want = after_neck(encoder.part_necks[i], pooled)
            torch.testing.assert_close(q[f"part{i + 1}"], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(128, 64), (96, 64), (64, 64), (48, 96)])
def test_tokens_lie_where_their_patches_are(size):
    """Patch (r, c) is token r * w + c: each image has the strips of its own grid."""
    encoder = settled(build_encoder(replace(SPECS[3], parts=3))).eval()
    height, width = size[0] // 16, size[1] // 16
    with torch.no_grad():
        images = images_of(encoder, size=size)
        tokens = encoder.backbone.forward_features(images)[:, 1:]
        assert tokens.shape[1] == height * width
        grid = torch.stack(
            [tokens[:, r * width : (r + 1) * width].mean(1) for r in range(height)], 1
        )
        q = encoder(images)
        torch.testing.assert_close(q["global"], after_neck(encoder.neck, grid.mean(1)))
        for i, rows in enumerate(torch.tensor_split(torch.arange(height), 3)):
            want = after_neck(encoder.part_necks[i], grid[:, rows].mean(1))
            torch.testing.assert_close(q[f"part{i + 1}"], want, rtol=1e-4, atol=1e-5)


def test_what_only_the_top_shows_changes_the_top_part_alone():
    spec = EncoderSpec("vit_small", weights="none", pooling="avg", last_stride=2, parts=2)
    encoder = build_encoder(spec).eval()
    encoder.backbone.blocks = torch.nn.Identity()  # tokens that do not mix
    with torch.no_grad():
        images = images_of(encoder)
        other = images.clone()
        other[:, :, :64] += 1
        one, two = encoder(images), encoder(other)
    assert torch.equal(one["part2"], two["part2"])
    assert not torch.allclose(one["part1"], two["part1"], atol=1e-3)
    assert not torch.allclose(one["global"], two["global"], atol=1e-3)


def test_parts_leave_the_global_view_as_it_is():
    plain = build_encoder(replace(SMALL, parts=0), seed=5)
    parted = build_encoder(SMALL, seed=5)
    assert [*plain.state_dict()] == [k for k in parted.state_dict() if not k.startswith("part_")]
    for module in ("train", "eval"):
        one, other = (getattr(encoder, module)() for encoder in (plain, parted))
        images = images_of(one)
        assert torch.equal(one(images)["global"], other(images)["global"])


def test_the_embedding_option_holds_for_all_views():
    pooled = settled(build_encoder(replace(SMALL, embedding="pooled"))).eval()
    bn = settled(build_encoder(SMALL)).eval()
    images = images_of(bn)
    with torch.no_grad():
        maps = bn.backbone.forward_features(images)
        before = {"global": maps, "part1": maps[:, :, :2], "part2": maps[:, :, 2:]}
        for view, strip in before.items():
            want = F.normalize((strip.clamp(min=1e-6) ** 3).mean((2, 3)) ** (1 / 3))
            torch.testing.assert_close(pooled(images)[view], want, rtol=1e-4, atol=1e-5)
            assert not torch.allclose(bn(images)[view], want, atol=1e-3)
    pooled.train(), bn.train()
    for view, rows in bn(images).items():
        torch.testing.assert_close(pooled(images)[view], rows)


def test_mirror_holds_for_all_views():
    encoder = settled(build_encoder(replace(SMALL, mirror=True))).eval()
    images = images_of(encoder)
    with torch.no_grad():
        q, one, other = encoder(images), encoder.embed(images), encoder.embed(images.flip(3))
    for view in encoder.spec.views:
        torch.testing.assert_close(q[view], F.normalize(one[view] + other[view]))
        assert not torch.allclose(q[view], one[view], atol=1e-4)


def test_embed_gives_the_trained_feature_in_either_mode():
    tested = settled(build_encoder(replace(SMALL, mirror=True, embedding="pooled"))).eval()
    plain = settled(build_encoder(SMALL)).eval()
    images = images_of(plain)
    with torch.no_grad():
        for view, rows in plain(images).items():
            assert torch.equal(tested.embed(images)[view], rows)
        for view, rows in plain.train()(images).items():
            assert torch.equal(tested.train().embed(images)[view], rows)


@pytest.mark.parametrize("view", ["global", "part1", "part2"])
def test_each_view_learns_with_a_pooling_and_a_neck_of_its_own(view):
    encoder = build_encoder(SMALL).train()
    weights = torch.randn(3, encoder.dim, generator=torch.Generator().manual_seed(0))
    (encoder(images_of(encoder))[view] * weights).sum().backward()
    heads = {"global": ("pool.", "neck.")}
    heads |= {f"part{i + 1}": (f"part_pools.{i}.", f"part_necks.{i}.") for i in range(2)}
    for name, parameter in encoder.named_parameters():
        if name.startswith(("pool.", "neck.", "part_")) and parameter.requires_grad:
            learns = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
            assert learns == name.startswith(heads[view]), name
    assert encoder.backbone.conv1[0].weight.grad.abs().sum() > 0


def test_saved_and_loaded_with_parts(tmp_path):
    encoder = settled(build_encoder(SMALL, seed=3)).eval()
    save(encoder, tmp_path, size=(64, 32))
    loaded, _ = load(tmp_path)
    images = images_of(encoder)
    for view, rows in encoder(images).items():
        assert torch.equal(rows, loaded(images)[view])


def test_a_model_from_before_there_were_parts_loads(tmp_path):
    save(build_encoder(replace(SMALL, parts=0)), tmp_path, size=(64, 32))
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["encoder"].pop("parts") == 0
    (tmp_path / "model.json").write_text(json.dumps(described))
    assert load(tmp_path)[0].spec.views == ("global",)


def test_pixels_lie_within_their_range():
    for name in ("test_resnet", "vit_small"):
        encoder = build_encoder(EncoderSpec(name, weights="none", last_stride=2))
        low, high = encoder.pixel_range
        for bound, value in ((low, 0), (high, 255)):
            assert bound.shape == (1, 3, 1, 1)
            pixel = torch.full((1, 3, 1, 1), value, dtype=torch.uint8)
            torch.testing.assert_close(bound, encoder.normalise(pixel))
        assert (low < high).all()


@pytest.mark.parametrize("parts", [1, -1])
def test_numbers_of_parts_that_make_no_sense_are_refused(parts):
    with pytest.raises(ValueError, match=f"parts={parts} should be 0, or 2 and more"):
        EncoderSpec(parts=parts)


def test_one_token_has_no_parts():
    spec = EncoderSpec("vit_small", weights="none", pooling="token", last_stride=2, parts=2)
    with pytest.raises(ConfigError, match=r"pooling='token' .* encoder\.parts=2"):
        build_encoder(spec)


@pytest.mark.parametrize(
    ("spec", "size", "rows"),
    [
        (replace(SMALL, parts=3), (64, 32), 2),
        (replace(SPECS[3], parts=5), (64, 32), 4),
    ],
)
def test_too_low_a_feature_map_is_refused(spec, size, rows):
    encoder = build_encoder(spec).eval()
    told = rf"encoder\.parts={spec.parts} needs .* gives {rows} for images 64 high"
    with pytest.raises(ConfigError, match=told):
        encoder(images_of(encoder, size=size))
