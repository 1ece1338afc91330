"""What only stores in PostgreSQL do."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import psycopg
import pytest
from gallery_cases import units
from psycopg import sql
from store_places import DIM, Place
from test_stores import CORNERS, as_rows, crop, fill

from resight.errors import BusyError, StoreError
from resight.gallery.records import Filter
from resight.gallery.store import open_store
from resight.gallery.stores import postgres, postgres_table

only = pytest.mark.parametrize("place", ["postgres"], indirect=True)


def run(url: str, *statements: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(sql.SQL(statement))  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def test_a_table_may_be_named_like_a_word_of_sql(postgres_url: str) -> None:
    for name in ("select", "Select", "user"):
        store = open_store(f"{postgres_url}?table={name}", Path("unused"), dim=DIM, create=True)
        fill(store, len(name))
        assert store.optimise().rows == len(name)
        store.close()
    assert run(postgres_url, 'SELECT count(*) FROM "select"') == [(6,)]
    run(postgres_url, 'DROP TABLE "select", "Select", "user"')


def test_both_spellings_of_an_address_are_the_same_store(postgres_url: str) -> None:
    rest = postgres_url.partition("://")[2]
    addresses = [f"{scheme}://{rest}?table=spelt" for scheme in ("postgres", "postgresql")]
    one, other = (open_store(url, Path("unused"), dim=DIM, create=True) for url in addresses)
    fill(one, 3)
    assert other.count() == 3
    for store in (one, other):
        store.close()
    run(postgres_url, "DROP TABLE spelt")


@only
def test_who_writes_too_long_is_told_of_as_such(place: Place, postgres_url: str) -> None:
    """Adds and deletions wait for one another, or they could for each other's rows in a circle."""
    ids, _ = fill(place.empty(), 3)
    options = quote("-c lock_timeout=100")
    address = f"{place.address('main')}&options={options}"
    store = open_store(address, Path("unused"), dim=DIM)
    name = address.partition("table=")[2].partition("&")[0]
    with psycopg.connect(postgres_url) as connection:
        lock = "SELECT pg_advisory_xact_lock(%s + to_regclass(%s)::oid::bigint)"
        connection.execute(lock, [postgres_table.LOCKS, name])
        for change in (lambda: fill(store, 2), lambda: store.delete(ids)):
            with pytest.raises(BusyError, match="being changed by others"):
                change()
        assert store.count() == 3
    assert store.delete(ids) == 3
    store.close()


