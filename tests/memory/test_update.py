"""The update policies against the sequential definition of Cluster Contrast, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from resight.memory.update import POLICIES


def one_by_one(policy, memory, q, labels, momentum):
    """Plain loops in float64, straight from Eq. 2 and Table 6."""
    memory = memory.astype(np.float64).copy()
    q = q.astype(np.float64)

    def move(k, vector):
        moved = momentum * memory[k] + (1 - momentum) * vector
        memory[k] = moved / np.linalg.norm(moved)

    if policy == "vanilla":
        for i, k in enumerate(labels):
            move(k, q[i])
        return memory
    before = memory.copy()
    for k in sorted(set(labels.tolist())):
        members = [i for i in range(len(labels)) if labels[i] == k]
        similar = [q[i] @ before[k] for i in members]
        if policy == "average":
            move(k, q[members].mean(0))
        elif policy == "easy":
            move(k, q[members[int(np.argmax(similar))]])
        elif policy == "hard":
            move(k, q[members[int(np.argmin(similar))]])
    return memory


def unit(rng, *shape):
    return F.normalize(torch.from_numpy(rng.normal(size=shape).astype(np.float32)), dim=-1)


@given(
    seed=st.integers(0, 10**6),
    c=st.integers(1, 9),
    b=st.integers(1, 40),
    momentum=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    policy=st.sampled_from(["vanilla", "average", "easy", "hard"]),
)
@settings(max_examples=80, deadline=None)
def test_equals_the_definition(seed, c, b, momentum, policy):
    rng = np.random.default_rng(seed)
    memory, q, labels = unit(rng, c, 5), unit(rng, b, 5), torch.from_numpy(rng.integers(0, c, b))
    got = POLICIES[policy](memory, q, labels, momentum=momentum)
    want = one_by_one(policy, memory.numpy(), q.numpy(), labels.numpy(), momentum)
    np.testing.assert_allclose(got.numpy(), want, atol=2e-5)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_leaves_its_input_and_other_clusters_alone(policy):
    rng = np.random.default_rng(0)
    memory, q = unit(rng, 6, 8), unit(rng, 10, 8)
    labels = torch.tensor([4, 4, 4, 1, 1, 1, 1, 1, 1, 1])
    before = memory.clone()
    after = POLICIES[policy](memory, q, labels, momentum=0.1, generator=torch.Generator())
    assert torch.equal(memory, before)
    assert torch.equal(after[[0, 2, 3, 5]], before[[0, 2, 3, 5]])
    assert not torch.allclose(after[[1, 4]], before[[1, 4]])
    torch.testing.assert_close(after.norm(dim=1), torch.ones(6))


@pytest.mark.parametrize("policy", ["easy", "hard"])
def test_the_first_of_equals_is_taken(policy):
    memory = torch.tensor([[1.0, 0.0, 0.0]])
    q = torch.tensor([[0.6, 0.8, 0.0], [0.6, -0.8, 0.0]])
    after = POLICIES[policy](memory, q, torch.tensor([0, 0]), momentum=0.0)
    torch.testing.assert_close(after, q[:1])


def test_random_takes_each_member_about_equally_often():
    memory, q = torch.eye(4)[:1], torch.eye(4)
    generator = torch.Generator().manual_seed(1)
    labels = torch.zeros(4, dtype=torch.long)
    taken = [
        int(POLICIES["random"](memory, q, labels, momentum=0.0, generator=generator).argmax())
        for _ in range(400)
    ]
    assert np.bincount(taken, minlength=4).min() > 60
