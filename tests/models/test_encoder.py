"""Encoders of all kinds keep one contract."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resight.errors import ConfigError, RunError
from resight.models import EncoderSpec, build_encoder, load, save
from resight.models.ibn import InstanceBatchNorm
from resight.models.pooling import GeM

SPECS = [
    EncoderSpec(weights="none"),
    EncoderSpec("resnet18", weights="none", pooling="avg"),
    EncoderSpec("resnet50_ibn_a", weights="none", pooling="max", last_stride=2),
    EncoderSpec("vit_small", weights="none", pooling="token", last_stride=2),
    EncoderSpec("deit_tiny_patch16_224", weights="none", pooling="gem", last_stride=2),
    EncoderSpec("mobilenetv3_small_050", weights="none", embedding="pooled"),
]


def pixels(n=2, size=(64, 32), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, *size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.backbone}-{s.pooling}")
def test_contract(spec):
    encoder = build_encoder(spec, seed=1)
    images = encoder.normalise(pixels())
    for module in (encoder.train(), encoder.eval()):
        q = module(images)["global"]
        assert q.shape == (2, encoder.dim)
        assert q.dtype == torch.float32
        torch.testing.assert_close(q.norm(dim=1), torch.ones(2))
    assert not encoder.neck.bias.requires_grad
    again = build_encoder(spec, seed=1).eval()(images)["global"]
    torch.testing.assert_close(again, encoder_fresh(spec)(images)["global"])


def encoder_fresh(spec):
    torch.manual_seed(99)
    return build_encoder(spec, seed=1).eval()


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_encoder(SPECS[1], seed=3)
    assert torch.equal(torch.rand(3), expected)


def test_last_stride_of_resnet50_is_where_the_papers_change_it():
    one = build_encoder(EncoderSpec("resnet50", weights="none", last_stride=1)).backbone
    assert one.layer4[0].conv2.stride == (1, 1)
    assert one.layer4[0].downsample[0].stride == (1, 1)
    assert one.layer3[0].conv2.stride == (2, 2)
    maps = one.forward_features(torch.zeros(1, 3, 64, 32))
    assert maps.shape == (1, 2048, 4, 2)


def test_last_stride_of_shortcuts_that_average():
    encoders = [
        build_encoder(EncoderSpec("test_resnet", weights="none", last_stride=stride))
        for stride in (1, 2)
    ]
    maps = [e.backbone.forward_features(torch.rand(1, 3, 64, 32)) for e in encoders]
    assert [m.shape[2:] for m in maps] == [(4, 2), (2, 1)]


def test_last_stride_of_lite0_doubles_the_map():
    shapes = [
        tuple(
            build_encoder(EncoderSpec(weights="none", last_stride=stride))
            .backbone.forward_features(torch.zeros(1, 3, 128, 64))
            .shape
        )
        for stride in (1, 2)
    ]
    assert shapes == [(1, 1280, 8, 4), (1, 1280, 4, 2)]


def test_gem_lies_between_average_and_maximum_and_matches_its_formula():
    maps = torch.rand(3, 5, 4, 2) + 0.1
    pool = GeM(p=3.0)
    want = (maps.double() ** 3).mean((2, 3)) ** (1 / 3)
    torch.testing.assert_close(pool(maps).double(), want, rtol=1e-5, atol=1e-6)
    assert (pool(maps) >= maps.mean((2, 3)) - 1e-6).all()
    assert (pool(maps) <= maps.amax((2, 3)) + 1e-6).all()
    torch.testing.assert_close(GeM(p=1.0)(maps), maps.mean((2, 3)))


def test_ibn_normalises_half_by_instance_half_by_batch():
    maps = torch.randn(4, 6, 5, 5) * 3 + 1
    layer = InstanceBatchNorm(6)
    out = layer(maps)
    torch.testing.assert_close(out[:, :3], nn.InstanceNorm2d(3)(maps[:, :3]))
    torch.testing.assert_close(out[:, 3:], nn.BatchNorm2d(3)(maps[:, 3:]))
    ibn = build_encoder(EncoderSpec("resnet50_ibn_a", weights="none")).backbone
    kinds = {name for name, m in ibn.named_modules() if isinstance(m, InstanceBatchNorm)}
    assert len(kinds) == 3 + 4 + 6
    assert not any(name.startswith("layer4") for name in kinds)


def test_normalise_matches_the_backbone():
    encoder = build_encoder(EncoderSpec("resnet18", weights="none"))
    got = encoder.normalise(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8))
    want = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(got[0, :, 0, 0], want)


def test_the_embedding_option_changes_the_test_feature_alone():
    bn = build_encoder(EncoderSpec("resnet18", weights="none"))
    pooled = build_encoder(EncoderSpec("resnet18", weights="none", embedding="pooled"))
    with torch.no_grad():
        for encoder in (bn, pooled):
            encoder.neck.running_mean += 0.5
    images = bn.normalise(pixels())
    assert not torch.allclose(bn.eval()(images)["global"], pooled.eval()(images)["global"])
    torch.testing.assert_close(bn.train()(images)["global"], pooled.train()(images)["global"])


def test_saved_and_loaded_is_the_same_encoder(tmp_path):
    encoder = build_encoder(EncoderSpec("resnet18", weights="none"), seed=3)
    save(encoder, tmp_path, size=(64, 32))
    loaded, size = load(tmp_path)
    images = encoder.normalise(pixels())
    assert size == (64, 32)
    assert torch.equal(encoder.eval()(images)["global"], loaded(images)["global"])


def test_a_state_dict_file_is_a_start(tmp_path):
    import timm
    from safetensors.torch import save_file

    network = timm.create_model("resnet18", pretrained=False)
    save_file(network.state_dict(), tmp_path / "start.safetensors")
    torch.save({"state_dict": network.state_dict()}, tmp_path / "start.pth")
    for name in ("start.safetensors", "start.pth"):
        encoder = build_encoder(EncoderSpec("resnet18", weights=str(tmp_path / name)))
        assert torch.equal(encoder.backbone.conv1.weight, network.conv1.weight)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (EncoderSpec("resnet51", weights="none"), "'resnet51' is unknown"),
        (EncoderSpec("resnet18", weights="nowhere.pth"), "no such file"),
        (EncoderSpec("vit_small", weights="none", pooling="token"), "last_stride=2"),
        (EncoderSpec("resnet18", weights="none", pooling="token"), "needs a transformer"),
    ],
)
def test_what_does_not_fit_is_refused(spec, message):
    with pytest.raises(ConfigError, match=message):
        build_encoder(spec)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "odd.pth")
    with pytest.raises(ConfigError, match="only 0 of the network's"):
        build_encoder(EncoderSpec("resnet18", weights=str(tmp_path / "odd.pth")))


def test_offline_download_says_what_to_do(monkeypatch):
    import timm

    real = timm.create_model

    def offline(*args, pretrained=False, **kwargs):
        if pretrained:
            raise OSError("no network")
        return real(*args, pretrained=False, **kwargs)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ConfigError, match=r"--weights FILE.*--weights none.*efficientnet_lite0"):
        build_encoder(EncoderSpec("resnet50"))


def test_loading_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(RunError, match="holds no trained model"):
        load(tmp_path)
    (tmp_path / "model.json").write_text('{"format": 99}')
    with pytest.raises(RunError, match="update resight"):
        load(tmp_path)


def test_mirror_makes_an_image_and_its_mirror_image_equal_in_evaluation_alone():
    encoder = build_encoder(EncoderSpec("resnet18", weights="none", mirror=True))
    images = encoder.normalise(pixels())
    with torch.no_grad():
        for training in (False, True):
            encoder.train(training)
            one, other = encoder(images)["global"], encoder(images.flip(3))["global"]
            assert torch.allclose(one, other, atol=1e-5) != training
            torch.testing.assert_close(one.norm(dim=1), torch.ones(2))
