"""Sparse rows as the kernels see them, and the one way in which kernels run over rows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numba
import numpy as np
import numpy.typing as npt
import torch

from resight.records import IntArray

Indices = npt.NDArray[np.int32]
Pointers = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]
Result = TypeVar("Result")

BLOCK = 256
MOST_BLOCKS = 512


class Rows(NamedTuple):
    """A sparse matrix by rows (CSR) with fixed types, so that each kernel is compiled once.

    indptr: (N + 1,) int64. indices: (nnz,) int32 columns. data: (nnz,) float32.
    """

    indptr: Pointers
    indices: Indices
    data: Values

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.indptr) - 1


def over_rows(n: int, kernel: Callable[[int, int], Result], *, least: int = BLOCK) -> list[Result]:
    """Run `kernel(start, stop)` on blocks of rows, and return the results in their order.

    The kernels release the interpreter's lock; blocks do not depend on the number of threads
    (PyTorch's setting), so neither do results. Plain threads share nothing with the thread pools
    of OpenMP, and survive a fork. least: rows of a block at least.
    """
    block = max(least, n // MOST_BLOCKS)
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        return list(
            pool.map(lambda start: kernel(start, min(start + block, n)), range(0, n, block))
        )


def stack(blocks: list[Rows]) -> Rows:
    """Join blocks of consecutive rows."""
    counts = [np.diff(block.indptr) for block in blocks]
    indptr = np.zeros(1 + sum(map(len, counts)), np.int64)
    if blocks:
        np.cumsum(np.concatenate(counts), out=indptr[1:])
    empty = (np.empty(0, np.int32), np.empty(0, np.float32))
    indices = np.concatenate([block.indices for block in blocks] or [empty[0]])
    return Rows(indptr, indices, np.concatenate([block.data for block in blocks] or [empty[1]]))


def transpose(rows: Rows, n_columns: int | None = None) -> Rows:
    """The transpose of a square matrix, or of one with `n_columns`.

    Its rows are sorted, whether or not these are.
    """
    return Rows(*_transpose(*rows, rows.n_rows if n_columns is None else n_columns))


def take(rows: Rows, which: IntArray) -> Rows:
    """These rows, in this order."""
    starts = rows.indptr[which]
    counts = rows.indptr[which + 1] - starts
    indptr = np.concatenate(([0], np.cumsum(counts)))
    places = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], counts)
    return Rows(indptr, rows.indices[places], rows.data[places])


@numba.njit(cache=True, nogil=True)
def _transpose(
    indptr: Pointers, indices: Indices, data: Values, n_columns: int
) -> tuple[Pointers, Indices, Values]:
    n = len(indptr) - 1
    out_indptr = np.zeros(n_columns + 1, np.int64)
    for column in indices:
        out_indptr[column + 1] += 1
    for column in range(n_columns):
        out_indptr[column + 1] += out_indptr[column]
    free = out_indptr.copy()
    out_indices = np.empty(len(indices), np.int32)
    out_data = np.empty(len(data), np.float32)
    for i in range(n):
        for p in range(indptr[i], indptr[i + 1]):
            place = free[indices[p]]
            free[indices[p]] += 1
            out_indices[place] = i
            out_data[place] = data[p]
    return out_indptr, out_indices, out_data
