"""Hard person features against the version that moves C x D vectors for each query."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resight.losses import HardPersonNCE, cluster_nce, guided_labels, hard_persons
from resight.records import Batch, Step

PUBLISHED = {"temperature": 0.05, "steps": 10, "positive_rate": 0.00035, "negative_rate": 0.0028}
RATES = [(0.00035, 0.0028), (0.00035, 0.0), (0.0, 0.0028), (0.0, 0.0), (0.05, 0.02)]


def slow(q, memory, labels, temperature, steps, positive_rate, negative_rate):
    """(B, C) similarities: Alg. 2 by autograd, the vectors of one query at a time."""
    rows = []
    for query, own in zip(q, labels, strict=True):
        vectors = memory.clone()
        rates = torch.full((len(memory), 1), negative_rate, dtype=memory.dtype)
        rates[own] = positive_rate
        for _ in range(steps):
            vectors = vectors.detach().requires_grad_()
            logits = vectors @ query.detach() / temperature
            loss = F.cross_entropy(logits[None], own[None])
            vectors = vectors + rates * torch.autograd.grad(loss, vectors)[0]
        rows.append(vectors.detach() @ query)
    return torch.stack(rows)


def unit(rng, *shape):
    return F.normalize(torch.from_numpy(rng.normal(size=shape)), dim=-1)


def mean_loss(similarities, labels, temperature):
    return F.cross_entropy(similarities / temperature, labels)


@given(
    seed=st.integers(0, 10**6),
    b=st.integers(1, 7),
    c=st.integers(1, 9),
    temperature=st.sampled_from([0.05, 0.3, 1.0]),
    steps=st.sampled_from([0, 1, 3, 10]),
    rates=st.sampled_from(RATES),
    length=st.sampled_from([1.0, 0.7]),
)
@settings(max_examples=60, deadline=None)
def test_values_and_gradients_equal_moved_vectors(seed, b, c, temperature, steps, rates, length):
    rng = np.random.default_rng(seed)
    q, memory = (length * unit(rng, b, 6)).requires_grad_(), 0.9 * unit(rng, c, 6)
    labels = torch.from_numpy(rng.integers(0, c, b))
    options = {
        "temperature": temperature,
        "steps": steps,
        "positive_rate": rates[0],
        "negative_rate": rates[1],
    }
    got, want = hard_persons(q, memory, labels, **options), slow(q, memory, labels, **options)
    torch.testing.assert_close(got, want, atol=1e-10, rtol=1e-9)
    slopes = [torch.autograd.grad(mean_loss(s, labels, temperature), q)[0] for s in (got, want)]
    torch.testing.assert_close(*slopes, atol=1e-9, rtol=1e-8)


def test_published_settings_in_float32():
    rng = np.random.default_rng(3)
    q, memory = unit(rng, 16, 64), unit(rng, 30, 64)
    labels = torch.from_numpy(rng.integers(0, 30, 16))
    single, double = q.float().requires_grad_(), q.clone().requires_grad_()
    losses = (
        mean_loss(hard_persons(single, memory.float(), labels, **PUBLISHED), labels, 0.05),
        mean_loss(slow(double, memory, labels, **PUBLISHED), labels, 0.05),
    )
    assert losses[0].dtype == torch.float32
    torch.testing.assert_close(losses[0].double(), losses[1], atol=1e-5, rtol=0)
    slopes = [
        torch.autograd.grad(loss, q)[0] for loss, q in zip(losses, (single, double), strict=True)
    ]
    torch.testing.assert_close(slopes[0].double(), slopes[1], atol=1e-5, rtol=0)


def test_positive_alone_and_negative_alone_move_only_their_kind():
    rng = np.random.default_rng(5)
    q, memory, labels = unit(rng, 6, 8), unit(rng, 5, 8), torch.arange(6) % 5
    plain, own = q @ memory.T, F.one_hot(labels, 5).bool()
    hard = hard_persons(q, memory, labels, **PUBLISHED)
    assert (hard[own] < plain[own]).all()
    assert (hard[~own] > plain[~own]).all()
    positive = hard_persons(q, memory, labels, **{**PUBLISHED, "negative_rate": 0})
    assert torch.equal(positive[~own], plain[~own])
    assert (positive[own] < plain[own]).all()
    negative = hard_persons(q, memory, labels, **{**PUBLISHED, "positive_rate": 0})
    assert torch.equal(negative[own], plain[own])
    assert (negative[~own] > plain[~own]).all()


def test_gradients_are_those_of_vectors_that_stand_still():
    rng = np.random.default_rng(7)
    q, memory, labels = unit(rng, 3, 5).requires_grad_(), unit(rng, 4, 5), torch.tensor([3, 0, 0])
    options = {"temperature": 0.3, "steps": 10, "positive_rate": 0.05, "negative_rate": 0.02}
    got = torch.autograd.grad(mean_loss(hard_persons(q, memory, labels, **options), labels, 0.3), q)
    start, eps = q.detach(), 1e-6
    alpha = (hard_persons(start, memory, labels, **options) - start @ memory.T) / (
        start.square().sum(1, keepdim=True)
    )
    moved = memory + alpha[:, :, None] * start[:, None]
    for i in range(3):
        for j in range(5):
            ends = []
            for sign in (-1, 1):
                other = start.clone()
                other[i, j] += sign * eps
                ends.append(mean_loss(torch.einsum("bd,bcd->bc", other, moved), labels, 0.3))
            torch.testing.assert_close(
                (ends[1] - ends[0]) / (2 * eps), got[0][i, j], atol=1e-7, rtol=0
            )


def test_gradcheck_without_steps():
    rng = np.random.default_rng(8)
    q, memory, labels = unit(rng, 3, 5).requires_grad_(), unit(rng, 4, 5), torch.tensor([3, 0, -1])
    options = {**PUBLISHED, "steps": 0, "temperature": 0.3}

    def loss(x):
        scores = hard_persons(x, memory, labels, **options) / 0.3
        return F.cross_entropy(scores, labels, ignore_index=-1, reduction="none")

    assert torch.autograd.gradcheck(loss, q)


def test_an_outlier_takes_no_part():
    rng = np.random.default_rng(9)
    q, memory = unit(rng, 4, 6).requires_grad_(), unit(rng, 3, 6)
    labels, own = torch.tensor([0, 1, 2, 0]), torch.tensor([1, -1, 0, -1])
    batch = Batch(torch.arange(4), torch.zeros(4, 3, 8, 8), labels, view_labels={"part1": own})
    step = Step(batch, {"part1": q}, {"part1": memory})
    term = HardPersonNCE(view="part1")
    rows = guided_labels(q, memory, own, beta=0.8)
    for targets, kept in ((own, own[[0, 2]]), (rows, rows[[0, 2]])):
        loss = term(step, targets)
        hard = hard_persons(q[[0, 2]], memory, own[[0, 2]], **PUBLISHED)
        want = F.cross_entropy(hard / 0.05, kept, reduction="none")
        torch.testing.assert_close(loss[[0, 2]], want)
        assert torch.equal(loss[[1, 3]], torch.zeros(2).double())
        (slope,) = torch.autograd.grad(loss.sum(), q)
        assert torch.equal(slope[[1, 3]], torch.zeros(2, 6).double())


class Sizes(TorchDispatchMode):
    """Notes the size of the largest tensor that any operation returns."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves(found) if isinstance(leaf, torch.Tensor)]
        self.largest = max(self.largest, *(tensor.numel() for tensor in tensors), 0)
        return found


