"""Update policies of a cluster memory (Cluster Contrast, Eq. 2 and Table 6; 3C, Eq. 17-21).

Each policy moves the vector of every cluster that has members in the batch,
c_k <- normalise(m c_k + (1 - m) q), where m (`momentum`) is the weight of the OLD vector and q
what the policy makes of the members. All take

    memory (C, D), q (B, D), labels (B,) int64 0 … C-1, momentum 0 … 1,
    cameras (B,) int64 (needed by `tccl` and `chd`), generator on the CPU (used by `random`),

with rows of memory and q of length 1, and return a new memory (C, D), the other rows unchanged.
`move` does the same to the memory itself. ValueError is raised where cameras are needed and
missing.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from resight.memory.moves import MOVES, Given

Policy = Literal["vanilla", "average", "random", "easy", "hard", "tccl", "chd"]
NEED_CAMERAS: tuple[Policy, ...] = ("tccl", "chd")


def move(
    policy: Policy,
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Update the memory in place, which saves copying it; returns it."""
    moved = MOVES[policy](Given(memory, q, labels, momentum, cameras, generator))
    return memory.index_copy_(0, *moved)


def vanilla(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Every member in turn, in batch order, normalising after each (the released default)."""
    return _moved_copy("vanilla", Given(memory, q, labels, momentum, cameras, generator))


def average(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The mean of the members."""
    return _moved_copy("average", Given(memory, q, labels, momentum, cameras, generator))


def random(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One member, uniformly."""
    return _moved_copy("random", Given(memory, q, labels, momentum, cameras, generator))


def easy(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The member most similar to the cluster's vector; the first in the batch on ties."""
    return _moved_copy("easy", Given(memory, q, labels, momentum, cameras, generator))


def hard(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The member least similar to the cluster's vector (Eq. 2); the first in the batch on ties."""
    return _moved_copy("hard", Given(memory, q, labels, momentum, cameras, generator))


def tccl(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The camera centre least similar to the cluster's vector (CCL; 3C's Table 2).

    A camera centre is the normalised mean of the cluster's members of one camera in the batch
    (3C, Eq. 18). On ties the lowest camera.
    """
    return _moved_copy("tccl", Given(memory, q, labels, momentum, cameras, generator))


def chd(
    memory: Tensor,
    q: Tensor,
    labels: Tensor,
    *,
    momentum: float,
    cameras: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The member with the largest confidence integrated harmonic discrepancy (3C, Eq. 17-21).

    That is the harmonic mean of the cosine distance to the cluster's vector and the similarity to
    the member's own camera centre, both scaled to 0 … 1; the first in the batch on ties.
    """
    return _moved_copy("chd", Given(memory, q, labels, momentum, cameras, generator))


def _moved_copy(policy: Policy, given: Given) -> Tensor:
    return given.memory.index_copy(0, *MOVES[policy](given))
