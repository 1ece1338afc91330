"""Guided labels against loops written from CGC, Eq. 8-9."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from resight.losses import ClusterNCE, GuidedLabels, guided_labels
from resight.records import Batch, Step


def one_by_one(q, memory, labels, beta):
    rows = []
    for i in range(len(q)):
        distances = [1 - q[i] @ c / np.linalg.norm(c) for c in memory]
        near = [1 / (1 + math.exp(d)) for d in distances]
        rows.append(
            [beta * (k == labels[i]) + (1 - beta) * near[k] / sum(near) for k in range(len(memory))]
        )
    return rows


def unit(rng, *shape):
    return F.normalize(torch.from_numpy(rng.normal(size=shape)), dim=-1)


@given(
    seed=st.integers(0, 10**6),
    b=st.integers(1, 12),
    c=st.integers(1, 9),
    beta=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    length=st.sampled_from([0.4, 1.0]),
)
@settings(max_examples=60, deadline=None)
def test_equals_the_equations(seed, b, c, beta, length):
    rng = np.random.default_rng(seed)
    q, memory = unit(rng, b, 6), unit(rng, c, 6) * length
    labels = rng.integers(0, c, b)
    got = guided_labels(q, memory, torch.from_numpy(labels), beta=beta)
    np.testing.assert_allclose(got, one_by_one(q.numpy(), memory.numpy(), labels, beta), atol=1e-9)
    torch.testing.assert_close(got.sum(1), torch.ones(b).double())


def test_carries_no_gradient_and_changes_nothing():
    rng = np.random.default_rng(0)
    q, memory = unit(rng, 4, 6).float().requires_grad_(), unit(rng, 3, 6).float()
    before = memory.clone()
    got = guided_labels(q, memory, torch.tensor([0, 1, 2, 0]), beta=0.8)
    assert got.dtype == torch.float32
    assert not got.requires_grad
    assert torch.equal(memory, before)


def test_no_queries_get_no_labels():
    got = guided_labels(torch.zeros(0, 6), torch.eye(6)[:4], torch.zeros(0).long(), beta=0.8)
    assert got.shape == (0, 4)


@pytest.mark.parametrize("beta", [-0.1, 1.5])
def test_beta_out_of_range_is_refused(beta):
    told = rf"beta={beta} should be between 0 and 1"
    with pytest.raises(ValueError, match=told):
        GuidedLabels(beta)
    with pytest.raises(ValueError, match=told):
        guided_labels(torch.eye(2), torch.eye(2), torch.tensor([0, 1]), beta=beta)


def test_the_part_feeds_cluster_nce():
    rng = np.random.default_rng(1)
    q, memory = unit(rng, 4, 6).float(), unit(rng, 3, 6).float()
    labels = torch.tensor([0, 1, 2, 0])
    step = Step(
        Batch(torch.arange(4), torch.zeros(4, 3, 8, 8), labels), {"global": q}, {"global": memory}
    )
    targets = GuidedLabels().choose(step, "global")
    torch.testing.assert_close(targets, guided_labels(q, memory, labels, beta=0.8))
    log_shares = torch.log_softmax(q @ memory.T / 0.05, dim=1)
    torch.testing.assert_close(ClusterNCE()(step, targets), -(targets * log_shares).sum(1))
    torch.testing.assert_close(
        ClusterNCE()(step, GuidedLabels(1.0).choose(step, "global")), ClusterNCE()(step, labels)
    )


def test_an_outlier_has_a_row_of_zeros():
    rng = np.random.default_rng(4)
    q, memory, labels = unit(rng, 5, 6), unit(rng, 3, 6), torch.tensor([2, -1, 0, -1, 1])
    got, inside = guided_labels(q, memory, labels, beta=0.8), labels >= 0
    assert torch.equal(got[~inside], torch.zeros(2, 3).double())
    want = guided_labels(q[inside], memory, labels[inside], beta=0.8)
    torch.testing.assert_close(got[inside], want)


def test_the_part_looks_at_the_view_it_is_asked_for():
    rng = np.random.default_rng(5)
    views = {view: (unit(rng, 4, 6), unit(rng, c, 6)) for view, c in (("global", 3), ("part1", 2))}
    labels, own = torch.tensor([0, 1, 2, 0]), torch.tensor([1, -1, 0, 0])
    batch = Batch(torch.arange(4), torch.zeros(4, 3, 8, 8), labels, view_labels={"part1": own})
    step = Step(batch, {v: q for v, (q, _) in views.items()}, {v: m for v, (_, m) in views.items()})
    for view, of_view in (("global", labels), ("part1", own)):
        got = GuidedLabels(0.6).choose(step, view)
        torch.testing.assert_close(got, guided_labels(*views[view], of_view, beta=0.6))
