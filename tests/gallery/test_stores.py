"""What every store promises, checked on each kind of them, the servers being real ones."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from gallery_cases import units
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore
from store_places import DIM, Place

from resight.errors import StoreError
from resight.gallery.records import ALL, NO_ROW, Filter, Rows
from resight.gallery.store import Store
from resight.records import FloatArray, IntArray

# Half of ±1 each: length 1, and products are multiples of 1/4, exact in every precision.
CORNERS = np.array(list(itertools.product((-0.5, 0.5), repeat=DIM)), dtype=np.float32)
SOURCES = ("", "town", "'; DROP TABLE main; --", "/mnt/夜 🎥")
PATHS = ("a.jpg", "b/ü.jpg", "x\ny\t.png", '" or 1==1', "{} %s %(x)s \\", "e\u0301", "\u00e9")
CAMERAS = ("", "c1", '" or 1==1', "') or true --", "x\n\\'", "摄像头", "$meta", "NULL", "%")
TIMES = (math.nan, -5.5, 0.0, 1.0, 1.7e9 + 0.125)
ADDED = (0.0, 1.0, 2.0)


def crop(path: str, /, **known: Any) -> dict[str, Any]:
    blank = {"source": "s", "stamp": "", "camera": "", "time": math.nan, "track": -1, "added": 0.0}
    return {**blank, "path": path, **known}


def as_rows(crops: Sequence[dict[str, Any]]) -> Rows:
    words = {name: tuple(c[name[:-1]] for c in crops) for name in ("sources", "paths", "stamps")}
    return Rows(
        **words,
        cameras=tuple(c["camera"] for c in crops),
        times=np.array([c["time"] for c in crops], np.float64),
        tracks=np.array([c["track"] for c in crops], np.int64),
        added=np.array([c["added"] for c in crops], np.float64),
        ids=np.full(len(crops), NO_ROW),
    )


def fill(store: Store, n: int, *, seed: int = 0, **known: Any) -> tuple[IntArray, FloatArray]:
    """Add n crops of random corners; their ids and embeddings."""
    vectors = CORNERS[np.random.default_rng(seed).integers(len(CORNERS), size=n)]
    return store.add(as_rows([crop(f"{i}.jpg", **known) for i in range(n)]), vectors), vectors


def refused(store: Store, rows: Rows) -> str:
    """Why a store does not keep rows."""
    with pytest.raises(StoreError) as caught:
        store.add(rows, CORNERS[: len(rows)])
    return str(caught.value)


def same_rows(got: Rows, expected: Rows) -> None:
    for name in ("sources", "paths", "stamps", "cameras"):
        assert getattr(got, name) == getattr(expected, name)
    for name in ("times", "tracks", "added"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))


crops = st.builds(
    crop,
    st.sampled_from(PATHS),
    source=st.sampled_from(SOURCES),
    stamp=st.sampled_from(PATHS),
    camera=st.sampled_from(CAMERAS),
    time=st.sampled_from(TIMES),
    track=st.sampled_from([-1, 0, 2**53 + 1]),
    added=st.sampled_from(ADDED),
)
batches = st.lists(
    st.tuples(crops, st.integers(0, len(CORNERS) - 1)),
    max_size=8,
    unique_by=lambda pair: (pair[0]["source"], pair[0]["path"]),
)
cameras = st.frozensets(st.sampled_from([*CAMERAS, "no such camera"]), max_size=4)
filters = st.builds(
    Filter,
    cameras=st.none() | cameras,
    without_cameras=cameras,
    since=st.none() | st.sampled_from([-math.inf, -5.5, 0.5, math.inf]),
    until=st.none() | st.sampled_from([-math.inf, 0.0, 1.7e9 + 0.125, math.inf]),
    added_before=st.none() | st.sampled_from([*ADDED, math.inf]),
    source=st.none() | st.sampled_from([*SOURCES, "no such source"]),
    without=st.frozensets(st.integers(0, 60), max_size=6),
)


class Comparison:
    """A store beside a reference that is given the same; ids of one by those of the other."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.model = MemoryStore(DIM)
        self.own: dict[int, int] = {}

    def add(self, batch: list[tuple[dict[str, Any], int]]) -> None:
        rows = as_rows([given for given, _ in batch])
        vectors = CORNERS[[corner for _, corner in batch]].reshape(-1, DIM)
        ids = self.store.add(rows, vectors).tolist()
        assert ids == sorted(set(ids))
        assert not ids or ids[0] > max(self.own.values(), default=-1)
        self.own |= dict(zip(self.model.add(rows, vectors).tolist(), ids, strict=True))

    def delete(self, some: frozenset[int]) -> None:
        there = {self.own[i] for i in some if i in self.own}
        deleted = self.store.delete(np.array(sorted(there), dtype=np.int64))
        assert deleted == self.model.delete(np.array(sorted(some), dtype=np.int64))

    def check(self, where: Filter, corner: int, k: int) -> None:
        """The filter's `without` has ids of the reference."""
        mine = frozenset(self.own[i] for i in where.without if i in self.own)
        here = Filter(**{**vars(where), "without": mine})
        expected = self.own_ids(self.model.select(where))
        assert self.store.count(here) == len(expected)
        assert self.store.select(here).tolist() == expected
        best = self.model.search(CORNERS[[corner, 0]], k, where)
        for exact in (False, True):
            hits = self.store.search(CORNERS[[corner, 0]], k, here, exact=exact)
            assert hits.exact
            assert hits.ids.tolist() == [self.own_ids(line) for line in best.ids]
            np.testing.assert_allclose(hits.similarities, best.similarities, atol=1e-5)

    def check_all(self) -> None:
        """Whatever else a store tells."""
        known = self.model.select()
        ids = np.array(self.own_ids(known), dtype=np.int64)
        same_rows(self.store.rows(ids), self.model.rows(known))
        assert self.store.rows(ids).ids.tolist() == ids.tolist()
        np.testing.assert_array_equal(self.store.vectors(ids), self.model.vectors(known))
        assert list(self.store.cameras().items()) == list(self.model.cameras().items())
        assert self.store.times() == self.model.times()
        assert self.store.state().rows == len(ids)
        for source in SOURCES:
            found = self.store.find(source, PATHS).tolist()
            assert found == self.own_ids(self.model.find(source, PATHS))

    def own_ids(self, ids: IntArray) -> list[int]:
        return [NO_ROW if i == NO_ROW else self.own[int(i)] for i in ids]


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_sequence_of_changes_is_seen_as_a_plain_dictionary_sees_it(
    place: Place, data: st.DataObject
) -> None:
    both = Comparison(place.empty())
    for step in data.draw(st.lists(st.sampled_from(["add", "add", "delete", "open"]), max_size=5)):
        if step == "add":
            both.add(data.draw(batches))
        elif step == "delete":
            both.delete(data.draw(st.frozensets(st.integers(0, 40), max_size=6)))
        else:
            both.store = place.reopened()
        both.check(*data.draw(st.tuples(filters, st.integers(0, 15), st.integers(1, 20))))
    both.check_all()


