"""Update policies of a cluster memory (Cluster Contrast, Eq. 2 and Table 6), vectorised.

Each policy moves the vector of every cluster that has members in the batch,
c_k <- normalise(m c_k + (1 - m) q), where m (`momentum`) is the weight of the OLD vector and q
what the policy makes of the members. All take memory (C, D), q (B, D) and labels (B,) int64 in
0 … C-1, and return the memory with the other rows unchanged: a new (C, D), or with `inplace`
the one given, which saves copying it.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class UpdatePolicy(Protocol):
    """The signature that all policies share; `generator` (on the CPU) is used by `random`."""

    def __call__(
        self,
        memory: Tensor,
        q: Tensor,
        labels: Tensor,
        *,
        momentum: float,
        cameras: Tensor | None = None,
        generator: torch.Generator | None = None,
        inplace: bool = False,
    ) -> Tensor:
        """Return the updated memory."""
        ...


def vanilla(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
    inplace: bool = False,
) -> Tensor:
    """Every member in turn, in batch order, normalising after each (the released default).

    Turn j moves all clusters at once by their j-th member, so that the number of turns is the
    size of the largest cluster in the batch, not of the batch.
    """
    del cameras, generator
    clusters, order, turns = _by_turn(labels)
    rows = memory[clusters]
    for members in torch.split(q[order], turns):
        moved = rows[: len(members)]
        torch.lerp(members, moved, momentum, out=moved)
        F.normalize(moved, out=moved)
    return _replace(memory, clusters, rows, inplace)


def average(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
    inplace: bool = False,
) -> Tensor:
    """The mean of the members."""
    del cameras, generator
    clusters, group, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = q.new_zeros(len(clusters), q.shape[1]).index_add_(0, group, q)
    moved = _move(memory[clusters], sums / counts[:, None], momentum)
    return _replace(memory, clusters, moved, inplace)


def random(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
    inplace: bool = False,
) -> Tensor:
    """One member, uniformly."""
    del cameras
    key = torch.rand(len(q), generator=generator).to(q.device)
    return _move_to_first(memory, q, labels, key, momentum, inplace)


def easy(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
    inplace: bool = False,
) -> Tensor:
    """The member most similar to the cluster's vector; the first in the batch on ties."""
    del cameras, generator
    return _move_to_first(memory, q, labels, -_own_similarity(memory, q, labels), momentum, inplace)


def hard(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
    inplace: bool = False,
) -> Tensor:
    """The member least similar to the cluster's vector (Eq. 2); the first in the batch on ties."""
    del cameras, generator
    return _move_to_first(memory, q, labels, _own_similarity(memory, q, labels), momentum, inplace)


POLICIES: dict[str, UpdatePolicy] = {
    "vanilla": vanilla,
    "average": average,
    "random": random,
    "easy": easy,
    "hard": hard,
}


def _move(rows: Tensor, q: Tensor, momentum: float) -> Tensor:
    return F.normalize(torch.lerp(q, rows, momentum))


def _replace(memory: Tensor, clusters: Tensor, rows: Tensor, inplace: bool) -> Tensor:
    target = memory if inplace else memory.clone()
    return target.index_copy_(0, clusters, rows)


def _own_similarity(memory: Tensor, q: Tensor, labels: Tensor) -> Tensor:
    return torch.einsum("bd,bd->b", q, memory[labels])


def _move_to_first(
    memory: Tensor, q: Tensor, labels: Tensor, key: Tensor, momentum: float, inplace: bool
) -> Tensor:
    """Each cluster moves to its member with the smallest key, the earliest one on ties."""
    by_key = torch.argsort(key, stable=True)
    order = by_key[torch.argsort(labels[by_key], stable=True)]
    sorted_labels = labels[order]
    is_first = torch.ones_like(sorted_labels, dtype=torch.bool)
    is_first[1:] = sorted_labels[1:] != sorted_labels[:-1]
    chosen = order[is_first]
    clusters = labels[chosen]
    return _replace(memory, clusters, _move(memory[clusters], q[chosen], momentum), inplace)


def _turn(group: Tensor) -> Tensor:
    """(B,) how many earlier batch entries belong to the same group."""
    order = torch.argsort(group, stable=True)
    counts = torch.bincount(group)
    starts = torch.cumsum(counts, 0) - counts
    turn = torch.empty_like(group)
    turn[order] = torch.arange(len(group), device=group.device) - starts[group[order]]
    return turn


def _by_turn(labels: Tensor) -> tuple[Tensor, Tensor, list[int]]:
    """The batch in turns, the j-th members of all clusters being turn j.

    Returns the clusters (K,), the largest first; the batch entries (B,) turn by turn, and within
    a turn in the order of the clusters; and how many of the clusters take part in each turn,
    always the first ones. Turns are then slices, read off with one device synchronisation.
    """
    clusters, group, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    by_size = torch.argsort(counts, descending=True, stable=True)
    place = torch.argsort(by_size)
    turn = _turn(group)
    order = torch.argsort(turn * len(clusters) + place[group])
    return clusters[by_size], order, torch.bincount(turn).tolist()
