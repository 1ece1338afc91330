"""What only stores in Milvus do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from pymilvus import MilvusClient
from store_places import DIM, Place
from test_stores import CORNERS, as_rows, crop, fill

from resight.errors import BusyError, StoreError
from resight.gallery.records import NO_ROW, Filter
from resight.gallery.store import Store, open_store
from resight.gallery.stores.milvus import MilvusStore
from resight.gallery.stores.milvus_collection import Collection
from resight.gallery.stores.milvus_rows import Books, expression

only = pytest.mark.parametrize("place", ["milvus"], indirect=True)
CHANGES = ("insert", "upsert", "delete")


class Cut(Exception):
    """Where a test cuts an add short, as a crash would."""


@contextmanager
def cut(store: MilvusStore, at: int, *, after: bool) -> Iterator[None]:
    """Within it the store's change number `at` fails, before or after it is made."""
    ask, left = store._collection.ask, at

    def asking(what: str, **given: Any) -> Any:
        nonlocal left
        left -= what in CHANGES
        if left < 0 and not after:
            raise Cut
        answer = ask(what, **given)
        if left < 0:
            raise Cut
        return answer

    with patch.object(store._collection, "ask", asking):
        yield


def seen(store: Store) -> dict[str, str]:
    """The stamp of each path, as every kind of reading tells it."""
    rows = store.rows(store.select())
    found = store.find("s", tuple(f"{i}.jpg" for i in range(8)))
    there = store.search(CORNERS[:1], 99).ids[0]
    assert sorted(there[there != NO_ROW].tolist()) == rows.ids.tolist()
    assert sorted(found[found != NO_ROW].tolist()) == rows.ids.tolist()
    assert store.count() == sum(store.cameras().values()) == len(set(rows.paths)) == len(rows)
    return dict(zip(rows.paths, rows.stamps, strict=True))


@pytest.mark.parametrize("after", [False, True])
@only
def test_an_add_cut_short_anywhere_is_seen_whole_or_not_at_all(place: Place, after: bool) -> None:
    outcomes = set()
    for at in range(20):
        store = place.empty()
        assert isinstance(store, MilvusStore)
        fill(store, 3, stamp="old")
        before = seen(store)
        new = as_rows([crop(f"{i}.jpg", stamp="new", camera=str(at)) for i in (5, 1, 6, 0, 7)])
        with patch.object(store, "_chunk", 2):
            try:
                with cut(store, at, after=after):
                    store.add(new, CORNERS[:5])
            except Cut:
                now = seen(place.open())
                assert now == seen(store)
                assert now in (before, {"2.jpg": "old"} | dict.fromkeys(new.paths, "new"))
                outcomes.add(now == before)
            else:
                break
        last = fill(store, 2, stamp="last")[0]
        rows = seen(store)
        assert rows["0.jpg"] == rows["1.jpg"] == "last"
        assert store.select()[-2:].tolist() == last.tolist()
        left = store._collection.ask("query", filter="id >= 0", output_fields=["id"])
        assert sorted(record["id"] for record in left) == store.select().tolist()
    assert at > 5
    assert outcomes == {False, True}


@only
def test_an_index_whose_building_was_cut_short_is_built_on_opening(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resight.gallery.stores.milvus.INDEX_FROM", 10)
    store = place.empty("cut")
    ids, vectors = fill(store, 20)
    with (
        patch.object(Collection, "load", side_effect=Cut),
        pytest.raises(Cut),
    ):
        store.optimise()
    with pytest.raises(BusyError, match="perhaps because its index is being built"):
        store.search(vectors[:1], 2)
    again = place.reopened("cut")
    assert again.select().tolist() == ids.tolist()
    assert not again.search(vectors[:1], 2).exact
    assert again.optimise().recall == 1.0


@only
def test_the_first_and_the_last_time_lie_beyond_any_page(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resight.gallery.stores.milvus._MOST", 3)
    store = place.empty()
    for times in (range(20), range(20, 0, -1), (3, 9, 4, 1, 5, 1, 2, 6)):
        rows = as_rows([crop(str(i), time=float(time)) for i, time in enumerate(times)])
        store.delete(store.add(rows, CORNERS[np.arange(len(times)) % 16])[:1])
        assert store.times() == (min(times[1:]), max(times[1:]))
        store.delete(store.select())


@only
def test_databases_are_made_and_kept_apart(place: Place, milvus_url: str) -> None:
    base = milvus_url.rpartition("/")[0]
    address = f"{base}/resight_tests?collection=a"
    with pytest.raises(StoreError, match="no database 'resight_tests'"):
        open_store(address, Path("unused"), dim=DIM)
    store = open_store(address, Path("unused"), dim=DIM, create=True)
    fill(store, 3)
    assert place.empty().count() == 0
    assert open_store(address, Path("unused"), dim=DIM).count() == 3
    assert store.delete(store.select()) == 3


@only
def test_what_is_no_store_is_refused(place: Place, milvus_url: str) -> None:
    name = place.address("foreign").rpartition("=")[2]
    client = MilvusClient(milvus_url.removeprefix("milvus+"))
    client.create_collection(name, dimension=DIM)
    for create in (False, True):
        with pytest.raises(StoreError, match="no store of resight"):
            place.open("foreign", create=create)


def test_expressions_hold_nothing_that_somebody_wrote() -> None:
    hostile = '"] or id > 0 or camera_key in ["'
    where = Filter(
        cameras=frozenset([hostile]),
        without_cameras=frozenset([hostile + "x"]),
        source=hostile,
        since=-np.inf,
        until=1e300,
        without=frozenset([np.int64(3), 5]),
    )
    text = expression(where, Books(end=9, hidden=(4,)))
    assert "or" not in text
    assert text.count('"') == 6
    assert "id not in [3, 4, 5]" in text