def test_filters_hold_in_every_combination(store: Store) -> None:
    both = Comparison(store)
    known = itertools.product(("", "c1", '" or 1==1'), TIMES[:4], ADDED[:2], SOURCES[:2])
    named = ("camera", "time", "added", "source")
    both.add(
        [
            (crop(f"{i}", **dict(zip(named, values, strict=True))), i % len(CORNERS))
            for i, values in enumerate(known)
        ]
    )
    for number, values in enumerate(
        itertools.product(
            (None, frozenset(), frozenset(["c1", '" or 1==1'])),
            (frozenset(), frozenset(["c1"])),
            (None, 0.0),
            (None, 0.0),
            (None, 1.0),
            (None, "town"),
            (frozenset(), frozenset(range(0, 48, 3))),
        )
    ):
        if number % 5 == 0 or number > 180:
            both.check(Filter(*values), number % len(CORNERS), 7)


def test_an_empty_store_answers(store: Store) -> None:
    none = np.empty(0, dtype=np.int64)
    assert store.add(as_rows([]), np.empty((0, DIM), np.float32)).tolist() == []
    assert store.count() == 0
    assert store.select().tolist() == []
    assert store.cameras() == {}
    assert len(store.rows(none)) == 0
    assert store.vectors(none).shape == (0, DIM)
    assert store.find("s", ("a", "b")).tolist() == [NO_ROW, NO_ROW]
    assert store.find("s", ()).tolist() == []
    assert store.delete(none) == 0
    assert store.delete(np.array([0, 5, -1])) == 0
    hits = store.search(CORNERS[:2], 3)
    assert hits.ids.tolist() == [[NO_ROW] * 3] * 2
    assert np.isneginf(hits.similarities).all()
    assert store.search(CORNERS[:0], 3).ids.shape == (0, 3)
    assert store.optimise().rows == 0


