"""Camera information entropy: identities that many cameras saw count more (3C, Eq. 13-16)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from resight.records import Crops, Step


def camera_entropy(labels: Tensor, cameras: Tensor, *, base: float = 2) -> Tensor:
    """The entropy of the cameras among the members of each identity (Eq. 13-14).

    labels, cameras: (B,) int64. base: of the logarithm, above 1: 2 in the released code, e in
    the paper. Returns (P,) float32 for the P distinct labels in ascending order, each between 0
    (one camera) and log(number of cameras). Raises ValueError for another base.
    """
    _check_base(base)
    return _entropies(labels, cameras, base)[0]


def camera_entropy_weights(labels: Tensor, cameras: Tensor, *, base: float = 2) -> Tensor:
    """How much each sample counts: P softmax(entropies) at its identity (Eq. 15-16).

    Arguments as in `camera_entropy`, of one batch of P identities. Returns (B,) float32 above 0;
    their mean over the identities is 1, and so over the samples when identities are equally large.
    """
    _check_base(base)
    entropies, member = _entropies(labels, cameras, base)
    return (torch.softmax(entropies, dim=0) * len(entropies))[member]


def _check_base(base: float) -> None:
    if not base > 1:
        raise ValueError(f"base={base} of the entropy should be above 1")


def _entropies(labels: Tensor, cameras: Tensor, base: float) -> tuple[Tensor, Tensor]:
    """Entropies (P,), and the one that each sample belongs to (B,)."""
    _, member, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    pairs, counts = torch.unique(torch.stack([member, cameras]), dim=1, return_counts=True)
    share = counts / sizes[pairs[0]]
    terms = -share * share.log() / math.log(base)
    return terms.new_zeros(len(sizes)).index_add_(0, pairs[0], terms), member


@dataclass(frozen=True)
class CameraEntropy:
    """Samples of identities seen by many cameras count more; base of the logarithm, above 1."""

    base: float = 2.0

    def __post_init__(self) -> None:
        _check_base(self.base)

    def unmet(self, crops: Crops) -> list[str]:
        """What the crops lack."""
        return ["CameraEntropy needs crops with cameras"] if crops.cameras is None else []

    def weigh(self, step: Step) -> Tensor:
        """Weights of the batch."""
        if step.batch.cameras is None:
            raise ValueError("the batch carries no cameras, which CameraEntropy weighs by")
        return camera_entropy_weights(step.batch.labels, step.batch.cameras, base=self.base)