def test_no_tensor_is_larger_than_the_memory_or_the_similarities():
    rng = np.random.default_rng(0)
    q, memory = unit(rng, 12, 40).requires_grad_(), unit(rng, 30, 40)
    labels = torch.arange(12)
    with Sizes() as sizes:
        mean_loss(hard_persons(q, memory, labels, **PUBLISHED), labels, 0.05).backward()
    assert 12 * 30 <= sizes.largest <= 30 * 40


def test_no_queries_have_no_similarities():
    nothing = torch.zeros(0, 4)
    got = hard_persons(nothing, torch.eye(4), torch.zeros(0).long(), **PUBLISHED)
    assert got.shape == (0, 4)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"temperature": 0}, "temperature=0 should be above 0"),
        ({"steps": -1}, "steps=-1, .* should be >= 0"),
        ({"positive_rate": -0.5}, "positive_rate=-0.5 and .* should be >= 0"),
        ({"negative_rate": -0.5}, "negative_rate=-0.5 should be >= 0"),
    ],
)
def test_values_out_of_range_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        HardPersonNCE(**wrong)
    with pytest.raises(ValueError, match=told):
        hard_persons(torch.eye(2), torch.eye(2), torch.tensor([0, 1]), **{**PUBLISHED, **wrong})


def test_the_term_reads_its_view():
    rng = np.random.default_rng(2)
    q, memory = unit(rng, 4, 6).float(), unit(rng, 3, 6).float()
    labels = torch.tensor([0, 1, 2, 0])
    batch = Batch(torch.arange(4), torch.zeros(4, 3, 8, 8), labels)
    step = Step(batch, {"global": memory, "upper": q}, {"global": q, "upper": memory})
    got = HardPersonNCE(view="upper")(step, labels)
    want = F.cross_entropy(hard_persons(q, memory, labels, **PUBLISHED) / 0.05, labels)
    torch.testing.assert_close(got.mean(), want)
    still = HardPersonNCE(steps=0, view="upper")
    for targets in (labels, guided_labels(q, memory, labels, beta=0.8)):
        torch.testing.assert_close(
            still(step, targets), cluster_nce(q, memory, targets, temperature=0.05)
        )
