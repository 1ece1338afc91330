"""Positives: which other crop of its pseudo-identity a query is compared with (ACFL, Alg. 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from resight.losses.similarity import similarities
from resight.records import OUTLIER


def positives_in_batch(labels: Tensor, *, generator: torch.Generator) -> Tensor:
    """Another entry of the same label for each entry of a batch, at random.

    The entries of a label form a ring in batch order, and all of them take the one that lies the
    same number of places ahead: 1 … K-1 for K entries, uniformly, each label for itself. So each
    entry is the positive of exactly one. An entry alone is its own.

    labels: (B,) int64; entries of label -1 form a ring as well. generator: on the CPU. Returns
    (B,) int64 entries.
    """
    order = torch.argsort(labels, stable=True)
    by_label = labels[order]
    first = torch.searchsorted(by_label, by_label)
    size = torch.searchsorted(by_label, by_label, right=True) - first
    drawn = torch.rand(len(labels), generator=generator).to(labels.device)[first]
    ahead = 1 + (drawn * (size - 1)).long()
    place = torch.arange(len(labels), device=labels.device) - first
    positives = torch.empty_like(labels)
    positives[order] = order[first + (place + ahead) % size]
    return positives


@torch.no_grad()
def mined_positives(q: Tensor, labels: Tensor, vectors: Tensor, vector_labels: Tensor) -> Tensor:
    """The instance of its cluster that is least similar to each query (ACFL, Table 4, "Mining").

    q: (B, D). labels: (B,) int64. vectors: (M, D) the instances of a memory, vector_labels: (M,)
    their labels, -1 for instances that nobody's positive may be. Returns (B,) int64 instances, the
    first of equals; -1 for a query with label -1 or whose cluster has no instance. Only instances
    of the clusters in the batch are compared.
    """
    asked = torch.isin(vector_labels, labels) & (vector_labels != OUTLIER)
    rows = torch.nonzero(asked).flatten()
    if len(rows) == 0:
        return torch.full_like(labels, OUTLIER)
    other = labels[:, None] != vector_labels[rows]  # (B, instances of the batch's clusters)
    scores = similarities(q, vectors[rows]).masked_fill_(other, torch.inf)
    least, where = scores.min(dim=1)
    return rows[where].masked_fill_(least == torch.inf, OUTLIER)
