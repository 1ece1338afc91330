"""The limited instance memory against a list, one entry after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from resight.memory import InstanceMemory
from resight.memory.instance import AllInstances
from resight.memory.queue import InstanceQueue
from resight.records import Batch, Clustered


def unit(rng, *shape):
    return F.normalize(torch.from_numpy(rng.normal(size=shape)), dim=-1)


class SlowQueue:
    """ACFL, "Memory": a list of (crop, vector), the oldest first."""

    def __init__(self, entries, anchors, momentum):
        self.entries, self.size = list(entries), len(entries)
        self.anchors, self.momentum = anchors, momentum

    def write(self, rows, q):
        for i, crop in enumerate(rows):
            if crop in rows[i + 1 :]:
                continue
            vector = q[i]
            for entry in self.entries:
                if entry[0] == crop:
                    vector = self.momentum * entry[1] + (1 - self.momentum) * vector
                    self.entries.remove(entry)
                    break
            self.entries.append((crop, vector / np.linalg.norm(vector)))
        while len(self.entries) > self.size:
            self.entries.remove(next(e for i, e in enumerate(self.entries) if self.may_go(i)))

    def may_go(self, i):
        own = self.anchors[self.entries[i][0]]
        return own == -1 or own in [self.anchors[crop] for crop, _ in self.entries[i + 1 :]]

    def means(self, n_clusters):
        return np.stack(
            [
                np.mean([v for crop, v in self.entries if self.anchors[crop] == k], axis=0)
                for k in range(n_clusters)
            ]
        )


def drawn(rng, n, n_clusters):
    """Features, labels that hold every cluster, and anchors of which each cluster has one."""
    labels = rng.permutation(np.append(np.arange(n_clusters), rng.integers(-1, n_clusters, n)))
    anchors = np.where(rng.random(len(labels)) < 0.6, labels, -1)
    for k in range(n_clusters):
        anchors[rng.choice(np.flatnonzero(labels == k))] = k
    return unit(rng, len(labels), 4), labels, anchors


def crop_of(features, vector):
    """The crop that a vector of the start belongs to."""
    (found,) = np.flatnonzero((features == vector).all(1))
    return int(found)


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(0, 20),
    n_clusters=st.integers(1, 6),
    fraction=st.sampled_from([0.01, 0.3, 0.5, 0.8, 0.99]),
    momentum=st.sampled_from([0.0, 0.2]),
    b=st.integers(0, 14),
)
@settings(max_examples=120, deadline=None)
def test_equals_the_list(seed, n, n_clusters, fraction, momentum, b):
    rng = np.random.default_rng(seed)
    features, labels, anchors = drawn(rng, n, n_clusters)
    inside = np.flatnonzero(labels >= 0)
    given_ = Clustered(
        {"global": features},
        {"global": torch.from_numpy(labels)},
        {"global": torch.from_numpy(anchors)},
    )
    memory = InstanceMemory(momentum, fraction).start(
        given_, generator=torch.Generator().manual_seed(seed)
    )
    start = memory.instances().vectors["global"].numpy().copy()
    assert len(start) == max(round(fraction * len(inside)), n_clusters)
    crops = [crop_of(features.numpy(), vector) for vector in start]
    assert len(set(crops)) == len(crops)
    assert set(anchors[crops].tolist()) >= set(range(n_clusters))
    slow = SlowQueue(list(zip(crops, start, strict=True)), anchors, momentum)
    for _ in range(5):
        rows, q = rng.choice(inside, b), unit(rng, b, 4)
        batch = Batch(
            torch.from_numpy(rows), torch.zeros(b, 3, 2, 2), torch.from_numpy(labels)[rows]
        )
        memory.write({"global": q}, batch)
        slow.write(rows.tolist(), q.numpy())
        got, of = memory.instances().vectors["global"], memory.instances().labels["global"]
        table = np.column_stack([of, got])
        want = np.array([[labels[crop], *vector] for crop, vector in slow.entries])
        for rows_of in (table, want):
            rows_of[:] = rows_of[np.lexsort(rows_of.round(7).T)]
        np.testing.assert_allclose(table, want, atol=1e-9)
        np.testing.assert_allclose(memory.read()["global"], slow.means(n_clusters), atol=1e-9)


@given(
    seed=st.integers(0, 10**6), n_clusters=st.integers(1, 6), momentum=st.sampled_from([0.0, 0.2])
)
@settings(max_examples=30, deadline=None)
def test_a_queue_of_all_clustered_crops_is_the_plain_memory(seed, n_clusters, momentum):
    rng = np.random.default_rng(seed)
    features, *known = drawn(rng, 12, n_clusters)
    labels, anchors = map(torch.from_numpy, known)
    inside = torch.nonzero(labels >= 0).flatten()
    plain = AllInstances(features, labels, anchors, n_clusters=n_clusters)
    queue = InstanceQueue(
        features,
        labels,
        anchors,
        size=len(inside),
        n_clusters=n_clusters,
        generator=torch.Generator().manual_seed(seed),
    )
    for _ in range(4):
        rows = inside[torch.from_numpy(rng.permutation(len(inside))[:5])]
        q = unit(rng, len(rows), 4)
        for memory in (plain, queue):
            memory.write(rows, q, momentum=momentum)
        torch.testing.assert_close(queue.means(), plain.means())
    in_order = [rows[torch.argsort(rows[:, 0])] for rows in (queue.vectors, plain.vectors[inside])]
    torch.testing.assert_close(*in_order)


def test_the_start_is_a_random_choice():
    rng = np.random.default_rng(0)
    features, labels = unit(rng, 12, 4), torch.arange(12) % 3
    chosen = np.zeros(12, dtype=int)
    for seed in range(300):
        queue = InstanceQueue(
            features,
            labels,
            labels,
            size=6,
            n_clusters=3,
            generator=torch.Generator().manual_seed(seed),
        )
        chosen[[crop_of(features.numpy(), vector) for vector in queue.vectors.numpy()]] += 1
    assert chosen.sum() == 1800
    assert chosen.min() > 110
    assert chosen.max() < 190


def test_the_start_has_a_random_order():
    rng = np.random.default_rng(1)
    features, labels = unit(rng, 12, 4), torch.arange(12) % 3
    oldest = set()
    for seed in range(40):
        queue = InstanceQueue(
            features,
            labels,
            labels,
            size=8,
            n_clusters=3,
            generator=torch.Generator().manual_seed(seed),
        )
        oldest.add(len(set(queue.labels[:3].tolist())))
    assert oldest == {1, 2, 3}


def small(size):
    """Crops 0, 1, 2 of cluster 0 and 3, 4, 5 of cluster 1; crop i has vector e_i."""
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    return InstanceQueue(
        torch.eye(6),
        labels,
        labels,
        size=size,
        n_clusters=2,
        generator=torch.Generator().manual_seed(0),
    )


def held(queue):
    return set(queue.vectors.argmax(1).tolist())


def write(queue, *crops):
    rows = torch.tensor(crops)
    queue.write(rows, torch.eye(6)[rows], momentum=0.0)


def test_the_last_one_of_a_cluster_is_never_dropped():
    queue = small(3)
    write(queue, 3)
    write(queue, 0, 1, 2)
    assert held(queue) == {3, 1, 2}
    write(queue, 4)
    assert held(queue) == {4, 1, 2}
    write(queue, 5)
    assert held(queue) == {4, 5, 2}


def test_of_a_batch_too_large_the_end_comes_in():
    queue = small(3)
    write(queue, 3, 4, 0, 5, 1, 2)
    assert held(queue) == {5, 1, 2}
    write(queue, 0, 2, 1, 5, 4, 3)
    assert held(queue) == {1, 4, 3}


def test_what_is_written_again_is_new_again():
    queue = small(4)
    write(queue, 0, 1, 3, 4)
    write(queue, 0)
    write(queue, 2)
    assert held(queue) == {0, 2, 3, 4}


@pytest.mark.parametrize("size", [2, 3, 6])
def test_an_empty_write_changes_nothing(size):
    queue = small(size)
    before = queue.vectors.clone()
    queue.write(torch.zeros(0, dtype=torch.long), torch.zeros(0, 6), momentum=0.2)
    assert torch.equal(queue.vectors, before)