def test_ids_grow_and_are_never_given_again(place: Place) -> None:
    store = place.empty()
    first, _ = fill(store, 3)
    assert store.delete(first) == 3
    assert store.delete(first) == 0
    second, _ = fill(store, 2)
    assert second.min() > first.max()
    store.delete(second)
    third, _ = fill(place.reopened(), 1)
    assert third.min() > second.max()


def test_a_crop_of_the_same_source_and_path_is_replaced(store: Store) -> None:
    old = store.add(as_rows([crop("a", camera="1"), crop("b")]), CORNERS[:2])
    new = store.add(as_rows([crop("c"), crop("a", stamp="2", time=3.0)]), CORNERS[2:4])
    assert store.select().tolist() == [old[1], *new]
    assert store.find("s", ("a", "b", "c")).tolist() == [new[1], old[1], new[0]]
    assert store.cameras() == {"": 3}
    np.testing.assert_array_equal(store.vectors(new[1:]), CORNERS[3:4])
    with pytest.raises(KeyError):
        store.rows(old)
    other = store.add(as_rows([crop("a", source="t")]), CORNERS[:1])
    assert store.select().tolist() == [old[1], *new, *other]


def test_rows_come_in_the_order_asked_for_and_as_often(store: Store) -> None:
    ids, vectors = fill(store, 5)
    asked = ids[[3, 0, 3, 4]]
    assert store.rows(asked).paths == ("3.jpg", "0.jpg", "3.jpg", "4.jpg")
    assert store.rows(asked).ids.tolist() == asked.tolist()
    np.testing.assert_array_equal(store.vectors(asked), vectors[[3, 0, 3, 4]])
    for wrong in (np.append(ids, ids.max() + 1), np.array([-1]), np.array([-2])):
        with pytest.raises(KeyError):
            store.rows(wrong)
        with pytest.raises(KeyError):
            store.vectors(wrong)


def test_selecting_goes_on_where_it_stopped(store: Store) -> None:
    ids, _ = fill(store, 10)
    assert store.select(after=int(ids[3]), limit=4).tolist() == ids[4:8].tolist()
    assert store.select(after=int(ids[9])).tolist() == []
    assert store.select(limit=0).tolist() == []
    assert store.select(limit=99).tolist() == ids.tolist()
    assert store.select(after=-99, limit=1).tolist() == ids[:1].tolist()


@pytest.mark.parametrize(
    ("paths", "vectors"),
    [
        (["a"], units(1, DIM + 1)),
        (["a", "b"], units(1, DIM)),
        (["a"], np.full((1, DIM), np.nan, np.float32)),
        (["a", "b"], np.array([[1, 0, 0, 0], [np.inf, 0, 0, 0]], np.float32)),
        (["a", "b", "a"], units(3, DIM)),
    ],
)
def test_what_cannot_be_stored_is_refused_whole(
    store: Store, paths: list[str], vectors: FloatArray
) -> None:
    ids = store.add(as_rows([crop("a")]), CORNERS[:1])
    with pytest.raises(ValueError):  # noqa: PT011
        store.add(as_rows([crop(path) for path in paths]), vectors)
    assert store.select().tolist() == ids.tolist()


