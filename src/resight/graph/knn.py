"""Exact nearest neighbours by cosine similarity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from resight.errors import DataError
from resight.graph.rows import Indices, Values
from resight.records import FloatArray

NORM_TOLERANCE = 1e-2
BLOCK = 2048
SHOWN = 5


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest of each of N samples, itself first.

    indices: (N, k) int32. similarities: (N, k) float32 cosines, descending, 1 in the first column.
    """

    indices: Indices
    similarities: Values

    def __post_init__(self) -> None:
        n = len(self.indices)
        if self.indices.ndim != 2 or self.indices.shape != self.similarities.shape:
            raise ValueError(
                f"indices and similarities have shapes {self.indices.shape} and "
                f"{self.similarities.shape}, expected one (N, k)"
            )
        if n and not np.array_equal(self.indices[:, 0], np.arange(n)):
            raise ValueError("the first column of indices must be each sample itself, 0 … N-1")

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def k(self) -> int:
        """How many neighbours each sample has, itself included."""
        return int(self.indices.shape[1])


def neighbours(features: FloatArray | torch.Tensor, k: int) -> Neighbours:
    """The k nearest samples of each, by cosine similarity, exactly.

    features: (N, D) float32, L2-normalised; a tensor is searched on the device it lies on.
    k: clipped to N. Every sample is its own first neighbour, also among duplicates; equal
    similarities are in the order of the index. Memory: N x k results and some blocks of
    2048 x 2048 similarities.

    Raises DataError on rows with NaN or infinity, ValueError on rows that are not normalised.
    """
    table = torch.as_tensor(features).detach()
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")
    check_normalised(table)
    if not len(table):
        return Neighbours(np.empty((0, 0), np.int32), np.empty((0, 0), np.float32))
    indices, similarities = _search(table, min(k, len(table)))
    return Neighbours(indices.cpu().numpy().astype(np.int32), similarities.cpu().numpy())


def check_normalised(features: torch.Tensor) -> None:
    """Raise unless features are (N, D) float32 with finite rows of length 1."""
    if features.ndim != 2 or features.dtype != torch.float32:
        raise ValueError(
            f"features are {tuple(features.shape)} {features.dtype}, expected (N, D) float32"
        )
    lengths = torch.linalg.vector_norm(features, dim=1)
    broken = torch.nonzero(~torch.isfinite(lengths)).flatten().tolist()
    if broken:
        raise DataError(
            f"{len(broken)} of {len(features)} feature rows hold NaN or infinity "
            f"({_listed(broken)}): look at these crops, or at the encoder if all are broken"
        )
    loose = torch.nonzero((lengths - 1).abs() > NORM_TOLERANCE).flatten().tolist()
    if loose:
        raise ValueError(
            f"{len(loose)} of {len(features)} feature rows are not L2-normalised "
            f"({_listed(loose)}; the first has length {lengths[loose[0]]:.3g}): normalise them"
        )


def _listed(rows: list[int]) -> str:
    return "rows " + ", ".join(map(str, rows[:SHOWN])) + (", …" if len(rows) > SHOWN else "")


def _search(
    features: torch.Tensor, k: int, block: int = BLOCK
) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, k) indices and similarities; each block of similarities serves its rows and columns.

    One more neighbour than wanted is kept: where it ties with the last one, the row is done again.
    """
    n = len(features)
    kept = min(k + 1, n)
    values = features.new_full((n, kept), -torch.inf)
    indices = torch.zeros((n, kept), dtype=torch.int64, device=features.device)
    for top in range(0, n, block):
        for left in range(top, n, block):
            similar = features[top : top + block] @ features[left : left + block].T  # (B, B)
            if top == left:
                similar.fill_diagonal_(torch.inf)
            else:
                _merge(values, indices, left, similar.T.contiguous(), top)
            _merge(values, indices, top, similar, left)
    if k < n:
        tied = torch.nonzero(values[:, k - 1] == values[:, k]).flatten()
        values, indices = values[:, :k], indices[:, :k]
        for rows in torch.split(tied, max(1, block * block // n)):
            indices[rows], values[rows] = _first_among_ties(features, rows, k)
    return _in_order(indices, values)


def _merge(
    values: torch.Tensor, indices: torch.Tensor, first: int, similar: torch.Tensor, offset: int
) -> None:
    """Let the samples offset, offset + 1 … compete for the lists of the rows from `first` on."""
    rows = slice(first, first + len(similar))
    kept = values.shape[1]
    found, where = similar.topk(min(kept, similar.shape[1]))
    candidates = torch.cat((indices[rows], where + offset), dim=1)
    values[rows], order = torch.cat((values[rows], found), dim=1).topk(kept)
    indices[rows] = candidates.gather(1, order)


def _first_among_ties(
    features: torch.Tensor, rows: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k nearest of these rows; of those that tie for the last place, the lowest indices."""
    n = len(features)
    similar = features[rows] @ features.T  # (T, N)
    similar[torch.arange(len(rows), device=rows.device), rows] = torch.inf
    last = similar.topk(k).values[:, -1:]  # (T, 1)
    order = torch.arange(n, 0, -1, dtype=torch.int32, device=rows.device)
    indices = ((similar == last) * order + (similar > last) * (2 * n)).topk(k).indices
    return indices, similar.gather(1, indices)


def _in_order(indices: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each row by (similarity descending, index ascending); the sample itself counts 1."""
    indices, order = indices.sort(dim=1)
    values, descending = values.gather(1, order).sort(dim=1, descending=True, stable=True)
    values[:, 0] = 1
    return indices.gather(1, descending), values
