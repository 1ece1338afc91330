"""What a partition starts from: a graph's rows, k-means++ (Arthur & Vassilvitskii 2007) on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse

from resight.records import Distances, IntArray, Result

BLOCK = 64
ROWS = 8192


class RowSource(Protocol):
    """What a partition needs of a graph; see `resight.records.Graph`."""

    def __len__(self) -> int: ...

    def rows(self, samples: IntArray) -> Distances: ...  # noqa: D102

    def reduce(self, kernel: Callable[[Distances], Result]) -> list[Result]: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class NearPairs:
    """The pairs (N, N) up to a cut-off, as a graph where all others share no support."""

    pairs: scipy.sparse.csr_array

    def __len__(self) -> int:
        """N."""
        return int(self.pairs.shape[0])

    def rows(self, samples: IntArray) -> Distances:
        """The distances of these samples up to the cut-off."""
        return _as_distances(samples, self.pairs[samples])

    def reduce(self, kernel: Callable[[Distances], Result]) -> list[Result]:
        """`kernel` of all rows, in blocks in their order."""
        starts = range(0, len(self), ROWS)
        return [kernel(self._block(start, min(start + ROWS, len(self)))) for start in starts]

    def _block(self, start: int, stop: int) -> Distances:
        indptr = self.pairs.indptr[start : stop + 1].astype(np.int64)
        inside = slice(indptr[0], indptr[-1])
        indices = self.pairs.indices[inside].astype(np.int32, copy=False)
        samples = np.arange(start, stop)
        return Distances(samples, indptr - indptr[0], indices, self.pairs.data[inside])


def _as_distances(samples: IntArray, pairs: scipy.sparse.csr_array) -> Distances:
    indptr, indices = pairs.indptr.astype(np.int64), pairs.indices.astype(np.int32)
    return Distances(samples, indptr, indices, pairs.data)


def kmeans_plus_plus(graph: RowSource, n_seeds: int, rng: np.random.Generator) -> IntArray:
    """Seeds drawn one after the other, with probability proportional to the distance to the last.

    Each is the best of 2 + log K candidates: the one that leaves the smallest sum of distances to
    the nearest seed. The potential is the distance, not its square. Once all samples lie at
    distance 0 of a seed, the first samples that are none yet fill up.

    n_seeds: K, at most N. Returns (K,) int64 samples, all different, in the order drawn. No table
    of distances is made: only the rows of the candidates.
    """
    n, trials = len(graph), 2 + int(math.log(n_seeds))
    seeds = [int(rng.integers(n))]
    nearest = np.ones(n)
    for _, indices, values in _each(graph.rows(np.array(seeds))):
        nearest[indices] = values
    while len(seeds) < n_seeds:
        potential = np.cumsum(nearest)
        if potential[-1] == 0:
            rest = np.setdiff1d(np.arange(n), seeds)
            return np.append(seeds, rest[: n_seeds - len(seeds)])
        draws = rng.random(trials) * potential[-1]
        draws = np.minimum(draws, np.nextafter(potential[-1], 0))
        candidates = np.searchsorted(potential, draws, side="right")
        rows = list(_each(graph.rows(candidates)))
        gains = [np.maximum(nearest[indices] - values, 0).sum() for _, indices, values in rows]
        seed, indices, values = rows[int(np.argmax(gains))]
        nearest[indices] = np.minimum(nearest[indices], values)
        seeds.append(seed)
    return np.array(seeds, np.int64)


def nearest_seeds(graph: RowSource, seeds: IntArray) -> IntArray:
    """(N,) int64 position of the seed that each sample is nearest to, the first of equals.

    A seed belongs to itself. Samples that share no support with any seed are at distance 1 of all.
    """
    labels, nearest = np.zeros(len(graph), np.int64), np.ones(len(graph), np.float32)
    for start in range(0, len(seeds), BLOCK):
        rows = _each(graph.rows(seeds[start : start + BLOCK]))
        for k, (_, indices, values) in enumerate(rows, start):
            closer = values < nearest[indices]
            nearest[indices[closer]] = values[closer]
            labels[indices[closer]] = k
    labels[seeds] = np.arange(len(seeds))
    return labels


def _each(
    rows: Distances,
) -> list[tuple[int, npt.NDArray[np.int32], npt.NDArray[np.float32]]]:
    """Sample, indices and values, row by row."""
    cuts = rows.indptr[1:-1]
    return list(
        zip(
            rows.samples.tolist(),
            np.split(rows.indices, cuts),
            np.split(rows.values, cuts),
            strict=True,
        )
    )