def test_an_address_may_say_how_long_to_wait_for_a_silent_server(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[dict[str, str]] = []
    make = psycopg.connect

    def connect(**options: Any) -> Any:
        used.append(options)
        return make(**options)

    address = f"{postgres_url}?table=patient&tcp_user_timeout=1234"
    with monkeypatch.context() as context:
        context.setattr(psycopg, "connect", connect)
        open_store(address, Path("unused"), dim=DIM, create=True).close()
    assert used[0]["tcp_user_timeout"] == "1234"
    assert used[0]["keepalives_idle"] == "10"
    run(postgres_url, "DROP TABLE patient")


@only
def test_connections_that_the_server_drops_are_made_anew(place: Place, postgres_url: str) -> None:
    store = place.empty()
    ids, _ = fill(store, 3)
    run(
        postgres_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database()",
    )
    assert store.select().tolist() == ids.tolist()


@only
def test_a_connection_lost_in_the_middle_leaves_nothing_half_done(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.empty()
    ids, _ = fill(store, 3)
    copy = postgres.PostgresStore._copy

    def dropped(self: object, connection: psycopg.Connection[object], *given: object) -> None:
        copy(self, connection, *given)  # type: ignore[arg-type]
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with monkeypatch.context() as patch:
        patch.setattr(postgres.PostgresStore, "_copy", dropped)
        with pytest.raises(StoreError, match="terminating connection"):
            fill(store, 6)
    assert store.select().tolist() == ids.tolist()
    assert fill(store, 6)[0].min() > ids.max()
    assert store.count() == 6


@only
def test_who_adds_waits_for_whoever_adds_before(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a reader that goes on after the last id it saw would miss the smaller ones."""
    store = place.empty()
    copy = postgres.PostgresStore._copy
    begun, go_on = threading.Event(), threading.Event()

    def slow(self: postgres.PostgresStore, *given: Any) -> None:
        begun.set()
        assert go_on.wait(30)
        copy(self, *given)

    ids: dict[str, list[int]] = {}

    def add(name: str) -> None:
        ids[name] = store.add(as_rows([crop(name)]), CORNERS[:1]).tolist()

    first, second = (threading.Thread(target=add, args=(name,)) for name in "ab")
    monkeypatch.setattr(postgres.PostgresStore, "_copy", slow)
    first.start()
    assert begun.wait(30)
    begun.clear()
    second.start()
    waits = not begun.wait(0.5)
    go_on.set()
    first.join()
    second.join()
    assert waits
    assert ids["a"] < ids["b"]


@only
def test_rows_that_a_scan_of_the_index_does_not_reach_are_found_all_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "INDEX_FROM", 500)
    store = place.empty("reached", dim=8)
    given = units(600, 8)
    rows = as_rows([crop(str(i), time=float(i)) for i in range(600)])
    ids = store.add(rows, given)
    store.optimise()
    settings = ["enable_seqscan=off", "enable_sort=off", "hnsw.max_scan_tuples=1"]
    options = quote(" ".join(f"-c {setting}" for setting in settings))
    address = f"{place.address('reached')}&options={options}"
    limited = open_store(address, Path("unused"), dim=8)
    hits = limited.search(-given[300:301], 5, Filter(since=298.0, until=302.0))
    assert set(hits.ids[0].tolist()) == set(ids[298:303].tolist())
    limited.close()


@only
def test_what_is_no_store_is_refused(
    place: Place, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.empty()
    address = place.address("foreign")
    name = address.rpartition("=")[2]
    run(postgres_url, f"CREATE TABLE {name} (id int, embedding vector({DIM}))")
    for create in (False, True):
        with pytest.raises(StoreError, match="no store of resight"):
            place.open("foreign", create=create)
    monkeypatch.setattr(postgres_table, "_OLDEST", (99, 0))
    with pytest.raises(StoreError, match=r"has pgvector 0\.\d+\.\d+, .* or later is needed"):
        place.open()


@only
def test_a_database_without_the_extension_is_refused(place: Place, postgres_url: str) -> None:
    bare, latin = (f"{place.address(name).rpartition('=')[2]}" for name in ("bare", "latin"))
    base = postgres_url.rpartition("/")[0]
    run(
        postgres_url,
        f"CREATE DATABASE {bare} TEMPLATE template0",
        f"CREATE DATABASE {latin} TEMPLATE template0 ENCODING 'SQL_ASCII'",
    )
    try:
        with pytest.raises(StoreError, match="has no extension vector"):
            open_store(f"{base}/{bare}?table=a", Path("unused"), dim=DIM)
        with pytest.raises(StoreError, match="does not keep UTF8"):
            open_store(f"{base}/{latin}?table=a", Path("unused"), dim=DIM, create=True)
        if int(run(postgres_url, "SHOW server_version_num")[0][0]) >= 180_000:  # type: ignore[call-overload]
            run(postgres_url, f"ALTER DATABASE {bare} SET extension_control_path = '/nowhere'")
            with pytest.raises(StoreError, match="install pgvector on the server"):
                open_store(f"{base}/{bare}?table=a", Path("unused"), dim=DIM, create=True)
    finally:
        run(postgres_url, f"DROP DATABASE {bare}", f"DROP DATABASE {latin}")


@pytest.mark.parametrize(("dim", "indexed"), [(1, True), (2500, True), (4001, False)])
@only
def test_any_number_of_dimensions_is_searched(
    place: Place, dim: int, indexed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "INDEX_FROM", 10)
    name = f"dim{dim}"
    store = place.empty(name, dim=dim)
    given = units(12, dim)
    ids = store.add(as_rows([crop(str(i)) for i in range(12)]), given)
    assert (store.optimise().recall is not None) == indexed
    hits = store.search(given[:3], 1)
    assert hits.exact != indexed
    np.testing.assert_allclose(hits.similarities, 1, atol=1e-5)
    if dim > 1:
        assert hits.ids[:, 0].tolist() == ids[:3].tolist()


def test_more_dimensions_than_pgvector_has_are_refused(postgres_url: str) -> None:
    with pytest.raises(StoreError, match=r"16000 .* 16001"):
        open_store(f"{postgres_url}?table=a", Path("unused"), dim=16_001, create=True)


@only
def test_the_index_is_what_answers(
    place: Place, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "INDEX_FROM", 2_000)
    store = place.empty("scanned")
    vectors = np.tile(CORNERS, (125, 1)) + units(2_000, DIM, seed=1) / 10
    store.add(as_rows([crop(str(i)) for i in range(2_000)]), vectors)
    store.optimise()
    index = place.address("scanned").rpartition("=")[2] + "_hnsw"
    scans = f"SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = '{index}'"
    run(postgres_url, "SELECT pg_stat_force_next_flush()")
    store.search(vectors[:50], 3, exact=True)
    store.close()
    before = run(postgres_url, scans)[0][0]
    store = place.reopened("scanned")
    store.search(vectors[:50], 3)
    place.close()
    assert run(postgres_url, scans)[0][0] >= before + 50  # type: ignore[operator]
