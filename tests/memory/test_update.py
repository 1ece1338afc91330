"""The update policies against the sequential definitions, sample by sample."""

from __future__ import annotations

import inspect
import typing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from resight.memory import update

POLICIES = typing.get_args(update.Policy)
PLAIN = [policy for policy in POLICIES if policy not in update.NEED_CAMERAS]
SURE = [policy for policy in POLICIES if policy != "random"]


def unit_mean(rows):
    mean = rows.mean(0)
    return mean / np.linalg.norm(mean)


def one_by_one(policy, memory, q, labels, cameras, momentum):
    """Plain loops in float64: Cluster Contrast, Eq. 2 and Table 6; 3C, Eq. 17-21."""
    memory = memory.astype(np.float64).copy()
    q = q.astype(np.float64)

    def move(k, vector):
        moved = momentum * memory[k] + (1 - momentum) * vector
        memory[k] = moved / np.linalg.norm(moved)

    if policy == "vanilla":
        for i, k in enumerate(labels):
            move(k, q[i])
        return memory
    for k in sorted(set(labels.tolist())):
        members = [i for i in range(len(labels)) if labels[i] == k]
        similar = [q[i] @ memory[k] for i in members]
        own = {c: unit_mean(q[(labels == k) & (cameras == c)]) for c in set(cameras[members])}
        if policy == "average":
            move(k, q[members].mean(0))
        elif policy == "easy":
            move(k, q[members[int(np.argmax(similar))]])
        elif policy == "hard":
            move(k, q[members[int(np.argmin(similar))]])
        elif policy == "tccl":
            move(k, min(own.values(), key=lambda centre, k=k: centre @ memory[k]))
        elif policy == "chd":
            far = [(1 - s) / 2 for s in similar]
            sure = [(1 + q[i] @ own[cameras[i]]) / 2 for i in members]
            chd = [2 * f * s / (f + s) for f, s in zip(far, sure, strict=True)]
            move(k, q[members[int(np.argmax(chd))]])
    return memory


def unit(rng, *shape):
    return F.normalize(torch.from_numpy(rng.normal(size=shape).astype(np.float32)), dim=-1)


@given(
    seed=st.integers(0, 10**6),
    c=st.integers(1, 9),
    b=st.integers(1, 40),
    n_cameras=st.integers(1, 5),
    momentum=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    policy=st.sampled_from(SURE),
)
@settings(max_examples=150, deadline=None)
def test_equals_the_definition(seed, c, b, n_cameras, momentum, policy):
    rng = np.random.default_rng(seed)
    memory, q, labels = unit(rng, c, 5), unit(rng, b, 5), torch.from_numpy(rng.integers(0, c, b))
    cameras = torch.from_numpy(rng.integers(0, n_cameras, b) * 3)
    got = getattr(update, policy)(memory, q, labels, momentum=momentum, cameras=cameras)
    arrays = (tensor.numpy() for tensor in (memory, q, labels, cameras))
    np.testing.assert_allclose(got.numpy(), one_by_one(policy, *arrays, momentum), atol=2e-5)


def example():
    rng = np.random.default_rng(0)
    labels = torch.tensor([4, 4, 4, 1, 1, 1, 1, 1, 1, 1])
    cameras = torch.tensor([0, 0, 2, 2, 0, 1, 1, 0, 2, 2])
    return unit(rng, 6, 8), unit(rng, 10, 8), labels, cameras


@pytest.mark.parametrize("policy", POLICIES)
def test_leaves_its_input_and_other_clusters_alone(policy):
    memory, q, labels, cameras = example()
    before = memory.clone()
    after = getattr(update, policy)(
        memory, q, labels, momentum=0.1, cameras=cameras, generator=torch.Generator()
    )
    assert torch.equal(memory, before)
    assert torch.equal(after[[0, 2, 3, 5]], before[[0, 2, 3, 5]])
    assert not torch.allclose(after[[1, 4]], before[[1, 4]])
    torch.testing.assert_close(after.norm(dim=1), torch.ones(6))


@pytest.mark.parametrize("policy", POLICIES)
def test_move_does_the_same_in_place(policy):
    memory, q, labels, cameras = example()
    want = getattr(update, policy)(
        memory, q, labels, momentum=0.1, cameras=cameras, generator=torch.Generator().manual_seed(2)
    )
    got = update.move(
        policy,
        memory,
        q,
        labels,
        momentum=0.1,
        cameras=cameras,
        generator=torch.Generator().manual_seed(2),
    )
    assert got is memory
    assert torch.equal(memory, want)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_empty_batch_moves_nothing(policy):
    memory, q, labels, cameras = (values[:0] for values in example())
    memory = torch.eye(3, 8)
    after = getattr(update, policy)(memory, q, labels, momentum=0.1, cameras=cameras)
    assert torch.equal(after, memory)


