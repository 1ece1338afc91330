"""What the embedded store promises besides the protocol: its files, its index, its processes."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from file_store_cases import DIM, numbered, rows_of
from gallery_cases import units
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.errors import BusyError, StoreError
from resight.gallery.records import ALL, NO_ROW, Filter, Rows
from resight.gallery.stores import (
    files,
    files_changes,
    files_coding,
    files_scan,
    files_segments,
)
from resight.gallery.stores import files_manifest as manifests
from resight.gallery.stores.files import FileStore
from resight.gallery.stores.files_manifest import Part
from resight.gallery.stores.files_scan import Runs
from resight.records import BoolArray, FloatArray, IntArray


def content(store: FileStore) -> dict[str, tuple[float, ...]]:
    """Paths and embeddings."""
    ids = store.select()
    return dict(zip(store.rows(ids).paths, map(tuple, store.vectors(ids).tolist()), strict=True))


def expected(*numbers: int) -> dict[str, tuple[float, ...]]:
    found = [numbered(number, 1) for number in numbers]
    return {rows.paths[0]: tuple(vectors[0].tolist()) for rows, vectors in found}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def named(folder: Path) -> set[str]:
    return manifests.parse(manifests.text_of(folder), folder).files()


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power: they need not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[FileStore]:
    opened = FileStore.open(folder, dim=DIM, create=True)
    yield opened
    opened.close()


# Files


def test_rows_one_by_one_end_up_in_few_segments(store: FileStore, folder: Path) -> None:
    for number in range(60):
        store.add(*numbered(number, 1))
        assert len(list(folder.glob("vectors-*"))) <= 6
    assert content(store) == expected(*range(60))
    assert store.select().tolist() == list(range(60))
    assert names(folder) == named(folder)


def test_small_segments_become_one_and_large_ones_are_let_be(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_changes, "MOST_WITH_AN_ADDITION", 0)
    monkeypatch.setattr(files_changes, "MOST_ROWS", 20)
    for number in range(0, 50, 5):
        store.add(*numbered(number, 5))
    assert len(list(folder.glob("vectors-*"))) == 10
    store.optimise()
    assert len(list(folder.glob("vectors-*"))) == 3
    before = {path: path.stat().st_ino for path in folder.glob("vectors-*")}
    store.delete(np.array([45]))
    store.optimise()
    after = {path: path.stat().st_ino for path in folder.glob("vectors-*")}
    assert len(before.keys() & after.keys()) == 2
    assert content(store) == expected(*range(45), *range(46, 50))


def test_what_was_deleted_is_on_the_disk_until_optimise_returns(
    store: FileStore, folder: Path
) -> None:
    def on_disk() -> tuple[bool, bool, bool]:
        embeddings = [path.read_bytes() for path in folder.glob("vectors-*")]
        tables = [pq.read_table(path) for path in folder.glob("rows-*")]
        paths = [path for table in tables for path in table.column("path").to_pylist()]
        cameras = [c for t in tables for c in t.column("camera").chunk(0).dictionary.to_pylist()]
        bits = vector.astype("<f2").tobytes()
        return any(bits in e for e in embeddings), "secret.jpg" in paths, "secret place" in cameras

    vector = units(1, DIM, seed=7)
    store.add(*numbered(0, 40))
    ids = store.add(rows_of(["secret.jpg"], camera="secret place"), vector)
    store.add(*numbered(40, 3))
    store.delete(ids)
    assert "secret.jpg" not in content(store)
    assert store.cameras() == {"c": 43}
    assert on_disk() == (True, True, True)
    store.optimise()
    assert on_disk() == (False, False, False)
    assert content(store) == expected(*range(43))
    assert names(folder) == named(folder)


def test_a_store_whose_rows_are_all_deleted_keeps_no_files(store: FileStore, folder: Path) -> None:
    ids = store.add(*numbered(0, 20))
    store.delete(ids)
    store.optimise()
    assert names(folder) <= {manifests.NAME, manifests.LOCK}
    assert store.add(*numbered(0, 1)).tolist() == [20]


def test_changes_without_effect_write_nothing(store: FileStore, folder: Path) -> None:
    store.add(*numbered(0, 3))
    store.optimise()
    before = manifests.text_of(folder)
    assert store.delete(np.array([77, -1])) == 0
    store.optimise()
    assert manifests.text_of(folder) == before


@pytest.mark.parametrize(
    ("kind", "harm"),
    [
        (kind, harm)
        for kind in ("rows-*.parquet", "vectors-*.f16", "gone-*.npy", manifests.NAME)
        for harm in ("lost", "empty", "cut", "noise")
        if (kind, harm) != ("vectors-*.f16", "noise")  # embeddings have no checksum
    ],
)
def test_damaged_files_are_told_in_a_sentence(folder: Path, kind: str, harm: str) -> None:
    store = FileStore.open(folder, dim=DIM, create=True)
    store.add(*numbered(0, 64))
    store.delete(np.arange(5))
    store.close()
    path = next(folder.glob(kind))
    whole = path.read_bytes()
    if harm == "lost":
        path.unlink()
    else:
        middle = len(whole) // 2
        noise = whole[: middle - 4] + b"\xff\x00\xa5\x5a\xff\x00\xa5\x5a" + whole[middle + 4 :]
        path.write_bytes({"empty": b"", "cut": whole[:-3], "noise": noise}[harm])
    with pytest.raises(StoreError) as told:
        content(FileStore.open(folder, dim=DIM))
    assert path.name in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "places",
    [None, *(np.array(places, np.int32) for places in ([-1], [4, 3], [3, 64], [])), np.ones(1)],
)
def test_places_that_cannot_be_those_of_deleted_rows_are_told(
    store: FileStore, folder: Path, places: npt.NDArray[Any] | None
) -> None:
    store.add(*numbered(0, 64))
    store.delete(np.arange(5))
    (path,) = folder.glob("gone-*.npy")
    if places is None:
        path.write_bytes(path.read_bytes().replace(b"}", b"\x7f"))
    else:
        np.save(path, places)
    with pytest.raises(StoreError, match=rf"{path.name} is damaged .*new gallery"):
        FileStore.open(folder, dim=DIM)


def test_rows_of_another_segment_are_told(store: FileStore, folder: Path) -> None:
    for number in (0, 4):
        store.add(*numbered(number, 4))
        store.delete(np.arange(number, number + 4))
        store.optimise()
        store.add(*numbered(number, 4))
        (path,) = folder.glob("rows-*")
        if not number:
            other = path.read_bytes()
    path.write_bytes(other)
    with pytest.raises(StoreError, match=rf"{path.name} is damaged"):
        FileStore.open(folder, dim=DIM)


def test_what_the_system_refuses_is_not_called_damage(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    store.add(*numbered(0, 4))
    monkeypatch.setattr(files_segments, "open", refuse, raising=False)
    with pytest.raises(StoreError, match=r"cannot read .*: Too many open files$"):
        FileStore.open(folder, dim=DIM)


def test_a_store_of_another_version_is_refused(store: FileStore, folder: Path) -> None:
    path = folder / manifests.NAME
    path.write_text(path.read_text().replace('"format":1', '"format":2'))
    with pytest.raises(StoreError, match="another version"):
        store.count()


def test_a_full_disk_changes_nothing(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    ids = store.add(*numbered(0, 10))
    before = names(folder)
    work: list[Callable[[], Any]] = [
        lambda: store.add(*numbered(10, 20)),
        lambda: store.delete(ids[:2]),
    ]
    for place in ("fsync", "replace"):
        with monkeypatch.context() as context:
            context.setattr(os, place, full)
            for change in work:
                with pytest.raises(StoreError, match="No space left"):
                    change()
        assert names(folder) == before
        assert content(store) == expected(*range(10))


def test_a_write_that_fails_in_the_middle_changes_nothing(store: FileStore, folder: Path) -> None:
    store.add(*numbered(0, 10))
    before, limits = names(folder), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**15, limits[1]))
    try:
        with pytest.raises(StoreError, match=r"cannot write to .*: File too large; nothing was"):
            store.add(*numbered(10, 5_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(folder) == before
    assert content(store) == expected(*range(10))


def test_a_change_that_may_not_outlast_a_power_cut_is_told_and_removes_no_file(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(_: int) -> None:
        if manifests.text_of(folder) != text:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    store.add(*numbered(0, 10))
    text, before = manifests.text_of(folder), named(folder)
    with monkeypatch.context() as context:
        context.setattr(os, "fsync", sync)
        with pytest.raises(StoreError, match=r"was changed, but .*power cut \(Input/output"):
            store.add(*numbered(10, 10))
    assert names(folder) == before | named(folder)
    assert content(store) == expected(*range(20))
    store.delete(np.array([0]))
    assert names(folder) == named(folder)


def test_the_manifest_is_on_the_disk_before_others_files_are_swept(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def sync(handle: int) -> None:
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))

    def remove(folder: Path, gone: set[str]) -> None:
        done.extend(sorted(gone))
        removed(folder, gone)

    store.add(*numbered(0, 10))
    (folder / "rows-99.parquet").write_bytes(b"left by a writer that was killed")
    removed = manifests.remove
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(manifests, "remove", remove)
    FileStore.open(folder, dim=DIM).delete(np.array([0]))
    assert done[:2] == [folder.name, "rows-99.parquet"]


def test_files_are_on_the_disk_before_the_manifest_names_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    replaced = 0

    def sync(handle: int) -> None:
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))

    def put(draft: Path, path: Path) -> None:
        nonlocal replaced
        if Path(path).parent != folder:  # what compiled code is kept in
            replace(draft, path)
            return
        new = manifests.parse(draft.read_bytes(), folder).files() - known
        assert {draft.name, folder.name} | new <= {*synced}
        assert replaced or folder.parent.name in synced
        *_, last = (place for place, name in enumerate(synced) if name == folder.name)
        assert all(synced.index(name) < last for name in new)
        replace(draft, path)
        known.update(new)
        synced.clear()
        replaced += 1

    replace, known = os.replace, {manifests.NAME, manifests.LOCK}
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", put)
    store = FileStore.open(folder, dim=DIM, create=True, approximate_from=30)
    store.add(*numbered(0, 40))
    store.delete(np.array([2]))
    store.optimise()
    assert replaced == 5
    assert synced == [folder.name]


class Stop(BaseException):
    """Stands for the end of the process: nothing is cleared up after it."""


def test_a_stop_at_any_write_leaves_the_state_before_or_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepared(folder: Path) -> FileStore:
        store = FileStore.open(folder, dim=DIM, create=True, approximate_from=30)
        store.add(*numbered(0, 40))
        store.add(*numbered(40, 8))
        store.delete(np.array([3, 41]))
        return store

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if next(calls, None) is None:
                raise Stop
            return original(*given, **named)

        return call

    work: dict[str, Callable[[FileStore], Any]] = {
        "add": lambda store: store.add(*numbered(45, 10)),
        "delete": lambda store: store.delete(np.array([0, 44])),
        "optimise": lambda store: store.optimise(),
    }
    start = set(range(48)) - {3, 41}
    ends = {"add": start | set(range(45, 55)), "delete": start - {0, 44}, "optimise": start}
    for name, change in work.items():
        stopped, number = True, 0
        while stopped:
            store = prepared(tmp_path / f"{name}-{number}")
            calls = iter(range(number))
            with monkeypatch.context() as context:
                for function in ("fsync", "replace", "unlink"):
                    context.setattr(os, function, counted(getattr(os, function)))
                context.setattr(manifests, "sweep", lambda *_: None)
                try:
                    change(store)
                    stopped = False
                except Stop:
                    store.close()
            again = FileStore.open(tmp_path / f"{name}-{number}", dim=DIM, approximate_from=30)
            assert content(again) in (expected(*start), expected(*ends[name]))
            again.optimise()
            again.add(*numbered(99, 1))
            assert names(again._folder) == named(again._folder)
            assert len(content(again)) in (len(start) + 1, len(ends[name]) + 1)
            number += 1
        assert number > 3


# Processes

WRITER = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from file_store_cases import numbered
    from resight.gallery.stores.files import FileStore
    store = FileStore.open(Path(sys.argv[1]), dim=8, create=True)
    first = int(sys.argv[3])
    print("ready", flush=True)
    while True:
        added = store.add(*numbered(first, 7))
        print("added", first, flush=True)
        first += 7
        if first % 5 == 0:
            store.delete(added[:1])
            print("deleted", first - 7, flush=True)
        if first % 6 == 0:
            store.optimise()
"""


