"""Camera entropy against loops written from 3C, Eq. 13-16."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.losses import CameraEntropy, camera_entropy_weights
from resight.losses.camera_entropy import camera_entropy
from resight.records import Batch, Crops, Step


def one_by_one(labels, cameras, base):
    """{identity: entropy}, and the weight of each sample."""
    entropies = {}
    for k in sorted(set(labels)):
        own = [c for label, c in zip(labels, cameras, strict=True) if label == k]
        shares = [own.count(c) / len(own) for c in set(own)]
        entropies[k] = sum(-p * math.log(p, base) for p in shares)
    total = sum(math.exp(e) for e in entropies.values())
    weights = [math.exp(entropies[k]) / total * len(entropies) for k in labels]
    return entropies, weights


@given(
    seed=st.integers(0, 10**6),
    b=st.integers(1, 40),
    n_labels=st.integers(1, 8),
    n_cameras=st.integers(1, 6),
    base=st.sampled_from([2, math.e, 10]),
)
@settings(max_examples=80, deadline=None)
def test_equals_the_equations(seed, b, n_labels, n_cameras, base):
    rng = np.random.default_rng(seed)
    labels, cameras = rng.integers(0, n_labels, b) * 7, rng.integers(0, n_cameras, b) * 5
    entropies, weights = one_by_one(labels.tolist(), cameras.tolist(), base)
    tensors = torch.from_numpy(labels), torch.from_numpy(cameras)
    got = camera_entropy(*tensors, base=base)
    np.testing.assert_allclose(got, list(entropies.values()), atol=1e-5)
    got = camera_entropy_weights(*tensors, base=base)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got, weights, rtol=1e-5)


def test_one_camera_weighs_all_alike():
    labels = torch.tensor([3, 1, 1, 3, 0])
    weights = camera_entropy_weights(labels, torch.full((5,), 4))
    torch.testing.assert_close(weights, torch.ones(5))


def test_more_cameras_weigh_more():
    labels = torch.arange(3).repeat_interleave(4)
    cameras = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 2, 3])
    torch.testing.assert_close(camera_entropy(labels, cameras), torch.tensor([0.0, 1.0, 2.0]))
    weights = camera_entropy_weights(labels, cameras)
    assert weights[0] < weights[4] < weights[8]
    torch.testing.assert_close(weights.mean(), torch.tensor(1.0))


def test_an_empty_batch_has_no_weights():
    nothing = torch.empty(0, dtype=torch.long)
    assert camera_entropy_weights(nothing, nothing).shape == (0,)


@pytest.mark.parametrize("base", [1, 0.5, math.nan])
def test_a_wrong_base_is_refused(base):
    labels = torch.tensor([0, 1])
    for call in (lambda: CameraEntropy(base), lambda: camera_entropy(labels, labels, base=base)):
        with pytest.raises(ValueError, match=rf"base={base} of the entropy should be above 1"):
            call()


def step(cameras):
    labels = torch.tensor([0, 0, 1, 1])
    return Step(Batch(torch.arange(4), torch.zeros(4, 3, 8, 8), labels, cameras), {})


def test_the_part_weighs_its_batch():
    cameras = torch.tensor([0, 1, 2, 2])
    got = CameraEntropy(base=3).weigh(step(cameras))
    want = camera_entropy_weights(torch.tensor([0, 0, 1, 1]), cameras, base=3)
    torch.testing.assert_close(got, want)


def test_missing_cameras_are_told():
    crops = Crops(Path(), ("a.png",), np.array(["train"]))
    assert CameraEntropy().unmet(crops) == ["CameraEntropy needs crops with cameras"]
    seen = Crops(Path(), ("a.png",), np.array(["train"]), cameras=np.array([0]))
    assert CameraEntropy().unmet(seen) == []
    with pytest.raises(ValueError, match="carries no cameras"):
        CameraEntropy().weigh(step(None))
