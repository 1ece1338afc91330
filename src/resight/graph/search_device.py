"""Exact nearest neighbours on an accelerator: blocks of products, and PyTorch's selection."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 4096


def search(features: Tensor, k: int, *, block: int = BLOCK) -> tuple[Tensor, Tensor]:
    """(N, k) indices int64 and cosines float32 of the k nearest, each sample itself first.

    features: (N, D) float32 on any device, L2-normalised; 1 <= k <= N. Equal cosines are in the
    order of the index: one more neighbour than wanted is kept, and where it ties with the last
    one, the row is done again.
    """
    n = len(features)
    parts = [
        _nearest(features, start, min(start + block, n), k, block) for start in range(0, n, block)
    ]
    return torch.cat([indices for indices, _ in parts]), torch.cat([values for _, values in parts])


def _nearest(features: Tensor, start: int, stop: int, k: int, block: int) -> tuple[Tensor, Tensor]:
    """Of the rows start … stop - 1."""
    n, rows = len(features), torch.arange(start, stop, device=features.device)
    kept = min(k + 1, n)
    values = features.new_full((len(rows), 0), 0)
    indices = rows.new_full((len(rows), 0), 0)
    for left in range(0, n, block):
        similar = features[start:stop] @ features[left : left + block].T  # (B, B)
        if left == start:
            similar.fill_diagonal_(torch.inf)
        found, where = similar.topk(min(kept, similar.shape[1]))
        values = torch.cat((values, found), dim=1)
        indices = torch.cat((indices, where + left), dim=1)
        values, order = values.topk(min(kept, values.shape[1]))
        indices = indices.gather(1, order)
    if k < n:
        tied = torch.nonzero(values[:, k - 1] == values[:, k]).flatten()
        values, indices = values[:, :k], indices[:, :k]
        for some in torch.split(tied, max(1, block * block // n)):
            indices[some], values[some] = _first_among_ties(features, rows[some], k)
    return _in_order(indices, values)


def _first_among_ties(features: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of these rows; of those that tie for the last place, the lowest indices."""
    n = len(features)
    similar = features[rows] @ features.T  # (T, N)
    similar[torch.arange(len(rows), device=rows.device), rows] = torch.inf
    last = similar.topk(k).values[:, -1:]  # (T, 1)
    order = torch.arange(n, 0, -1, dtype=torch.int32, device=rows.device)
    indices = ((similar == last) * order + (similar > last) * (2 * n)).topk(k).indices
    return indices, similar.gather(1, indices)


def _in_order(indices: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Each row by (similarity descending, index ascending); the sample itself counts 1."""
    indices, order = indices.sort(dim=1)
    values, descending = values.gather(1, order).sort(dim=1, descending=True, stable=True)
    values[:, 0] = 1
    return indices.gather(1, descending), values
