"""The approximate index: a code of a byte for each main direction, and exact similarities after it.

A query is compared with the codes of all rows, which are a tenth to a twentieth of the embeddings,
and with the embeddings of those rows alone that come out best. How many these must be is measured.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resight.gallery.records import Hits
from resight.gallery.stores.files_scan import Codes, Job, Runs, at_ids, compare, search
from resight.gallery.stores.files_segments import damaged, synced
from resight.records import FloatArray, IntArray

NEAREST = 10
GOAL = 0.99
MOST_CANDIDATES = 4096
LEAST_CANDIDATES = 256
SAFETY = 1.5
EXACT_UNDER = 8192
LARGEST = 127


@dataclass(frozen=True, eq=False)
class Encoding:
    """How embeddings become codes.

    directions: (D, E) orthonormal, those along which embeddings are largest. steps: (E,) what a
    code's unit stands for in each.
    """

    directions: FloatArray
    steps: FloatArray

    @property
    def width(self) -> int:
        """E, the bytes of a code."""
        return len(self.steps)

    def codes(self, vectors: FloatArray) -> Codes:
        """(N, E) of embeddings (N, D)."""
        units = vectors @ (self.directions / self.steps)
        return np.rint(units).clip(-LARGEST, LARGEST).astype(np.int8)

    def weights(self, queries: FloatArray) -> FloatArray:
        """(Q, E) whose products with codes are about the queries' similarities."""
        return (queries @ self.directions) * self.steps

    def write(self, path: Path) -> None:
        """Write it; on the disk when it returns. Raises OSError."""
        with synced(path) as file:
            np.savez(file, directions=self.directions, steps=self.steps)

    @classmethod
    def read(cls, path: Path, dim: int) -> Encoding:
        """Read it. Raises StoreError for a damaged file, FileNotFoundError for a missing one."""
        content = io.BytesIO(path.read_bytes())
        try:
            with np.load(content, allow_pickle=False) as file:
                found = cls(file["directions"], file["steps"])
        except Exception as error:  # those of NumPy, zipfile and zlib share no base class
            raise damaged(path, str(error)) from error
        if found.directions.shape != (dim, found.width):
            raise damaged(path, f"it is for embeddings of {found.directions.shape}, not {dim}")
        return found


def fit(sample: FloatArray, width: int) -> Encoding:
    """The encoding into `width` (at most D) bytes that keeps most of a sample (N, D)."""
    directions = np.linalg.eigh(sample.T @ sample)[1][:, ::-1][:, :width]
    directions = np.ascontiguousarray(directions, np.float32)
    largest = np.abs(sample @ directions).max(axis=0).clip(min=1e-6)
    return Encoding(directions, (largest / LARGEST).astype(np.float32))


class Measured(NamedTuple):
    """candidates: how many each query needs. recall: @10 with them, on `queries` other rows."""

    candidates: int
    recall: float
    queries: int


def measure(
    encoding: Encoding,
    rows: Sequence[Runs],
    codes: Sequence[Codes],
    ids: IntArray,
    queries: FloatArray,
) -> Measured | None:
    """How well codes find the nearest of stored rows, themselves left out; None if not well enough.

    ids, queries: of the stored rows (Q,), (Q, D). One half of them tells how many candidates are
    needed for a recall of GOAL, of which `SAFETY` times as many are taken; the other half tells
    what recall that is.
    """
    true = search(rows, queries, NEAREST + 1)[1]
    coded = [runs._replace(table=code) for runs, code in zip(rows, codes, strict=True)]
    everyone = Job(np.arange(len(queries)), coded)
    found = compare([everyone], encoding.weights(queries), MOST_CANDIDATES)[1]
    needed = np.concatenate(
        [_needed(own, *pair) for own, pair in zip(ids, zip(true, found, strict=True), strict=True)]
    )
    half = len(needed) // 2
    enough = int(np.quantile(needed[:half], GOAL, method="higher"))
    candidates = max(LEAST_CANDIDATES, int(SAFETY * enough))
    recall = float(np.mean(needed[half:] <= candidates))
    if candidates > MOST_CANDIDATES or recall < GOAL - 0.01:
        return None
    return Measured(candidates, recall, len(queries) - len(queries) // 2)


def _needed(own: int, true: IntArray, found: IntArray) -> IntArray:
    """(10,) how many candidates it takes until each of the nearest is among them."""
    nearest = true[true != own][:NEAREST]
    same = found == nearest[:, None]
    return np.where(same.any(axis=1), same.argmax(axis=1) + 1, 2 * MOST_CANDIDATES)


def search_codes(
    encoding: Encoding,
    rows: Sequence[Runs],
    codes: Sequence[Codes | None],
    queries: FloatArray,
    k: int,
    candidates: int,
) -> Hits:
    """The k most similar rows, found by their codes; rows without codes are compared exactly.

    candidates: as measured, for k = 10; a larger k has more in proportion, twice of what it needs
    among a million rows. Where few rows count, all are compared exactly.
    """
    pairs = list(zip(rows, codes, strict=True))
    coded = [(runs, code) for runs, code in pairs if code is not None and runs.rows]
    wanted = int(candidates * max(1, k / NEAREST))
    if sum(runs.rows for runs, _ in coded) <= max(4 * wanted, EXACT_UNDER):
        similarities, ids = search(rows, queries, k)
        return Hits(ids, similarities, exact=True)
    everyone = np.arange(len(queries))
    near = Job(everyone, [runs._replace(table=code) for runs, code in coded])
    found = compare([near], encoding.weights(queries), wanted)[1]
    jobs = at_ids([runs for runs, _ in coded], found)
    others = [runs for runs, code in pairs if code is None]
    similarities, ids = compare([*jobs, Job(everyone, others)], queries, k)
    return Hits(ids, similarities, exact=False)
