"""Starts, and both memories as the training loop uses them."""

from __future__ import annotations

import typing
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from resight.memory import ClusterMemory, InstanceMemory, mean_of_members, random_member, update
from resight.records import Batch, Crops

LABELS = torch.tensor([0, 1, -1, 1, 2, 1, -1, 2])
CAMERAS = torch.tensor([0, 0, 0, 1, 0, 0, 1, 1])
POLICIES = typing.get_args(update.Policy)


@pytest.fixture
def features():
    return F.normalize(torch.from_numpy(np.random.default_rng(3).normal(size=(8, 6))).float())


def batch(rows):
    indices = torch.tensor(rows)
    return Batch(indices, torch.zeros(len(rows), 3, 4, 4), LABELS[indices], CAMERAS[indices])


def test_mean_of_members(features):
    got = mean_of_members(features, LABELS)
    for k in range(3):
        mean = features[k == LABELS].double().mean(0)
        torch.testing.assert_close(got[k].double(), mean / mean.norm(), atol=1e-6, rtol=0)


def test_random_member_takes_every_member_of_its_own_cluster(features):
    generator = torch.Generator().manual_seed(0)
    seen = [set(), set(), set()]
    for _ in range(60):
        start = random_member(features, LABELS, generator=generator)
        for k in range(3):
            rows = torch.nonzero((features - start[k]).abs().amax(1) < 1e-6).flatten()
            assert len(rows) == 1
            seen[k].add(int(rows))
    assert seen == [{0}, {1, 3, 5}, {4, 7}]


@pytest.mark.parametrize(
    "spec",
    [
        *(ClusterMemory(update=policy) for policy in POLICIES),
        ClusterMemory(init="random"),
        InstanceMemory(),
    ],
)
def test_every_memory_keeps_the_contract(spec, features):
    memory = spec.start({"global": features}, LABELS, generator=torch.Generator())
    before = {view: rows.clone() for view, rows in memory.read().items()}
    assert before["global"].shape == (3, 6)
    q = F.normalize(torch.randn(3, 6, generator=torch.Generator().manual_seed(1)))
    memory.write({"global": q}, batch([1, 3, 4]))
    after = memory.read()["global"]
    assert torch.equal(after[0], before["global"][0])
    assert not torch.allclose(after[1:], before["global"][1:])


@pytest.mark.parametrize("policy", POLICIES)
def test_cluster_memory_updates_as_its_policy(policy, features):
    def generator():
        return torch.Generator().manual_seed(7)

    views = {"global": features, "upper": features.flip(1)}
    memory = ClusterMemory(update=policy, momentum=0.3).start(views, LABELS, generator=generator())
    rows, drawn = batch([1, 3, 5, 4, 7]), generator()
    q = {view: F.normalize(table[[2, 0, 6, 1, 3]]) for view, table in views.items()}
    want = {
        view: getattr(update, policy)(
            vectors,
            q[view],
            rows.labels,
            momentum=0.3,
            cameras=rows.cameras,
            generator=drawn,
        )
        for view, vectors in memory.read().items()
    }
    memory.write(q, rows)
    for view, vectors in memory.read().items():
        assert torch.equal(vectors, want[view])


@pytest.mark.parametrize("policy", POLICIES)
def test_cluster_memory_tells_what_it_needs(policy):
    seen = Crops(Path(), ("a.png",), np.array(["train"]), cameras=np.array([0]))
    unseen = Crops(Path(), ("a.png",), np.array(["train"]))
    assert ClusterMemory(update=policy).unmet(seen) == []
    told = [f"ClusterMemory with update={policy} needs crops with cameras"]
    assert ClusterMemory(update=policy).unmet(unseen) == (
        told if policy in update.NEED_CAMERAS else []
    )


def test_instance_memory_is_the_mean_of_its_members(features):
    memory = InstanceMemory(momentum=0.2).start(
        {"global": features.clone()}, LABELS, generator=torch.Generator()
    )
    kept = features.double().clone()
    rng = np.random.default_rng(5)
    for rows in ([1, 3, 4], [7, 7, 5], [0, 0, 0]):
        q = F.normalize(torch.from_numpy(rng.normal(size=(3, 6))).float())
        memory.write({"global": q}, batch(rows))
        start = kept.clone()
        for row, vector in zip(rows, q.double(), strict=True):
            moved = 0.2 * start[row] + 0.8 * vector
            kept[row] = moved / moved.norm()
    want = torch.stack([kept[k == LABELS].mean(0) for k in range(3)])
    torch.testing.assert_close(memory.read()["global"].double(), want, atol=1e-6, rtol=0)


@pytest.mark.parametrize("spec", [ClusterMemory, InstanceMemory])
def test_momentum_out_of_range_is_refused(spec):
    with pytest.raises(ValueError, match=r"momentum=1\.5 should be between 0 and 1"):
        spec(momentum=1.5)
