"""Loss terms against loops written from the equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from resight.losses import ClusterNCE, EqualWeights, HardTargets, cluster_nce
from resight.records import Batch, Step


def one_by_one(q, memory, targets, tau):
    """Eq. 3, one query at a time."""
    losses = []
    for i in range(len(q)):
        exps = [math.exp(float(q[i] @ memory[k]) / tau) for k in range(len(memory))]
        shares = [e / sum(exps) for e in exps]
        losses.append(-sum(float(targets[i, k]) * math.log(shares[k]) for k in range(len(memory))))
    return losses


def unit(rng, *shape):
    return F.normalize(torch.from_numpy(rng.normal(size=shape)), dim=-1)


@pytest.mark.parametrize(("b", "c"), [(1, 1), (1, 5), (7, 1), (9, 4)])
@pytest.mark.parametrize("tau", [0.05, 1.0])
def test_cluster_nce_equals_the_equation(b, c, tau):
    rng = np.random.default_rng(b * 10 + c)
    q, memory = unit(rng, b, 6), unit(rng, c, 6)
    hard = torch.from_numpy(rng.integers(0, c, b))
    soft = torch.from_numpy(rng.dirichlet(np.ones(c), size=b)).float()
    for targets, rows in ((hard, F.one_hot(hard, c)), (soft, soft)):
        got = cluster_nce(q, memory, targets, temperature=tau)
        assert got.shape == (b,)
        np.testing.assert_allclose(got, one_by_one(q, memory, rows, tau), rtol=2e-5, atol=1e-5)


def test_gradients_of_cluster_nce():
    rng = np.random.default_rng(1)
    q, memory = unit(rng, 3, 5).requires_grad_(), unit(rng, 4, 5)
    soft = torch.from_numpy(rng.dirichlet(np.ones(4), size=3))
    for targets in (torch.tensor([0, 3, 3]), soft):
        assert torch.autograd.gradcheck(
            lambda x, t=targets: cluster_nce(x, memory, t, temperature=0.3), q
        )


def test_the_term_reads_its_view():
    rng = np.random.default_rng(0)
    q, upper = unit(rng, 4, 6), unit(rng, 4, 6)
    memory, upper_memory = unit(rng, 3, 6), unit(rng, 3, 6)
    labels = torch.tensor([0, 1, 2, 0])
    step = Step(
        Batch(torch.arange(4), torch.zeros(4, 3, 8, 8), labels),
        {"global": q, "upper": upper},
        {"global": memory, "upper": upper_memory},
    )
    targets = HardTargets().choose(step, "upper")
    got = ClusterNCE(0.1, view="upper")(step, targets)
    torch.testing.assert_close(got, cluster_nce(upper, upper_memory, labels, temperature=0.1))
    assert torch.equal(EqualWeights().weigh(step), torch.ones(4))


def test_an_outlier_takes_no_part():
    rng = np.random.default_rng(2)
    q, memory = unit(rng, 4, 6).requires_grad_(), unit(rng, 3, 6)
    hard = torch.tensor([2, -1, 0, -1])
    soft = F.one_hot(hard.clamp_min(0), 3).double() * (hard >= 0)[:, None]
    for targets in (hard, soft):
        loss = cluster_nce(q, memory, targets, temperature=0.05)
        want = cluster_nce(q[[0, 2]], memory, hard[[0, 2]], temperature=0.05)
        torch.testing.assert_close(loss[[0, 2]], want)
        assert torch.equal(loss[[1, 3]], torch.zeros(2).double())
        (slope,) = torch.autograd.grad(loss.sum(), q)
        assert torch.equal(slope[[1, 3]], torch.zeros(2, 6).double())
        assert slope[[0, 2]].abs().amax(1).min() > 0


def test_a_batch_of_outliers_has_no_loss():
    q = torch.eye(3).requires_grad_()
    loss = cluster_nce(q, torch.eye(3), torch.full((3,), -1), temperature=0.05)
    loss.mean().backward()
    assert torch.equal(loss, torch.zeros(3))
    assert torch.equal(q.grad, torch.zeros(3, 3))


def test_targets_are_the_labels_of_their_view():
    labels, own = torch.tensor([0, 1, 2]), torch.tensor([1, -1, 0])
    batch = Batch(torch.arange(3), torch.zeros(3, 3, 8, 8), labels, view_labels={"part1": own})
    step = Step(batch, {})
    assert torch.equal(HardTargets().choose(step, "part1"), own)
    for view in ("global", "part2"):
        assert torch.equal(HardTargets().choose(step, view), labels)


def test_temperature_must_be_positive():
    for refused in (
        lambda: ClusterNCE(temperature=0),
        lambda: cluster_nce(torch.eye(1), torch.eye(1), torch.tensor([0]), temperature=0),
    ):
        with pytest.raises(ValueError, match=r"temperature=0 should be above 0"):
            refused()
