"""Instance losses against loops written from ACFL, Eq. 7 and Section 4.4."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from resight.losses import instance_distance, instance_kl


def unit(rng, *shape):
    return F.normalize(torch.from_numpy(rng.normal(size=shape)), dim=-1)


def shares(x, memory, tau):
    exps = [math.exp(float(x @ c) / tau) for c in memory]
    return [e / sum(exps) for e in exps]


def one_by_one(q, positives, memory, tau):
    pairs = [
        (shares(x, memory, tau), shares(p, memory, tau)) for x, p in zip(q, positives, strict=True)
    ]
    return [sum(a * math.log(a / b) for a, b in zip(*pair, strict=True)) for pair in pairs]


@pytest.mark.parametrize(("b", "c"), [(0, 3), (1, 1), (1, 5), (7, 1), (9, 4)])
@pytest.mark.parametrize("tau", [0.05, 1.0])
def test_kl_equals_the_equation(b, c, tau):
    rng = np.random.default_rng(b * 10 + c)
    q, positives, memory = unit(rng, b, 6), unit(rng, b, 6), unit(rng, c, 6)
    want = one_by_one(q, positives, memory, tau)
    got = instance_kl(q, positives, memory, temperature=tau)
    assert got.shape == (b,)
    np.testing.assert_allclose(got, want, atol=1e-10)
    got = instance_kl(q.float(), positives.float(), memory.float(), temperature=tau)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_distance_equals_the_equation():
    rng = np.random.default_rng(0)
    q, positives = unit(rng, 5, 6), unit(rng, 5, 6)
    want = [2 * (1 - float(a @ b)) for a, b in zip(q, positives, strict=True)]
    np.testing.assert_allclose(instance_distance(q, positives), want)
    np.testing.assert_allclose(instance_distance(q, positives), (q - positives).square().sum(1))


def test_gradients_of_both_sides():
    rng = np.random.default_rng(1)
    q, positives = unit(rng, 3, 5).requires_grad_(), unit(rng, 3, 5).requires_grad_()
    memory = unit(rng, 4, 5)
    assert torch.autograd.gradcheck(
        lambda a, b: instance_kl(a, b, memory, temperature=0.3), (q, positives)
    )
    assert torch.autograd.gradcheck(instance_distance, (q, positives))


def test_alike_is_zero_and_the_sides_are_not_interchangeable():
    rng = np.random.default_rng(2)
    q, positives, memory = unit(rng, 4, 6), unit(rng, 4, 6), unit(rng, 5, 6)
    assert instance_kl(q, q, memory, temperature=0.05).abs().max() == 0
    there = instance_kl(q, positives, memory, temperature=0.05)
    assert (there > 0).all()
    assert not torch.allclose(there, instance_kl(positives, q, memory, temperature=0.05))


def test_far_apart_stays_finite():
    memory = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    q, positives = memory[:1].clone().requires_grad_(), memory[1:].clone().requires_grad_()
    loss = instance_kl(q, positives, memory, temperature=0.005).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(q.grad).all()
    assert torch.isfinite(positives.grad).all()


def test_temperature_must_be_positive():
    with pytest.raises(ValueError, match="temperature=0 should be above 0"):
        instance_kl(torch.eye(2), torch.eye(2), torch.eye(2), temperature=0)
