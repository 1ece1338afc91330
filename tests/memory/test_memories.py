"""Starts, and both memories as the training loop uses them."""

from __future__ import annotations

import typing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from resight.memory import ClusterMemory, InstanceMemory, mean_of_members, random_member, update
from resight.records import Batch, Clustered, Crops, Instances

LABELS = torch.tensor([0, 1, -1, 1, 2, 1, -1, 2])
CAMERAS = torch.tensor([0, 0, 0, 1, 0, 0, 1, 1])
POLICIES = typing.get_args(update.Policy)


@pytest.fixture
def features():
    return F.normalize(torch.from_numpy(np.random.default_rng(3).normal(size=(8, 6))).float())


def batch(rows, **own):
    indices = torch.tensor(rows)
    own = {view: labels[indices] for view, labels in own.items()}
    images = torch.zeros(len(rows), 3, 4, 4)
    return Batch(indices, images, LABELS[indices], CAMERAS[indices], own)


def clustered(views, *, anchors=LABELS, **own):
    labels = {view: own.get(view, LABELS) for view in views}
    return Clustered(views, labels, {view: own.get(view, anchors) for view in views})


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
        InstanceMemory(fraction=0.8),
        InstanceMemory(momentum=0, normalise=True),
    ],
)
def test_every_memory_keeps_the_contract(spec, features):
    memory = spec.start(clustered({"global": features}), generator=torch.Generator())
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
    spec = ClusterMemory(update=policy, momentum=0.3)
    memory = spec.start(clustered(views), generator=generator())
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
        clustered({"global": features}), generator=torch.Generator()
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


EVERY = [
    *(ClusterMemory(update=policy) for policy in POLICIES),
    ClusterMemory(init="random"),
    InstanceMemory(),
    InstanceMemory(fraction=0.6),
    InstanceMemory(normalise=True),
]


@pytest.mark.parametrize("spec", EVERY)
def test_a_momentum_of_one_leaves_everything_in_place(spec, features):
    memory = replace(spec, momentum=1.0).start(
        clustered({"global": features}), generator=torch.Generator()
    )
    before = memory.read()["global"].clone()
    memory.write({"global": features.flip(1)[:3]}, batch([1, 3, 4]))
    assert torch.equal(memory.read()["global"], before)


@pytest.mark.parametrize("spec", EVERY)
def test_outliers_of_a_view_are_left_out_there(spec, features):
    own = torch.tensor([-1, 0, 0, 1, 1, -1, -1, 1])
    views = {"global": features, "part1": features.flip(1)}
    whole, without = (
        spec.start(clustered(views, part1=own), generator=torch.Generator().manual_seed(2))
        for _ in range(2)
    )
    assert whole.read()["part1"].shape == (2, 6)
    q = {view: table[[2, 0, 6, 1]] for view, table in views.items()}
    kept = torch.tensor([1, 2])
    whole.write(q, batch([0, 1, 4, 5], part1=own))
    without.write({"global": q["global"]}, batch([0, 1, 4, 5], part1=own))
    without.write({"part1": q["part1"][kept]}, batch([1, 4], part1=own))
    torch.testing.assert_close(whole.read()["part1"], without.read()["part1"])
    if getattr(spec, "update", "") != "random":
        torch.testing.assert_close(whole.read()["global"], without.read()["global"])


@pytest.mark.parametrize("spec", EVERY)
def test_views_without_embeddings_do_not_change(spec, features):
    views = {"global": features, "part1": features.flip(1)}
    memory = spec.start(clustered(views), generator=torch.Generator())
    before = {view: rows.clone() for view, rows in memory.read().items()}
    memory.write({"part1": features[[2, 6]]}, batch([1, 4]))
    assert torch.equal(memory.read()["global"], before["global"])
    assert not torch.equal(memory.read()["part1"], before["part1"])


@pytest.mark.parametrize("spec", EVERY)
def test_what_the_epoch_started_from_is_left_alone(spec, features):
    kept = features.clone()
    memory = spec.start(clustered({"global": features}), generator=torch.Generator())
    memory.write({"global": features.flip(1)[:3]}, batch([1, 3, 4]))
    assert torch.equal(features, kept)


ANCHORS = torch.tensor([0, 1, -1, -1, 2, 1, -1, -1])


def test_anchors_alone_make_the_cluster_vectors(features):
    given = clustered({"global": features}, anchors=ANCHORS)
    got = ClusterMemory().start(given, generator=torch.Generator()).read()["global"]
    torch.testing.assert_close(got, mean_of_members(features, ANCHORS))
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        got = ClusterMemory(init="random").start(given, generator=generator).read()["global"]
        torch.testing.assert_close(got[[0, 2]], features[[0, 4]])
        assert any(torch.allclose(got[1], features[i]) for i in (1, 5))


def test_instances_that_are_no_anchors_are_kept_but_do_not_count(features):
    given = clustered({"global": features}, anchors=ANCHORS)
    memory = InstanceMemory(momentum=0).start(given, generator=torch.Generator())
    q = features.flip(1)[:3]
    memory.write({"global": q}, batch([3, 5, 7]))
    want = features.clone()
    want[[3, 5, 7]] = q
    vectors, labels = memory.instances()
    assert torch.equal(labels["global"], LABELS)
    torch.testing.assert_close(vectors["global"], want)
    means = torch.stack([want[k == ANCHORS].mean(0) for k in range(3)])
    torch.testing.assert_close(memory.read()["global"], means)


def test_a_momentum_of_zero_replaces(features):
    memory = InstanceMemory(momentum=0).start(
        clustered({"global": features}), generator=torch.Generator()
    )
    q = F.normalize(features.flip(1)[:3])
    memory.write({"global": q}, batch([1, 3, 4]))
    torch.testing.assert_close(memory.instances().vectors["global"][[1, 3, 4]], q)


@pytest.mark.parametrize("fraction", [0.7, 1.0])
def test_means_are_normalised_when_asked(fraction, features):
    plain, unit = (
        InstanceMemory(fraction=fraction, normalise=normalise)
        .start(clustered({"global": features}), generator=torch.Generator().manual_seed(1))
        .read()["global"]
        for normalise in (False, True)
    )
    torch.testing.assert_close(unit, F.normalize(plain))
    assert not torch.allclose(unit, plain)


def test_only_instance_memories_have_instances(features):
    given = clustered({"global": features})
    assert ClusterMemory().start(given, generator=torch.Generator()).instances() is None
    found = InstanceMemory().start(given, generator=torch.Generator()).instances()
    assert isinstance(found, Instances)


@pytest.mark.parametrize("spec", [ClusterMemory(), InstanceMemory(), InstanceMemory(fraction=0.5)])
def test_a_cluster_without_anchor_is_told(spec, features):
    anchors = torch.where(LABELS == 1, -1, LABELS)
    with pytest.raises(ValueError, match="1 of the 3 clusters of view 'global' have no anchors"):
        spec.start(clustered({"global": features}, anchors=anchors), generator=torch.Generator())


@pytest.mark.parametrize("fraction", [0, -0.1, 1.2])
def test_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match=rf"fraction={fraction} should be above 0 and at most 1"):
        InstanceMemory(fraction=fraction)
