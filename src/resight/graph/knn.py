"""Nearest neighbours by cosine similarity."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from resight.device import multiplies_bf16
from resight.errors import DataError
from resight.graph import search_cpu, search_device, search_lists
from resight.graph.costs import Memory, announce, product_speed
from resight.graph.rows import Indices, Values
from resight.records import FloatArray, IntArray

NORM_TOLERANCE = 1e-2
EXACT_LIMIT = 200_000
RECALL = 0.953
SHARE_VISITED = 0.1
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


def neighbours(
    features: FloatArray | torch.Tensor,
    k: int,
    *,
    device: str | torch.device | None = None,
    exact: bool | None = None,
    exact_limit: int = EXACT_LIMIT,
    cameras: IntArray | None = None,
    memory: int | None = None,
) -> Neighbours:
    """The k nearest samples of each, by cosine similarity.

    features: (N, D) floating point, L2-normalised.
    k: clipped to N. Every sample is its own first neighbour, also among duplicates; equal
        similarities are in the order of the index.
    device: where to search; by default where a tensor lies, and the CPU for arrays.
    exact: True for the true neighbours, False for nearly all of them (see `search_lists`; on the
        CPU), None for the true ones of at most `exact_limit` samples.
    cameras: (N,) int64; with them the k neighbours are spread evenly over the cameras (see
        `search_cpu.search_balanced`), always exactly and on the CPU.
    memory: bytes that may be used besides the features; None for no limit. Blocks are chosen to
        keep it.

    Similarities are float32, also where candidates come from bfloat16 products. Raises DataError on
    rows with NaN or infinity, ValueError on rows that are not normalised, CostError when `memory`
    is too little.
    """
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")
    table = as_features(features)
    n = len(table)
    if not n:
        return Neighbours(np.empty((0, 0), np.int32), np.empty((0, 0), np.float32))
    k, limit = min(k, n), Memory(memory)
    if cameras is not None:
        return Neighbours(*_balanced(table.cpu(), k, cameras, limit))
    if exact is False or (exact is None and n > exact_limit):
        return Neighbours(*_approximate(table, k, limit))
    place = table.device if device is None else torch.device(device)
    if place.type != "cpu":
        indices, values = search_device.search(table.to(place), k)
        return Neighbours(indices.cpu().numpy().astype(np.int32), values.cpu().numpy())
    return Neighbours(*_exact(table.cpu(), k, limit))


def as_features(features: FloatArray | torch.Tensor) -> torch.Tensor:
    """(N, D) float32, contiguous, with finite rows of length 1; raises as `neighbours` says."""
    table = _tensor(features)
    if table.ndim != 2 or not table.is_floating_point():
        raise ValueError(
            f"features are {tuple(table.shape)} {table.dtype}, expected (N, D) floating point"
        )
    table = table.float().contiguous()
    lengths = torch.linalg.vector_norm(table, dim=1)
    broken = torch.nonzero(~torch.isfinite(lengths)).flatten().tolist()
    if broken:
        raise DataError(
            f"{len(broken)} of {len(table)} feature rows hold NaN or infinity "
            f"({_listed(broken)}): look at these crops, or at the encoder if all are broken"
        )
    loose = torch.nonzero((lengths - 1).abs() > NORM_TOLERANCE).flatten().tolist()
    if loose:
        raise ValueError(
            f"{len(loose)} of {len(table)} feature rows are not L2-normalised "
            f"({_listed(loose)}; the first has length {lengths[loose[0]]:.3g}): normalise them"
        )
    return table


def _tensor(features: FloatArray | torch.Tensor) -> torch.Tensor:
    """PyTorch warns of arrays that it could not write to; these are only read."""
    if isinstance(features, torch.Tensor):
        return features.detach()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.ascontiguousarray(features))


def _listed(rows: list[int]) -> str:
    return "rows " + ", ".join(map(str, rows[:SHOWN])) + (", …" if len(rows) > SHOWN else "")


def _exact(table: torch.Tensor, k: int, memory: Memory) -> tuple[Indices, Values]:
    n, dim = table.shape
    results = n * (k + 1) * 24
    block = memory.block(results, 8, largest=search_cpu.BLOCK)
    rounded = multiplies_bf16() and (memory.limit is None or results + 2 * n * dim < memory.limit)
    memory.check(
        f"searching {k} neighbours of {n} samples",
        results + 8 * block * block,
        advice="give more, or a smaller k",
    )
    announce(f"neighbours of {n} samples", n * n * dim / 2 / product_speed(table), results)
    return search_cpu.search(table.numpy(), k, block=block, bf16=rounded)


def _balanced(
    table: torch.Tensor, k: int, cameras: IntArray, memory: Memory
) -> tuple[Indices, Values]:
    n, dim = table.shape
    if cameras.shape != (n,):
        raise ValueError(f"cameras have shape {cameras.shape}, expected ({n},)")
    results = n * k * 16
    block = memory.block(results, 8, largest=search_cpu.BLOCK)
    memory.check(
        f"searching {k} neighbours of {n} samples",
        results + 8 * block * block,
        advice="give more, or a smaller k",
    )
    announce(f"neighbours of {n} samples", n * n * dim / product_speed(table), results)
    return search_cpu.search_balanced(table.numpy(), k, cameras, block=block)


def _approximate(table: torch.Tensor, k: int, memory: Memory) -> tuple[Indices, Values]:
    n, dim = table.shape
    needed = n * dim * 2 + n * k * 40
    memory.check(
        f"searching {k} neighbours of {n} samples approximately",
        needed,
        advice="give more, or a smaller k",
    )
    visited = n * n * SHARE_VISITED
    announce(f"neighbours of {n} samples", visited * dim / product_speed(table), needed)
    return search_lists.search(table.cpu().numpy(), k, recall=RECALL, bf16=multiplies_bf16())
