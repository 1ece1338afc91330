"""Indexing: crops into a gallery, only those that are new or changed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np

from resight import progress
from resight.data import Broken
from resight.errors import GalleryError
from resight.gallery import forgotten
from resight.gallery.decoding import Decoded, decoded
from resight.gallery.describing import GONE, describe_crops, source_files
from resight.gallery.folder import SCRATCH
from resight.gallery.gallery import Gallery
from resight.gallery.records import NO_ROW, Filter, IndexState, Rows
from resight.gallery.stores.checks import check_texts
from resight.records import BoolArray, Crops, FloatArray, IntArray

EMBEDDED_AT_ONCE = 256
COMMITTED_AT_ONCE = 1024
_BLOCK = 65_536


@dataclass(frozen=True)
class Indexed:
    """What indexing did, in numbers of crops.

    added: new ones. changed: those whose file changed. relabelled: those of which only camera,
    time or track changed. removed: those that are gone; missing: those that are gone and were kept.
    expired: those older than the gallery keeps. forgotten: those that were deleted from the gallery
    before, and stay out. unreadable: what could not be decoded, and why.
    rows: how many the gallery holds now. seconds: what decoding, embedding and storing took.
    state: how the store searches now.
    """

    added: int
    changed: int
    relabelled: int
    removed: int
    missing: int
    expired: int
    forgotten: int
    unreadable: tuple[Broken, ...]
    rows: int
    seconds: float
    state: IndexState

    @property
    def speed(self) -> float:
        """Crops embedded in a second; 0 without any."""
        embedded = self.added + self.changed
        return embedded / self.seconds if embedded else 0.0


def index(
    gallery: Gallery,
    crops: Crops,
    *,
    complete: bool = True,
    keep_missing: bool = False,
    restore: bool = False,
    workers: int | None = None,
) -> Indexed:
    """Bring the gallery's rows of one source, `crops.root`, to what is listed there now.

    Crops are known by their paths and compared by the stamps of their files. About a thousand are
    committed at a time, whole; whatever ends the work, the next call goes on from there. A crop
    that cannot be read keeps the row that it has, if any.

    complete: the listing is all that there is of the source, so that what it lacks is gone;
    otherwise only crops whose file is not there are. keep_missing: keep rows of those that are
    gone. restore: also crops that were deleted from the gallery, or expired, which stay out
    otherwise until their file changes. workers: decoding processes, by default one per core.

    Raises BusyError when another process writes to the gallery, GalleryError when the disk cannot
    be written or none of the listed files is there, StoreError when the store fails or cannot keep
    a name; what is committed stays.
    """
    with gallery.writing():
        gallery.clear_up()
        expired = gallery.expire()
        listed = describe_crops(crops)
        check_texts(listed)
        if restore:
            forgotten.restore(gallery.path, listed)
        plan = _compare(gallery, listed, crops, complete=complete)
        if not keep_missing:
            _check_there(gallery, listed, crops)
        removed = 0 if keep_missing else gallery.delete(plan.gone, forget=False)
        _relabel(gallery, listed, plan)
        broken, seconds = _embed(gallery, crops, listed, plan.due, workers)
        changed = int(np.count_nonzero(~np.isin(plan.changed, [row for row, _ in broken])))
        return Indexed(
            added=len(plan.due) - len(broken) - changed,
            changed=changed,
            relabelled=len(plan.relabelled),
            removed=removed,
            missing=len(plan.gone) if keep_missing else 0,
            expired=expired,
            forgotten=plan.forgotten,
            unreadable=tuple(Broken(crops.paths[row], reason) for row, reason in broken),
            rows=gallery.store.count(),
            seconds=seconds,
            state=gallery.store.optimise(),
        )


@dataclass(frozen=True, eq=False)
class _Plan:
    """due: rows of the listing to embed. changed: those of them that are stored already.

    relabelled: rows of which only what is known of them changed. known: (N,) the stored id of each
    row, -1 for none. gone: stored ids that are not there any more. forgotten: how many rows were
    deleted before.
    """

    due: IntArray
    changed: IntArray
    relabelled: IntArray
    known: IntArray
    gone: IntArray
    forgotten: int


def _compare(gallery: Gallery, listed: Rows, crops: Crops, *, complete: bool) -> _Plan:
    source = str(crops.root)
    known = gallery.store.find(source, listed.paths)
    is_stored = known != NO_ROW
    is_there = np.array(listed.stamps, dtype=object) != GONE
    is_changed, is_relabelled = _changes(gallery, listed, known)
    others = np.setdiff1d(gallery.store.select(Filter(source=source)), known[is_stored])
    is_forgotten = forgotten.are_forgotten(gallery.path, listed) & ~is_stored
    if not complete:
        others = _without_file(gallery, others, crops)
    return _Plan(
        due=np.flatnonzero(np.where(is_stored, is_changed & is_there, ~is_forgotten)),
        changed=np.flatnonzero(is_stored & is_changed & is_there),
        relabelled=np.flatnonzero(is_stored & is_relabelled & ~is_changed),
        known=known,
        gone=np.union1d(others, known[is_stored & ~is_there]),
        forgotten=int(np.count_nonzero(is_forgotten)),
    )


def _check_there(gallery: Gallery, listed: Rows, crops: Crops) -> None:
    """Raise GalleryError where all files are away, as when their disk is, before all rows go."""
    source = Filter(source=str(crops.root))
    if set(listed.stamps) == {GONE} and len(gallery.store.select(source, limit=1)):
        raise GalleryError(
            f"none of the {len(listed):,} files that are listed in {crops.root} is there: if their "
            "disk is away, bring it back; --keep-missing keeps their crops, and `resight gallery "
            f"delete {gallery.path} ID…` deletes them"
        )


def _changes(gallery: Gallery, listed: Rows, known: IntArray) -> tuple[BoolArray, BoolArray]:
    """(N,) of which stored rows the stamp, and of which camera, time or track changed."""
    changed, relabelled = np.zeros(len(listed), np.bool_), np.zeros(len(listed), np.bool_)
    stored = np.flatnonzero(known != NO_ROW)
    for start in range(0, len(stored), _BLOCK):
        rows = stored[start : start + _BLOCK]
        now, before = listed.select(rows), gallery.store.rows(known[rows])
        changed[rows] = _differ(now.stamps, before.stamps)
        same_time = (now.times == before.times) | (np.isnan(now.times) & np.isnan(before.times))
        relabelled[rows] = (
            _differ(now.cameras, before.cameras) | ~same_time | (now.tracks != before.tracks)
        )
    return changed, relabelled


def _differ(now: Sequence[str], before: Sequence[str]) -> BoolArray:
    return np.array([a != b for a, b in zip(now, before, strict=True)], dtype=np.bool_)


def _without_file(gallery: Gallery, ids: IntArray, crops: Crops) -> IntArray:
    """Those of these stored ids whose file below the root is not there."""
    gone = []
    for start in range(0, len(ids), _BLOCK):
        rows = gallery.store.rows(ids[start : start + _BLOCK])
        for crop_id, path in zip(rows.ids.tolist(), rows.paths, strict=True):
            names = {path, path.rpartition("#")[0] or path}
            if not any(os.path.lexists(os.path.join(crops.root, name)) for name in names):
                gone.append(crop_id)
    return np.array(gone, dtype=np.int64)


def _relabel(gallery: Gallery, listed: Rows, plan: _Plan) -> None:
    """Store again, without embedding it, what only got another camera, time or track."""
    for start in range(0, len(plan.relabelled), COMMITTED_AT_ONCE):
        rows = plan.relabelled[start : start + COMMITTED_AT_ONCE]
        ids = plan.known[rows]
        added = gallery.store.rows(ids).added
        gallery.store.add(replace(listed.select(rows), added=added), gallery.store.vectors(ids))


def _embed(
    gallery: Gallery, crops: Crops, listed: Rows, due: IntArray, workers: int | None
) -> tuple[list[tuple[int, str]], float]:
    """Decode, embed and store these rows of the listing.

    While some crops are embedded, the next are decoded and the last are stored. Returns which could
    not be read, and why, and the seconds that it took.
    """
    broken: list[tuple[int, str]] = []
    if not len(due):
        return broken, 0.0
    embedder = gallery.embedder
    started = time.perf_counter()
    scratch = gallery.path / SCRATCH
    files = source_files(crops, due)
    with (
        progress.bar("indexing", len(due)) as shown,
        _Committer(gallery, listed) as committer,
        closing(decoded(files, size=embedder.size, scratch=scratch, workers=workers)) as parts,
    ):
        for part in _joined(parts, EMBEDDED_AT_ONCE):
            broken += [(int(due[row]), reason) for row, reason in part.broken]
            vectors = embedder.embed_pixels(part.pixels, batch=EMBEDDED_AT_ONCE)
            committer.put(due[part.rows], part, vectors)
            progress.step(shown, len(part.rows) + len(part.broken))
    return broken, time.perf_counter() - started


def _joined(parts: Iterator[Decoded], n: int) -> Iterator[Decoded]:
    """The same crops, at least `n` at a time but for the last."""
    waiting: list[Decoded] = []
    for part in parts:
        waiting.append(part)
        if sum(len(one.rows) for one in waiting) >= n:
            yield _one(waiting)
            waiting = []
    if waiting:
        yield _one(waiting)


def _one(parts: Sequence[Decoded]) -> Decoded:
    return Decoded(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.sizes for part in parts]),
        tuple(told for part in parts for told in part.broken),
    )


class _Committer:
    """Stores embedded crops in a thread of its own, a thousand at a time, the rest at exit."""

    def __init__(self, gallery: Gallery, listed: Rows) -> None:
        self._gallery = gallery
        self._listed = listed
        self._waiting: list[tuple[IntArray, Decoded, FloatArray]] = []
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> _Committer:
        return self

    def put(self, rows: IntArray, part: Decoded, vectors: FloatArray) -> None:
        """Store these rows of the listing before long; raises what storing others raised."""
        self._waiting.append((rows, part, vectors))
        if sum(len(one) for one, _, _ in self._waiting) >= COMMITTED_AT_ONCE:
            self._start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._thread:
            if kind is None:
                self._start()
                self._finish()

    def _start(self) -> None:
        if not self._waiting:
            return
        self._finish()
        self._writing = self._thread.submit(self._commit, self._waiting)
        self._waiting = []

    def _finish(self) -> None:
        if self._writing is not None:
            self._writing.result()

    def _commit(self, waiting: Sequence[tuple[IntArray, Decoded, FloatArray]]) -> None:
        rows, parts, vectors = zip(*waiting, strict=True)
        joined, chosen = _one(parts), np.concatenate(rows)
        if len(chosen):
            embeddings = np.concatenate(vectors)
            self._gallery.commit(
                embeddings, self._listed.select(chosen), joined.pixels, joined.sizes
            )