@pytest.mark.parametrize("known", [{"time": math.inf}, {"added": math.nan}, {"added": math.inf}])
def test_what_is_no_time_is_refused(store: Store, known: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no times"):
        store.add(as_rows([crop("a", **known)]), CORNERS[:1])
    assert store.count() == 0


def test_similarities_are_those_of_float64_and_none_better_is_missed(place: Place) -> None:
    dim, k = 33, 25
    store = place.empty("wide", dim=dim)
    given = units(400, dim, seed=1)
    rows = as_rows([crop(str(i), camera=str(i % 3)) for i in range(400)])
    ids = store.add(rows, given)
    kept = store.vectors(ids)
    assert np.abs(kept - given).max() < 1e-3  # some keep half the precision
    queries = units(7, dim, seed=2)
    where = Filter(without_cameras=frozenset("1"))
    true = np.where(np.arange(400) % 3 == 1, -np.inf, queries.astype(float) @ kept.T.astype(float))
    hits = store.search(queries, k, where, exact=True)
    assert hits.exact
    for row, got in zip(true, hits.ids, strict=True):
        assert len(set(got.tolist())) == k
        places = np.searchsorted(ids, got)
        assert np.delete(row, places).max() <= row[places].min() + 1e-5
    found = np.take_along_axis(true, np.searchsorted(ids, hits.ids), axis=1)
    np.testing.assert_allclose(hits.similarities, found, atol=1e-5)
    assert (np.diff(hits.similarities, axis=1) <= 0).all()


def test_equal_rows_come_by_ascending_id(place: Place) -> None:
    store = place.empty("wide", dim=33)
    one, others = units(1, 33, seed=3), units(70, 33, seed=4)
    mixed = np.concatenate([np.repeat(one, 70, axis=0), others])
    order = np.random.default_rng(5).permutation(len(mixed))
    ids = store.add(as_rows([crop(str(i)) for i in order]), mixed[order])
    equal = ids[order < 70]
    hits = store.search(np.concatenate([one, one]), 9)
    assert hits.ids.tolist() == [equal[:9].tolist()] * 2
    assert len(set(hits.similarities.ravel().tolist())) == 1
    assert store.search(one, 70).ids[0].tolist() == equal.tolist()
    assert store.search(one, 200).ids[0].tolist().count(NO_ROW) == 60


@pytest.mark.parametrize("column", ["source", "path", "stamp", "camera"])
def test_texts_are_as_long_as_every_store_keeps_them(store: Store, column: str) -> None:
    longest = 1_024 if column == "camera" else 4_096
    given = as_rows([crop("p", **{column: "é" * (longest // 2)})])
    store.add(given, CORNERS[:1])
    same_rows(store.rows(store.select()), given)
    for text in ("é" * (longest // 2) + "x", "夜" * 70_000):
        refusal = refused(store, as_rows([crop("q"), crop("p", **{column: text})]))
        assert f"{len(text.encode())} bytes: a store keeps at most {longest}" in refusal
        assert f"one of the {column}s, " in refusal
        assert len(refusal) < 400
    same_rows(store.rows(store.select()), given)


@pytest.mark.parametrize("text", ["a\0b", "\udcff.jpg", "\ud83c\udfa5"])
@pytest.mark.parametrize("column", ["source", "path", "stamp", "camera"])
def test_texts_that_are_none_are_refused_in_a_sentence(
    store: Store, column: str, text: str
) -> None:
    refusal = refused(store, as_rows([crop("first"), crop("p", **{column: text})]))
    assert f"one of the {column}s, {text!a}, has a NUL or is no valid Unicode" in refusal
    assert store.count() == 0
    store.add(as_rows([crop("first")]), CORNERS[:1])
    assert store.count(Filter(cameras=frozenset([text]))) == 0
    assert store.count(Filter(source=text)) == 0
    assert store.count(Filter(without_cameras=frozenset([text]))) == 1
    assert store.find(text, ("first", text)).tolist() == [NO_ROW, NO_ROW]
    assert store.find("s", (text, "first")).tolist() == [NO_ROW, *store.select()]


def test_the_first_and_the_last_time_are_those_of_rows_that_are_there(place: Place) -> None:
    store = place.empty()
    assert store.times() is None
    fill(store, 3)
    assert store.times() is None
    known = (7.5, 1.7e9 + 0.125, -5.25, 0.0, math.nan)
    rows = as_rows([crop(f"t{i}", time=time) for i, time in enumerate(known)])
    ids = store.add(rows, CORNERS[:5])
    assert store.times() == (-5.25, 1.7e9 + 0.125)
    store.delete(ids[[1, 2]])
    assert store.times() == (0.0, 7.5)
    store.add(as_rows([crop("t3", time=3.0)]), CORNERS[:1])
    assert store.times() == (3.0, 7.5)
    assert place.reopened().times() == (3.0, 7.5)
    store = place.reopened()
    store.delete(store.find("s", ("t0", "t3")))
    assert store.times() is None


def test_bounds_that_are_no_numbers_let_nothing_pass(store: Store) -> None:
    fill(store, 3, time=1.0)
    for name in ("since", "until", "added_before"):
        assert store.count(Filter(**{name: math.nan})) == 0
        assert (store.search(CORNERS[:1], 2, Filter(**{name: math.nan})).ids == NO_ROW).all()


def test_a_reopened_store_is_the_same(place: Place) -> None:
    store = place.empty()
    ids, vectors = fill(store, 20, camera=CAMERAS[2], time=1.5, track=7)
    before = store.rows(ids), store.search(CORNERS[:3], 5)
    store.delete(ids[:4])
    store = place.reopened()
    assert store.select().tolist() == ids[4:].tolist()
    same_rows(store.rows(ids[4:]), before[0].select(np.arange(4, 20)))
    np.testing.assert_array_equal(store.vectors(ids[4:]), vectors[4:])
    assert store.cameras() == {CAMERAS[2]: 16}


def test_stores_of_different_names_do_not_mix(place: Place) -> None:
    one, other = place.empty(), place.empty("other")
    ids, _ = fill(one, 4, camera="one")
    fill(other, 6, camera="other")
    assert one.cameras() == {"one": 4}
    assert other.cameras() == {"other": 6}
    one.delete(ids)
    assert other.count() == 6
    assert (other.search(CORNERS[:1], 9).ids != NO_ROW).sum() == 6


def test_a_store_that_is_missing_or_does_not_fit_is_refused(place: Place) -> None:
    with pytest.raises(StoreError):
        place.open("absent")
    if place.kind != "memory":
        place.empty()
        with pytest.raises(StoreError, match=f"(?s){DIM}.*{DIM + 3}|{DIM + 3}.*{DIM}"):
            place.open(dim=DIM + 3)


def test_threads_add_delete_and_search_at_once(store: Store) -> None:
    """Five rows at once; each search sees as many of a source as adds have returned, or more."""
    failures: list[BaseException] = []
    done = dict.fromkeys("ab", 0)
    stop = threading.Event()

    def adding(source: str) -> None:
        for number in range(6):
            rows = [crop(f"{number}/{i}", source=source, camera=source) for i in range(5)]
            ids = store.add(as_rows(rows), CORNERS[:5])
            assert (np.diff(ids) > 0).all()
            done[source] += 5
        store.delete(ids)

    def searching() -> None:
        while not stop.is_set():
            least = done["a"] - 5 * (done["a"] == 30)
            seen = store.count(Filter(source="a"))
            assert seen >= least
            assert seen % 5 == 0
            hits = store.search(CORNERS[:2], 40, Filter(cameras=frozenset("ab")))
            for ids in hits.ids:
                there = ids[ids != NO_ROW].tolist()
                assert len(there) == len(set(there))

    def watched(work: Any, *given: Any) -> None:
        try:
            work(*given)
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=watched, args=(searching,)) for _ in range(2)]
    writers = [threading.Thread(target=watched, args=(adding, source)) for source in "ab"]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert not failures, failures
    assert store.cameras() == {"a": 25, "b": 25}
    assert store.count(ALL) == 50