def test_a_killed_writer_loses_nothing_that_it_had_stored(folder: Path) -> None:
    chance = random.Random(3)
    first, added, deleted = 0, set(), set()
    for _ in range(3):
        words = [sys.executable, "-c", textwrap.dedent(WRITER), str(folder)]
        words += [str(Path(__file__).parent), str(first)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.02, 0.4))
            os.kill(process.pid, signal.SIGKILL)
            for line in process.stdout.read().splitlines():
                what, number = line.split()
                if what == "added":
                    added |= set(range(int(number), int(number) + 7))
                else:
                    deleted.add(int(number))
        store = FileStore.open(folder, dim=DIM)
        there = content(store)
        numbers = {int(path.removesuffix(".jpg")) for path in there}
        assert there == expected(*numbers)
        assert not deleted & numbers
        lost = added - deleted - numbers
        assert len(lost) <= 1  # a deletion may be done and not yet told
        assert all(number % 7 == 0 for number in lost)
        more = numbers - added
        assert len(more) in (0, 7)  # a batch may be stored and not yet told, or is not at all
        deleted |= lost
        added |= more
        first = max(added, default=-1) + 1
        store.optimise()
        assert names(folder) == named(folder)
        store.close()
    assert added


def test_others_see_what_was_stored_when_the_call_has_returned(
    store: FileStore, folder: Path
) -> None:
    other = FileStore.open(folder, dim=DIM)
    for number in range(0, 30, 2):
        writer, reader = (store, other) if number % 4 else (other, store)
        ids = writer.add(*numbered(number, 2))
        assert ids.tolist() == [number, number + 1]
        assert content(reader) == expected(*range(number + 2))
    store.delete(np.arange(0, 30, 3))
    assert other.count() == 20
    other.optimise()
    assert content(store) == expected(*(n for n in range(30) if n % 3))


