"""Positives of a batch and of a memory against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from resight.losses import mined_positives, positives_in_batch


def unit(rng, *shape):
    return F.normalize(torch.from_numpy(rng.normal(size=shape)), dim=-1)


@given(seed=st.integers(0, 10**6), b=st.integers(0, 30), n_labels=st.integers(1, 8))
@settings(max_examples=80, deadline=None)
def test_each_label_is_a_ring_turned_by_one_number(seed, b, n_labels):
    labels = np.random.default_rng(seed).integers(-1, n_labels, b) * 7
    positives = positives_in_batch(
        torch.from_numpy(labels), generator=torch.Generator().manual_seed(seed)
    ).numpy()
    assert positives.shape == (b,)
    for k in set(labels.tolist()):
        ring = np.flatnonzero(labels == k).tolist()
        ahead = {(ring.index(positives[i]) - ring.index(i)) % len(ring) for i in ring}
        assert len(ahead) == 1
        assert ahead == {0} if len(ring) == 1 else 0 not in ahead


def test_all_others_are_drawn_equally_often_and_labels_for_themselves():
    labels = torch.tensor([3, 0, 3, 0, 3, 0, 3, 0])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([positives_in_batch(labels, generator=generator) for _ in range(900)])
    for i in range(8):
        found = np.bincount(drawn[:, i], minlength=8)
        others = [j for j in range(8) if j != i and labels[j] == labels[i]]
        assert found[others].min() > 240
        assert found[others].sum() == 900
    pairs = {(int(row[0]), int(row[1])) for row in drawn}
    assert pairs == {(i, j) for i in (2, 4, 6) for j in (3, 5, 7)}


def test_the_generator_alone_decides():
    labels = torch.arange(40) % 5
    first, again, other = (
        positives_in_batch(labels, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def mined_one_by_one(q, labels, vectors, of):
    found = []
    for query, label in zip(q, labels.tolist(), strict=True):
        own = [j for j in range(len(vectors)) if of[j] == label and label != -1]
        found.append(min(own, key=lambda j, x=query: float(x @ vectors[j]), default=-1))
    return found


@given(
    seed=st.integers(0, 10**6),
    b=st.integers(0, 9),
    m=st.integers(1, 30),
    n_labels=st.integers(1, 6),
)
@settings(max_examples=80, deadline=None)
def test_mined_equals_the_loop(seed, b, m, n_labels):
    rng = np.random.default_rng(seed)
    q, vectors = unit(rng, b, 4), unit(rng, m, 4)
    labels, of = (torch.from_numpy(rng.integers(-1, n_labels, size)) for size in (b, m))
    got = mined_positives(q.requires_grad_(), labels, vectors, of)
    assert got.dtype == torch.int64
    assert got.tolist() == mined_one_by_one(q.detach(), labels, vectors, of)


def test_the_first_of_equals_is_mined():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, -1.0]])
    of, labels = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0])
    q = torch.tensor([[1.0, 0.0], [0.6, -0.8]])
    assert mined_positives(q, labels, vectors, of).tolist() == [1, 1]


class Widest(TorchDispatchMode):
    """Notes the size of the largest floating-point tensor that any operation returns."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and found.is_floating_point():
            self.largest = max(self.largest, found.numel())
        return found


def test_only_the_clusters_of_the_batch_are_compared():
    rng = np.random.default_rng(1)
    q, vectors, of = unit(rng, 6, 8), unit(rng, 400, 8), torch.arange(400) // 4
    with Widest() as widest:
        mined_positives(q, torch.tensor([5, 5, 9, 9, 9, 5]), vectors, of)
    assert widest.largest == 8 * 8


@pytest.mark.parametrize("labels", [[-1, -1], []])
def test_without_clusters_nothing_is_mined(labels):
    labels = torch.tensor(labels, dtype=torch.long)
    got = mined_positives(torch.ones(len(labels), 2), labels, torch.eye(2), torch.tensor([0, -1]))
    assert got.tolist() == labels.tolist()
