"""The embedded store: a folder of files, with nothing to start.

Embeddings are float16 and mapped into memory, rows are Parquet, and a manifest that is replaced in
one step tells which files count. Whatever a writer is doing when it is killed, the manifest names
files that are complete and on the disk.

Several processes may have the same folder open. Each reads what was committed last, whoever did;
one writes at a time, and the others wait for it.

Deleted rows are not shown any more from then on, and their bytes are gone from the files when
`optimise` returns, save for those that another process still has open: until its next call.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import filelock
import numpy as np

from resight.errors import BusyError, StoreError
from resight.gallery.records import ALL, NO_ROW, Filter, Hits, IndexState, Rows
from resight.gallery.stores import files_manifest as manifests
from resight.gallery.stores.checks import check_new, check_queries
from resight.gallery.stores.files_changes import Change
from resight.gallery.stores.files_manifest import Manifest
from resight.gallery.stores.files_scan import HalfArray, to_half
from resight.gallery.stores.files_segments import new_piece
from resight.gallery.stores.files_snapshot import Snapshot
from resight.records import FloatArray, IntArray

PATIENCE = 10.0
APPROXIMATE_FROM = 100_000
QUERIES_AT_ONCE = 256


class FileStore:
    """An open folder; see `Store` for its methods.

    Search is exact below `approximate_from` rows, and until `optimise` has been called above it.
    """

    def __init__(self, folder: Path, snapshot: Snapshot, *, approximate_from: int) -> None:
        self._folder = folder
        self._snapshot: Snapshot | None = snapshot
        self._approximate_from = approximate_from
        self._lock = filelock.FileLock(folder / manifests.LOCK, timeout=PATIENCE)
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._swept = False

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        dim: int,
        create: bool = False,
        approximate_from: int = APPROXIMATE_FROM,
    ) -> FileStore:
        """The store in a folder; `create` makes it where it is missing.

        dim: D. approximate_from: how many rows are enough for an approximate index.
        Raises StoreError when it is missing, damaged or holds embeddings of another length.
        """
        if create and not (folder / manifests.NAME).exists():
            _create(folder, dim)
        snapshot = Snapshot.load(folder)
        if snapshot.manifest.dim != dim:
            raise StoreError(
                f"{folder} holds embeddings of length {snapshot.manifest.dim}, and the encoder "
                f"makes {dim}: use the encoder that filled it, or another folder"
            )
        return cls(folder, snapshot, approximate_from=approximate_from)

    @property
    def dim(self) -> int:
        """D, the length of embeddings."""
        return self._now().manifest.dim

    def add(self, rows: Rows, vectors: FloatArray) -> IntArray:
        """Store rows with their embeddings (N, D), and return their ids; see `Store.add`."""
        check_new(rows, vectors, self.dim)
        half = _halved(vectors)
        if not len(rows):
            return np.empty(0, np.int64)
        with self._changing() as change:
            first = change.now.manifest.next_id
            ids = np.arange(first, first + len(rows))
            piece = new_piece(rows, ids, half)
            change.delete(_replaced(change.now, rows))
            change.append(piece)
            change.commit(next_id=first + len(rows))
        return ids

    def delete(self, ids: IntArray) -> int:
        """Remove rows; ids that are not there do not matter. Returns how many were."""
        with self._changing() as change:
            deleted = change.delete(np.unique(ids))
            change.commit()
        return deleted

    def count(self, where: Filter = ALL) -> int:
        """How many rows pass the filter."""
        return self._now().count(where)

    def select(self, where: Filter = ALL, *, after: int = -1, limit: int | None = None) -> IntArray:
        """Ids that pass the filter and are larger than `after`, ascending, at most `limit`."""
        return self._now().select(where, after, limit)

    def rows(self, ids: IntArray) -> Rows:
        """What is known of these rows, in the order given. Raises KeyError for one not there."""
        return self._now().rows(np.asarray(ids, np.int64))

    def vectors(self, ids: IntArray) -> FloatArray:
        """(N, D) embeddings in the order given, rounded to float16. Raises KeyError likewise."""
        return self._now().vectors(np.asarray(ids, np.int64))

    def find(self, source: str, paths: tuple[str, ...]) -> IntArray:
        """The id of each of these paths of a source, -1 where it is not there."""
        return self._now().find(source, paths)

    def cameras(self) -> dict[str, int]:
        """How many rows each camera has, by name, in the names' order."""
        return dict(self._now().cameras)

    def times(self) -> tuple[float, float] | None:
        """The first and the last time of rows that have one; None when none has."""
        return self._now().times

    def search(
        self, queries: FloatArray, k: int, where: Filter = ALL, *, exact: bool = False
    ) -> Hits:
        """The k rows of highest cosine for each query (Q, D), among those that pass the filter."""
        now = self._now()
        check_queries(queries, k, now.manifest.dim)
        asked = np.ascontiguousarray(queries, np.float32)
        found = [
            now.search(asked[first : first + QUERIES_AT_ONCE], k, where, exact=exact)
            for first in range(0, max(1, len(asked)), QUERIES_AT_ONCE)
        ]
        return Hits(
            np.concatenate([hits.ids for hits in found]),
            np.concatenate([hits.similarities for hits in found]),
            all(hits.exact for hits in found),
        )

    def optimise(self) -> IndexState:
        """Write segments together, without deleted rows, and make the approximate index."""
        self._swept = False
        tidying = True
        while tidying:
            with self._changing() as change:
                tidying = change.tidy()
                change.commit()
        with self._changing() as change:
            change.index(self._approximate_from)
            change.commit()
        return self.state()

    def state(self) -> IndexState:
        """How it searches now."""
        return self._now().state

    def close(self) -> None:
        """Let go of the files; those that are being searched stay open until that is done."""
        with self._reading:
            self._snapshot = None

    def _now(self) -> Snapshot:
        """What was committed last, by this process or another."""
        with self._reading:
            if self._snapshot is None:
                raise StoreError(f"the store in {self._folder} has been closed: open it again")
            self._snapshot = Snapshot.load(self._folder, self._snapshot)
            return self._snapshot

    @contextmanager
    def _changing(self) -> Iterator[Change]:
        """The right to change the store, and what it holds meanwhile."""
        with self._writing, _held(self._lock, self._folder):
            now, swept = self._now(), self._swept
            self._swept = False
            if not swept:
                manifests.settle(self._folder, now.manifest)
            with manifests.changing(self._folder, now.text):
                yield Change(self._folder, now)
            self._swept = True


def _create(folder: Path, dim: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _held(filelock.FileLock(folder / manifests.LOCK, timeout=PATIENCE), folder):
            if not (folder / manifests.NAME).exists():
                manifests.sync_folder(folder.parent)
                manifests.commit(folder, Manifest(dim))
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror or error}") from error


@contextmanager
def _held(lock: filelock.BaseFileLock, folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; raises BusyError when another process does for too long."""
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise BusyError(
            f"another process is writing to {folder}: try again when it is done"
        ) from error
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _halved(vectors: FloatArray) -> HalfArray:
    """Embeddings as they are stored; raises ValueError for those that are far from length 1."""
    with np.errstate(over="ignore"):
        half = to_half(vectors)
    if not np.isfinite(half).all():
        raise ValueError("vectors holds values far from length 1")
    return half


def _replaced(now: Snapshot, rows: Rows) -> IntArray:
    """The ids of stored rows of the same sources and paths."""
    paths: dict[str, list[str]] = {}
    for source, path in zip(rows.sources, rows.paths, strict=True):
        paths.setdefault(source, []).append(path)
    found = np.concatenate([now.find(source, some) for source, some in paths.items()])
    return cast("IntArray", found[found != NO_ROW])
