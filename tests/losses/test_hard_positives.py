"""Hard positives against Alg. 3 of ACFL, written with one explicit step after the other."""

from __future__ import annotations

import conv
import numpy as np
import pytest
import torch

from resight.losses import InstanceLoss, hard_positives, instance_distance, instance_kl


def start(seed=0):
    rng = np.random.default_rng(seed)
    encoder = conv.Encoder()
    images = torch.from_numpy(rng.uniform(-1, 1, (5, 3, 6, 4)))
    q, memory = conv.unit(rng, 5, 5), conv.unit(rng, 4, 5)
    measures = {
        "relative_entropy": lambda x: instance_kl(q, encoder(x), memory, temperature=0.05),
        "distance": lambda x: instance_distance(q, encoder(x)),
    }
    return encoder, images, measures


def ends(low, high):
    return {
        "low": torch.tensor(low, dtype=torch.float64),
        "high": torch.tensor(high, dtype=torch.float64),
    }


@pytest.mark.parametrize("measure", ["relative_entropy", "distance"])
@pytest.mark.parametrize(("steps", "rate"), [(0, 1.0), (1, 1.0), (3, 1.0), (3, 6.0), (2, 0.0)])
def test_equals_explicit_steps(measure, steps, rate):
    _, images, measures = start()
    got = hard_positives(images, measures[measure], steps=steps, rate=rate, **ends(-1.2, 1.1))
    want = conv.moved_one_by_one(images, measures[measure], steps, rate, -1.2, 1.1)
    torch.testing.assert_close(got, want, atol=1e-9, rtol=0)
    assert not got.requires_grad
    if rate == 6.0:
        assert (got == 1.1).any()
        assert (got == -1.2).any()


@pytest.mark.parametrize("measure", ["relative_entropy", "distance"])
def test_they_are_harder_and_each_step_has_the_length_of_the_rate(measure):
    _, images, measures = start(1)
    harder = hard_positives(images, measures[measure], steps=3, rate=0.3, **ends(-9.0, 9.0))
    assert measures[measure](harder).sum() > measures[measure](images).sum()
    one = hard_positives(images, measures[measure], steps=1, rate=0.3, **ends(-9.0, 9.0))
    moved = (one - images).flatten(1).norm(dim=1)
    torch.testing.assert_close(moved, torch.full((5,), 0.3).double())


def test_images_and_weights_are_left_alone():
    encoder, images, measures = start(2)
    before, weights = images.clone(), [w.clone() for w in encoder.parameters()]
    hard_positives(images, measures["distance"], steps=2, rate=1.0, **ends(-2.0, 2.0))
    assert torch.equal(images, before)
    assert not images.requires_grad
    for weight, was in zip(encoder.parameters(), weights, strict=True):
        assert weight.grad is None
        assert torch.equal(weight, was)


def test_they_are_made_where_gradients_are_off():
    _, images, measures = start(3)
    options = {"steps": 2, "rate": 1.0, **ends(-2.0, 2.0)}
    want = hard_positives(images, measures["distance"], **options)
    with torch.no_grad():
        assert torch.equal(hard_positives(images, measures["distance"], **options), want)


def test_an_image_without_gradient_stays():
    images = torch.linspace(-1, 1, 24).reshape(2, 3, 2, 2)
    got = hard_positives(
        images,
        lambda x: (x * torch.tensor([0.0, 1.0])[:, None, None, None]).sum((1, 2, 3)),
        steps=2,
        rate=0.5,
        **{name: end.float() for name, end in ends(-3.0, 3.0).items()},
    )
    assert torch.equal(got[0], images[0])
    torch.testing.assert_close(got[1], images[1] + 2 * 0.5 / 12**0.5)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_the_size_of_the_gradient_does_not_matter(size):
    images = torch.zeros(1, 3, 2, 2)
    bounds = {name: end.float() for name, end in ends(-3.0, 3.0).items()}
    got = hard_positives(images, lambda x: size * x.sum((1, 2, 3)), steps=1, rate=1.0, **bounds)
    torch.testing.assert_close(got, torch.full_like(images, 12**-0.5))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"steps": -1}, "steps=-1 and rate=1.0"), ({"rate": -0.5}, "steps=3 and rate=-0.5")],
)
def test_values_out_of_range_are_refused(wrong, told):
    told += " of hard positives should be >= 0"
    with pytest.raises(ValueError, match=told):
        InstanceLoss(**wrong)
    options = {"steps": 3, "rate": 1.0, **wrong}
    with pytest.raises(ValueError, match=told):
        hard_positives(torch.zeros(1, 3, 2, 2), torch.sum, **options, **ends(-1.0, 1.0))
