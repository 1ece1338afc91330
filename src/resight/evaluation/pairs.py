"""Similarities of all pairs of crops, a tile at a time: how often each occurs, and errors by whom.

Memory besides the features is that of a tile and of the counts, at any number of crops.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
import torch

from resight.graph.costs import announce, product_speed
from resight.records import FloatArray, IntArray

PER_UNIT = 2**14
WIDTH = 1 / PER_UNIT
BINS = 2 * PER_UNIT + 1
TILE_ROWS, TILE_COLUMNS = 1024, 4096
IMPOSTOR, GENUINE = range(2)
DISTRACTOR = 0


def edge(index: int) -> float:
    """The lowest similarity of a bin, exact in float32; edge(BINS) is above all similarities."""
    return index * WIDTH - 1


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of N labelled crops, in different cameras where cameras are known.

    vectors: (N, D) float32, rows of length 1. identities: (N,) int64, at least 0. cameras: (N,)
    int64, or None. A pair is genuine when both crops show one identity above 0, impostor otherwise;
    pairs of two distractors (identity 0) are neither, since nobody knows whom they show.
    """

    vectors: FloatArray
    identities: IntArray
    cameras: IntArray | None = None

    @cached_property
    def individuals(self) -> IntArray:
        """(N,) numbers from 0: one for each identity, and one for each distractor crop."""
        own = -1 - np.arange(len(self.identities))
        names = np.where(self.identities == DISTRACTOR, own, self.identities)
        numbers: IntArray = np.unique(names, return_inverse=True)[1]
        return numbers

    def histograms(self) -> IntArray:
        """(2, BINS) int64: how many impostor and genuine pairs have similarities of each bin.

        Bin b holds edge(b) <= similarity < edge(b + 1), compared exactly; the first and the last
        also hold what rounding put below -1 and above 1.
        """
        counts = np.zeros((2, BINS), dtype=np.int64)
        for row, column, scores in self._tiles():
            _count(scores, row, column, self.identities, self._cameras, counts)
        return counts

    def errors(self, threshold: float) -> IntArray:
        """(2, 2, M) int64 errors and pairs of each of M individuals, accepting >= `threshold`.

        [IMPOSTOR]: false accepts and impostor pairs that an individual is one of the two in.
        [GENUINE]: false rejects and genuine pairs of the individual.
        """
        tally = np.zeros((2, 2, int(self.individuals.max(initial=-1)) + 1), dtype=np.int64)
        cut = np.float32(threshold)
        for row, column, scores in self._tiles():
            _tally(
                scores, row, column, self.identities, self._cameras, self.individuals, cut, tally
            )
        return tally

    @cached_property
    def _cameras(self) -> IntArray:
        """Cameras, or numbers that never agree."""
        return np.arange(len(self.identities)) if self.cameras is None else self.cameras

    def _tiles(self) -> Iterator[tuple[int, int, FloatArray]]:
        """First row, first column and similarities of tiles that cover all pairs i < j."""
        n, dim = self.vectors.shape
        if not n:
            return
        seconds = n * n * dim / 2 / product_speed(torch.tensor(self.vectors[:TILE_ROWS]))
        announce(f"pairs of {n} crops", seconds, 4 * TILE_ROWS * TILE_COLUMNS)
        for row in range(0, n, TILE_ROWS):
            rows = self.vectors[row : row + TILE_ROWS]
            for column in range(row, n, TILE_COLUMNS):
                yield row, column, rows @ self.vectors[column : column + TILE_COLUMNS].T


@numba.njit(cache=True, nogil=True)
def _kind(i, j, identities, cameras):  # type: ignore[no-untyped-def]
    """IMPOSTOR, GENUINE, or -1 for a pair that does not count."""
    if cameras[i] == cameras[j]:
        return -1
    if identities[i] != identities[j]:
        return IMPOSTOR
    return GENUINE if identities[i] != DISTRACTOR else -1


@numba.njit(cache=True, nogil=True)
def _count(scores, row, column, identities, cameras, counts):  # type: ignore[no-untyped-def]
    """Add the pairs i < j of a tile to `counts` (2, BINS)."""
    for r in range(scores.shape[0]):
        for c in range(max(0, row + r + 1 - column), scores.shape[1]):
            kind = _kind(row + r, column + c, identities, cameras)
            if kind >= 0:
                place = int(np.floor(scores[r, c] * np.float32(PER_UNIT))) + PER_UNIT
                counts[kind, min(BINS - 1, max(0, place))] += 1


@numba.njit(cache=True, nogil=True)
def _tally(  # type: ignore[no-untyped-def]
    scores, row, column, identities, cameras, individuals, cut, tally
):
    """Add the errors and pairs i < j of a tile to `tally` (2, 2, M)."""
    for r in range(scores.shape[0]):
        for c in range(max(0, row + r + 1 - column), scores.shape[1]):
            i, j = row + r, column + c
            kind = _kind(i, j, identities, cameras)
            if kind < 0:
                continue
            accepted = scores[r, c] >= cut
            wrong = accepted if kind == IMPOSTOR else not accepted
            tally[kind, 0, individuals[i]] += wrong
            tally[kind, 1, individuals[i]] += 1
            if kind == IMPOSTOR:
                tally[kind, 0, individuals[j]] += wrong
                tally[kind, 1, individuals[j]] += 1
