"""A store in memory, as slow and plain as the protocol can be written."""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from resight.errors import StoreError
from resight.gallery.records import ALL, NO_ROW, Filter, Hits, IndexState, Rows
from resight.gallery.stores.checks import check_new
from resight.records import FloatArray, IntArray


class MemoryStore:
    """A dictionary of rows by id; `opened` keeps stores by folder, as a disk would."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._rows: dict[int, tuple[Rows, FloatArray]] = {}
        self._next = 0
        self._lock = threading.RLock()
        self.optimised = 0
        self.closed = False

    @property
    def dim(self) -> int:
        return self._dim

    def add(self, rows: Rows, vectors: FloatArray) -> IntArray:
        crops = list(zip(rows.sources, rows.paths, strict=True))
        check_new(rows, vectors, self._dim)
        with self._lock:
            old = [i for i, (row, _) in self._rows.items() if named(row) in set(crops)]
            self.delete(np.array(old, dtype=np.int64))
            ids = np.arange(self._next, self._next + len(rows))
            self._next += len(rows)
            for place, crop_id in enumerate(ids):
                row = replace(rows.select(np.array([place])), ids=np.array([crop_id]))
                self._rows[int(crop_id)] = (row, vectors[place].copy())
            return ids

    def delete(self, ids: IntArray) -> int:
        with self._lock:
            return sum(self._rows.pop(int(crop_id), None) is not None for crop_id in set(ids))

    def count(self, where: Filter = ALL) -> int:
        return len(self.select(where))

    def select(self, where: Filter = ALL, *, after: int = -1, limit: int | None = None) -> IntArray:
        with self._lock:
            found = [i for i, (row, _) in sorted(self._rows.items()) if passes(row, where)]
        return np.array([i for i in found if i > after][:limit], dtype=np.int64)

    def rows(self, ids: IntArray) -> Rows:
        with self._lock:
            found = [self._rows[int(crop_id)][0] for crop_id in ids]
        names = ("sources", "paths", "stamps", "cameras")
        words = {name: tuple(getattr(row, name)[0] for row in found) for name in names}
        kinds = {"times": float, "tracks": int, "added": float, "ids": int}
        numbers = {
            name: np.array([getattr(row, name)[0] for row in found], dtype=kind)
            for name, kind in kinds.items()
        }
        return Rows(**words, **numbers)  # type: ignore[arg-type]

    def vectors(self, ids: IntArray) -> FloatArray:
        with self._lock:
            found = [self._rows[int(crop_id)][1] for crop_id in ids]
        return np.array(found, dtype=np.float32).reshape(-1, self._dim)

    def find(self, source: str, paths: tuple[str, ...]) -> IntArray:
        with self._lock:
            known = {named(row): crop_id for crop_id, (row, _) in self._rows.items()}
        return np.array([known.get((source, path), NO_ROW) for path in paths], dtype=np.int64)

    def cameras(self) -> dict[str, int]:
        with self._lock:
            counts = Counter(row.cameras[0] for row, _ in self._rows.values())
        return dict(sorted(counts.items()))

    def times(self) -> tuple[float, float] | None:
        with self._lock:
            times = [float(row.times[0]) for row, _ in self._rows.values()]
        known = [time for time in times if not math.isnan(time)]
        return (min(known), max(known)) if known else None

    def search(
        self, queries: FloatArray, k: int, where: Filter = ALL, *, exact: bool = False
    ) -> Hits:
        with self._lock:
            ids = self.select(where)
            scores = queries @ self.vectors(ids).T
        found = np.full((len(queries), k), NO_ROW)
        similarities = np.full((len(queries), k), -np.inf, np.float32)
        for row, line in enumerate(scores):
            best = np.argsort(-line, kind="stable")[:k]
            found[row, : len(best)] = ids[best]
            similarities[row, : len(best)] = line[best]
        return Hits(found, similarities, exact=True)

    def optimise(self) -> IndexState:
        self.optimised += 1
        return self.state()

    def state(self) -> IndexState:
        return IndexState(len(self._rows), "exact")

    def close(self) -> None:
        self.closed = True


class Stores:
    """Stands in for `open_store`: a folder keeps its store, as a disk would."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, Path], MemoryStore] = {}

    def __call__(
        self, address: str, folder: Path, *, dim: int, create: bool = False
    ) -> MemoryStore:
        if create:
            self.kept.setdefault((address, folder), MemoryStore(dim))
        if (address, folder) not in self.kept:
            raise StoreError(f"there is no store at {address}")
        return self.kept[address, folder]


def named(row: Rows) -> tuple[str, str]:
    return row.sources[0], row.paths[0]


def passes(row: Rows, where: Filter) -> bool:
    time = float(row.times[0])
    return (
        (where.cameras is None or row.cameras[0] in where.cameras)
        and row.cameras[0] not in where.without_cameras
        and (where.since is None or (not math.isnan(time) and time >= where.since))
        and (where.until is None or (not math.isnan(time) and time <= where.until))
        and (where.added_before is None or row.added[0] < where.added_before)
        and (where.source is None or row.sources[0] == where.source)
        and int(row.ids[0]) not in where.without
    )
