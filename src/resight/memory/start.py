"""The first vector of every cluster, from the features of its members."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def mean_of_members(
    features: Tensor, labels: Tensor, *, generator: torch.Generator | None = None
) -> Tensor:
    """The normalised mean of each cluster's members (released code of Cluster Contrast).

    features: (N, D). labels: (N,) int64 0 … C-1, -1 for outliers, who take no part.
    Returns (C, D), rows of length 1. `generator` is not needed; every start takes one.
    """
    del generator
    inside = labels >= 0
    return F.normalize(_sums(features[inside], labels[inside]))


def random_member(
    features: Tensor, labels: Tensor, *, generator: torch.Generator | None = None
) -> Tensor:
    """One member of each cluster, uniformly (Cluster Contrast, Eq. 1).

    Shapes as in `mean_of_members`; `generator` lives on the CPU.
    """
    rows = torch.nonzero(labels >= 0).flatten()
    shuffled = rows[torch.randperm(len(rows), generator=generator).to(rows.device)]
    chosen = torch.empty(_count(labels), dtype=torch.long, device=rows.device)
    order = torch.argsort(labels[shuffled], stable=True)
    members = shuffled[order]
    first = torch.searchsorted(
        labels[members].contiguous(), torch.arange(len(chosen), device=rows.device)
    )
    return F.normalize(features[members[first]])


def _count(labels: Tensor) -> int:
    return int(labels.max()) + 1 if len(labels) else 0


def _sums(features: Tensor, labels: Tensor) -> Tensor:
    sums = features.new_zeros(_count(labels), features.shape[1])
    return sums.index_add_(0, labels, features)