@pytest.mark.parametrize("policy", POLICIES)
def test_all_policies_share_one_signature(policy):
    assert str(inspect.signature(getattr(update, policy))) == (
        "(memory: 'Tensor', q: 'Tensor', labels: 'Tensor', *, momentum: 'float', "
        "cameras: 'Tensor | None' = None, generator: 'torch.Generator | None' = None) -> 'Tensor'"
    )


@pytest.mark.parametrize("policy", update.NEED_CAMERAS)
def test_missing_cameras_are_told(policy):
    memory, q, labels, cameras = example()
    for wrong, told in ((None, "None"), (cameras[:3], r"\(3,\)")):
        with pytest.raises(ValueError, match=rf"{policy} .* should be \(10,\), got {told}"):
            getattr(update, policy)(memory, q, labels, momentum=0.1, cameras=wrong)


@pytest.mark.parametrize("policy", PLAIN)
def test_the_others_do_not_look_at_cameras(policy):
    memory, q, labels, cameras = example()
    with_cameras, without = (
        getattr(update, policy)(
            memory, q, labels, momentum=0.1, cameras=c, generator=torch.Generator().manual_seed(0)
        )
        for c in (cameras, None)
    )
    assert torch.equal(with_cameras, without)


@pytest.mark.parametrize("policy", ["easy", "hard", "chd"])
def test_the_first_of_equals_is_taken(policy):
    memory = torch.tensor([[1.0, 0.0, 0.0]])
    q = torch.tensor([[0.6, 0.8, 0.0], [0.6, -0.8, 0.0]])
    after = getattr(update, policy)(
        memory, q, torch.tensor([0, 0]), momentum=0.0, cameras=torch.tensor([5, 2])
    )
    torch.testing.assert_close(after, q[:1])


def test_tccl_takes_the_lowest_of_equal_cameras():
    memory = torch.tensor([[1.0, 0.0, 0.0]])
    q = torch.tensor([[0.6, 0.8, 0.0], [0.6, -0.8, 0.0]])
    after = update.tccl(memory, q, torch.tensor([0, 0]), momentum=0.0, cameras=torch.tensor([5, 2]))
    torch.testing.assert_close(after, q[1:])


def test_chd_with_one_image_a_camera_is_hard():
    memory, q, labels, _ = example()
    hard = update.hard(memory, q, labels, momentum=0.1)
    chd = update.chd(memory, q, labels, momentum=0.1, cameras=torch.arange(10))
    torch.testing.assert_close(chd, hard)


def test_chd_passes_over_the_noise_that_hard_takes():
    angles = torch.tensor([0.5, 0.55, 0.6, -2.6, -0.3, -0.35])
    q = torch.stack([angles.cos(), angles.sin()], dim=1)
    memory, labels = torch.tensor([[1.0, 0.0]]), torch.zeros(6, dtype=torch.long)
    cameras = torch.tensor([0, 0, 0, 0, 1, 1])
    hard = update.hard(memory, q, labels, momentum=0.0)
    chd = update.chd(memory, q, labels, momentum=0.0, cameras=cameras)
    torch.testing.assert_close(hard, q[3:4])
    torch.testing.assert_close(chd, q[2:3])


def test_chd_passes_over_a_member_that_is_its_cluster():
    rng = np.random.default_rng(0)
    q, zeros = unit(rng, 2, 2048), torch.zeros(2, dtype=torch.long)
    q[0] *= 1 + 1e-6
    for memory in (q[:1], F.normalize(q[:1])):
        after = update.chd(memory, q, zeros, momentum=0.0, cameras=zeros)
        torch.testing.assert_close(after, q[1:])


def test_chd_passes_over_a_member_opposite_to_its_camera_centre():
    q = torch.tensor([[1.000001, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    zeros = torch.zeros(3, dtype=torch.long)
    for memory in (torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])):
        after = update.chd(memory, q, zeros, momentum=0.0, cameras=zeros)
        torch.testing.assert_close(after, q[1:2])


def test_random_takes_each_member_about_equally_often():
    memory, q = torch.eye(4)[:1], torch.eye(4)
    generator = torch.Generator().manual_seed(1)
    labels = torch.zeros(4, dtype=torch.long)
    taken = [
        int(update.random(memory, q, labels, momentum=0.0, generator=generator).argmax())
        for _ in range(400)
    ]
    assert np.bincount(taken, minlength=4).min() > 60