def test_reading_goes_on_while_another_writes(store: FileStore, folder: Path) -> None:
    failures: list[BaseException] = []
    done = threading.Event()

    def reading() -> None:
        reader = FileStore.open(folder, dim=DIM)
        try:
            while not done.is_set():
                hits = reader.search(numbered(0, 2)[1], 30)
                assert len(hits.ids) == 2
                assert reader.count() % 5 == 0
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=reading) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(0, 75, 5):
        store.add(*numbered(number, 5))
        if number % 25 == 0:
            store.optimise()
    done.set()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_what_was_read_is_kept_when_a_writer_replaces_the_rest_meanwhile(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or those who open a large store, while crops are added, would begin again and again."""
    read: list[int] = []

    def read_slowly(path: Path, part: Part) -> Any:
        read.append(part.rows)
        if part.rows in (8, 16):
            with monkeypatch.context() as quickly:
                quickly.setattr(files_segments, "_read_table", read_table)
                store.add(*numbered(200 + part.rows, part.rows))  # replaces the last segment
        return read_table(path, part)

    store.add(*numbered(0, 200))
    store.add(*numbered(200, 8))
    store.count()
    read_table = files_segments._read_table
    with monkeypatch.context() as slowly:
        slowly.setattr(files_segments, "_read_table", read_slowly)
        other = FileStore.open(folder, dim=DIM)
    assert read == [200, 8, 16, 32]
    assert content(other) == expected(*range(232))


def test_a_second_writer_waits_and_then_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PATIENCE", 0.05)
    store = FileStore.open(folder, dim=DIM, create=True)
    ids = store.add(*numbered(0, 2))
    holder = "import fcntl,sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(); input()"
    words = [sys.executable, "-c", holder, str(folder / manifests.LOCK)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for change in (lambda: store.add(*numbered(2, 1)), lambda: store.delete(ids)):
            with pytest.raises(BusyError, match="another process is writing"):
                change()
        assert store.count() == 2
        process.kill()
    assert store.delete(ids) == 2


def test_a_closed_store_says_so(store: FileStore) -> None:
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.count()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        FileStore.open(tmp_path / "file" / "store", dim=DIM, create=True)


# Search


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 70))
@settings(deadline=None)
def test_runs_and_their_parts_cover_what_counts(mask: list[bool], size: int) -> None:
    chosen = np.array(mask, bool)
    table, ids = np.zeros((len(mask), 1), np.float16), np.arange(len(mask))
    whole = Runs(table, ids, *files_scan.runs_of(chosen))
    assert whole.rows == chosen.sum()
    parts = list(files_scan.cut(whole, size))
    assert all(0 < part.rows <= size for part in parts)
    places = [
        place
        for part in parts
        for start, stop in zip(part.starts, part.stops, strict=True)
        for place in range(start, stop)
    ]
    assert places == np.flatnonzero(chosen).tolist()


def tables(vectors: FloatArray, sizes: list[int], mask: BoolArray) -> list[Runs]:
    half, ids = files_scan.to_half(vectors), np.arange(len(vectors)) * 3
    half.flags.writeable = False
    bounds = np.cumsum([0, *sizes])
    return [
        Runs(half[a:b], ids[a:b], *files_scan.runs_of(mask[a:b]))
        for a, b in itertools.pairwise(bounds)
    ]


@pytest.mark.parametrize("k", [1, 10, 700])
@pytest.mark.parametrize("share", [1.0, 0.3, 0.004])
def test_exact_search_is_that_of_float64_for_few_and_many_queries(k: int, share: float) -> None:
    rng = np.random.default_rng(k)
    vectors, queries = units(5_000, 50, seed=1), units(files_scan.FEW + 8, 50, seed=2)
    vectors[100:140] = vectors[0]
    queries[0] = vectors[0]
    mask = rng.random(5_000) < share
    rows = tables(vectors, [3_000, 1_700, 300], mask)
    values, ids = files_scan.search(rows, queries, k)
    stored = np.concatenate([runs.table for runs in rows]).astype(np.float64)
    true = np.where(mask, queries.astype(np.float64) @ stored.T, -np.inf)
    kept = min(k, int(mask.sum()))
    assert (ids[:, kept:] == NO_ROW).all()
    assert np.isneginf(values[:, kept:]).all()
    best = -np.sort(-true, axis=1)[:, :kept]
    np.testing.assert_allclose(values[:, :kept], best, atol=2e-6)
    places = ids[:, :kept] // 3
    np.testing.assert_allclose(np.take_along_axis(true, places, axis=1), best, atol=2e-6)
    ties = np.diff(values[:, :kept], axis=1) == 0
    assert (np.diff(ids[:, :kept], axis=1)[ties] > 0).all()
    for number in (0, 1, 39):
        alone = files_scan.search(rows, queries[number : number + 1], k)
        assert np.array_equal(alone[0][0], values[number])
        assert np.array_equal(alone[1][0], ids[number])


def test_more_equal_rows_than_candidates_come_by_ascending_id() -> None:
    vectors = np.repeat(units(3, 50), 500, axis=0)
    mask = np.ones(1_500, bool)
    queries = np.repeat(units(3, 50), files_scan.FEW, axis=0)
    ids = files_scan.search(tables(vectors, [900, 600], mask), queries, 12)[1]
    assert ids.tolist() == [
        [3 * (first + i) for i in range(12)] for first in np.repeat([0, 500, 1_000], files_scan.FEW)
    ]


def test_tiny_numbers_are_zero_and_others_are_rounded() -> None:
    given = np.array([[1e-5, -6e-5, 6.2e-5, 0.1, -1, 0]], np.float32)
    half = files_scan.to_half(given)
    assert half[0, :2].tolist() == [0, 0]
    np.testing.assert_allclose(half[0, 2:], given[0, 2:], rtol=1e-3)


# The approximate index

WIDE = 32
MANY = 4_000


def clustered(n: int, seed: int) -> FloatArray:
    """Crops of individuals, 20 each."""
    rng = np.random.default_rng(seed)
    centres = units(MANY // 20, WIDE)
    rows = centres[rng.integers(0, len(centres), n)] + 0.1 * rng.standard_normal((n, WIDE))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def fill(store: FileStore, vectors: FloatArray, first: int = 0) -> IntArray:
    """Every fortieth row is of camera c0."""
    known = vars(rows_of([str(first + i) for i in range(len(vectors))]))
    cameras = tuple(f"c{i % 40}" for i in range(len(vectors)))
    return store.add(Rows(**{**known, "cameras": cameras}), vectors)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """An approximate index with fewer rows than in earnest."""
    monkeypatch.setattr(files_coding, "EXACT_UNDER", 500)
    monkeypatch.setattr(files_coding, "LEAST_CANDIDATES", 32)
    monkeypatch.setattr(files_coding, "MOST_CANDIDATES", 512)
    monkeypatch.setattr(files_changes, "WIDTHS", (1, 16))
    monkeypatch.setattr(files_changes, "MOST_ROWS", 1_500)


@pytest.fixture
def indexed(folder: Path, small: None) -> Iterator[FileStore]:
    store = FileStore.open(folder, dim=WIDE, create=True, approximate_from=MANY)
    for first in range(0, MANY, 1_000):
        fill(store, clustered(1_000, seed=first), first)
    assert store.state().kind == "exact"
    store.optimise()
    yield store
    store.close()


def recall(store: FileStore, queries: FloatArray, where: Filter = ALL, k: int = 10) -> float:
    """Of the approximate search, which it must be."""
    found, true = store.search(queries, k, where), store.search(queries, k, where, exact=True)
    assert not found.exact
    assert true.exact
    pairs = zip(found.ids.tolist(), true.ids.tolist(), strict=True)
    return float(np.mean([len({*a} & {*b}) / k for a, b in pairs]))


def test_the_index_finds_what_it_says(indexed: FileStore, folder: Path) -> None:
    state = indexed.state()
    assert state.rows == MANY
    assert state.kind.startswith("codes of 16 bytes")
    assert state.recall is not None
    assert state.recall >= 0.98
    assert state.queries == 128
    for n in (1, 3, 40):
        assert recall(indexed, clustered(n, seed=99)) >= 0.95
    assert recall(indexed, clustered(40, seed=99), k=35) >= 0.95
    assert FileStore.open(folder, dim=WIDE).state() == state
    assert names(folder) == named(folder)


def test_similarities_of_the_index_are_the_exact_ones(indexed: FileStore) -> None:
    queries = clustered(30, seed=98)
    near, true = indexed.search(queries, 5), indexed.search(queries, 5, exact=True)
    same = near.ids == true.ids
    assert same.mean() > 0.9
    assert np.array_equal(near.similarities[same], true.similarities[same])


def test_the_index_honours_filters_and_small_selections_are_exact(indexed: FileStore) -> None:
    queries = clustered(40, seed=97)
    half = Filter(without_cameras=frozenset(f"c{i}" for i in range(20)))
    assert recall(indexed, queries, half) >= 0.95
    assert (indexed.search(queries, 10, half).ids % 40 >= 20).all()
    one = Filter(cameras=frozenset(["c0"]))
    few = indexed.search(queries, 10, one)
    assert few.exact
    assert (few.ids % 40 == 0).all()
    best = int(indexed.search(queries[:1], 1).ids[0, 0])
    assert best not in indexed.search(queries[:1], 50, Filter(without=frozenset([best]))).ids


def test_rows_are_found_before_and_after_they_are_coded(indexed: FileStore) -> None:
    new = units(60, WIDE, seed=5)
    ids = fill(indexed, new, MANY)
    for _ in range(2):
        for queries in (new, new[:1]):
            hits = indexed.search(queries, 3)
            assert not hits.exact
            assert hits.ids[:, 0].tolist() == ids[: len(queries)].tolist()
        state = indexed.optimise()
    assert state.rows == MANY + 60
    indexed.delete(ids[:30])
    assert not np.isin(indexed.search(new, 3).ids, ids[:30]).any()


def test_the_index_is_made_anew_when_rows_have_grown_and_dropped_when_few_are_left(
    indexed: FileStore, folder: Path
) -> None:
    (before,) = folder.glob("coding-*")
    fill(indexed, clustered(2_000, seed=12), MANY)
    state = indexed.optimise()
    assert list(folder.glob("coding-*")) != [before]
    assert (state.recall or 0) >= 0.98
    indexed.delete(np.arange(3_000))
    assert indexed.optimise().kind == "exact"
    assert names(folder) == named(folder)
    assert not list(folder.glob("cod*"))
    assert indexed.search(clustered(2, seed=1), 3).exact


def test_codes_that_find_too_little_are_not_used(
    folder: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_changes, "WIDTHS", (1, 2))
    store = FileStore.open(folder, dim=WIDE, create=True, approximate_from=1_000)
    fill(store, units(2_000, WIDE, seed=3))
    state = store.optimise()
    assert (state.kind, state.recall, state.queries) == ("exact", None, 0)
    assert not list(folder.glob("cod*"))
    assert store.search(units(1, WIDE), 3).exact
    before = manifests.text_of(folder)
    store.optimise()
    assert manifests.text_of(folder) == before


@pytest.mark.parametrize("kind", ["codes-*.i8", "coding-*.npz"])
@pytest.mark.parametrize("harm", [b"", b"PK\3\4 no archive"])
def test_a_damaged_index_is_told(indexed: FileStore, folder: Path, kind: str, harm: bytes) -> None:
    path = next(folder.glob(kind))
    path.write_bytes(harm)
    with pytest.raises(StoreError, match=path.name):
        FileStore.open(folder, dim=WIDE)


def test_an_encoding_with_any_bytes_changed_is_told_or_read(tmp_path: Path) -> None:
    path = tmp_path / "coding.npz"
    files_coding.fit(units(100, 32), 8).write(path)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for number in range(300):
        changed = np.frombuffer(content, np.uint8).copy()
        changed[rng.integers(0, len(changed), 4)] = rng.integers(0, 256, 4)
        path.write_bytes(changed[: None if number % 2 else rng.integers(len(changed))].tobytes())
        with contextlib.suppress(StoreError):
            assert files_coding.Encoding.read(path, 32).width == 8
