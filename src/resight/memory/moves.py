"""How each update policy moves the vectors of the clusters in a batch, vectorised.

c_k <- normalise(m c_k + (1 - m) q), where m is the weight of the OLD vector and q what the policy
makes of the batch's members of k. `resight.memory.update` documents the policies one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Given(NamedTuple):
    """What a policy is handed; shapes as in `resight.memory.update`."""

    memory: Tensor
    q: Tensor
    labels: Tensor
    momentum: float
    cameras: Tensor | None
    generator: torch.Generator | None


class Moved(NamedTuple):
    """The clusters that a policy moves (K,), each once, and their new vectors (K, D)."""

    clusters: Tensor
    rows: Tensor


def _vanilla(given: Given) -> Moved:
    """Turn j moves all clusters at once by their j-th member.

    So the number of turns is the size of the largest cluster in the batch, not of the batch.
    """
    clusters, order, turns = _by_turn(given.labels)
    rows = given.memory[clusters]
    for members in torch.split(given.q[order], turns):
        moved = rows[: len(members)]
        torch.lerp(members, moved, given.momentum, out=moved)
        F.normalize(moved, out=moved)
    return Moved(clusters, rows)


def _average(given: Given) -> Moved:
    q = given.q
    clusters, group, counts = torch.unique(given.labels, return_inverse=True, return_counts=True)
    sums = q.new_zeros(len(clusters), q.shape[1]).index_add_(0, group, q)
    return _towards(given, clusters, sums / counts[:, None])


def _random(given: Given) -> Moved:
    key = torch.rand(len(given.q), generator=given.generator).to(given.q.device)
    return _towards_first(given, key)


def _easy(given: Given) -> Moved:
    return _towards_first(given, -_own_similarity(given))


def _hard(given: Given) -> Moved:
    return _towards_first(given, _own_similarity(given))


def _tccl(given: Given) -> Moved:
    centres, owners, _ = _camera_centres(given, "tccl")
    similarity = _similarity(centres, given.memory, owners)
    chosen = _first_of_each(owners, similarity)
    return _towards(given, owners[chosen], centres[chosen])


def _chd(given: Given) -> Moved:
    """The largest harmonic mean has the smallest sum of reciprocals; scales do not matter."""
    centres, _, place = _camera_centres(given, "chd")
    discrepancy = (1 - _own_similarity(given)).clamp_min(0)
    confidence = (1 + _similarity(given.q, centres, place)).clamp_min(0)
    return _towards_first(given, discrepancy.reciprocal() + confidence.reciprocal())


MOVES: dict[str, Callable[[Given], Moved]] = {
    "vanilla": _vanilla,
    "average": _average,
    "random": _random,
    "easy": _easy,
    "hard": _hard,
    "tccl": _tccl,
    "chd": _chd,
}


def _towards(given: Given, clusters: Tensor, q: Tensor) -> Moved:
    return Moved(clusters, F.normalize(torch.lerp(q, given.memory[clusters], given.momentum)))


def _towards_first(given: Given, key: Tensor) -> Moved:
    """Each cluster moves to its member with the smallest key, the earliest one on ties."""
    chosen = _first_of_each(given.labels, key)
    return _towards(given, given.labels[chosen], given.q[chosen])


def _own_similarity(given: Given) -> Tensor:
    return _similarity(given.q, given.memory, given.labels)


def _similarity(q: Tensor, others: Tensor, rows: Tensor) -> Tensor:
    """(B,) of each q (B, D) with its row of the others (M, D)."""
    return (q * others.index_select(0, rows)).sum(dim=1)


def _camera_centres(given: Given, policy: str) -> tuple[Tensor, Tensor, Tensor]:
    """The normalised mean of each cluster's members of each camera (Eq. 18).

    Returns the centres (G, D) by cluster, then camera; their clusters (G,); and the centre that
    each batch entry belongs to (B,).
    """
    q, labels, cameras = given.q, given.labels, given.cameras
    if cameras is None or cameras.shape != labels.shape:
        found = None if cameras is None else tuple(cameras.shape)
        raise ValueError(
            f"{policy} compares camera centres: cameras should be ({len(labels)},), got {found}"
        )
    pairs, place = torch.unique(torch.stack([labels, cameras]), dim=1, return_inverse=True)
    sums = q.new_zeros(pairs.shape[1], q.shape[1]).index_add_(0, place, q)
    return F.normalize(sums), pairs[0], place


def _first_of_each(labels: Tensor, key: Tensor) -> Tensor:
    """(K,) where each label has its smallest key, the earliest entry on ties; labels ascend."""
    by_key = torch.argsort(key, stable=True)
    order = by_key[torch.argsort(labels[by_key], stable=True)]
    sorted_labels = labels[order]
    is_first = torch.ones_like(sorted_labels, dtype=torch.bool)
    is_first[1:] = sorted_labels[1:] != sorted_labels[:-1]
    return order[is_first]


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
