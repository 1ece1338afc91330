"""What stores on servers do besides: approximate search, refusals, secrets, servers that stop."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gallery_cases import units
from store_places import DIM, Place
from store_servers import PASSWORD, QUOTED, MilvusLite, Postgres, free_port
from test_stores import CORNERS, as_rows, crop, fill

from resight.errors import ConfigError, ResightError, StoreError
from resight.gallery.records import NO_ROW, Filter
from resight.gallery.store import Store, open_store

SERVERS = ("milvus", "postgres")
OPTION = {"milvus": "collection", "postgres": "table"}
on_servers = pytest.mark.parametrize("place", SERVERS, indirect=True)


def patiently(attempt: Callable[[], Store]) -> Store:
    patient_until = time.monotonic() + 10
    while True:
        try:
            return attempt()
        except StoreError:
            if time.monotonic() > patient_until:
                raise
            time.sleep(0.1)


@on_servers
def test_the_index_is_measured_and_loses_no_filtered_row(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in SERVERS:
        monkeypatch.setattr(f"resight.gallery.stores.{kind}.INDEX_FROM", 300)
    store = place.empty("indexed", dim=24)
    given = units(600, 24, seed=1)
    rows = as_rows([crop(str(i), camera="rare" if i % 250 == 7 else "usual") for i in range(600)])
    ids = store.add(rows.select(np.arange(200)), given[:200])
    assert store.optimise().recall is None
    ids = np.concatenate([ids, store.add(rows.select(np.arange(200, 600)), given[200:])])
    told = store.optimise()
    assert told.rows == 600
    assert told.queries == 100
    assert told.recall is not None
    assert told.recall > 0.9
    assert "HNSW" in told.kind

    queries = units(5, 24, seed=2)
    best = ids[np.argsort(-(queries.astype(float) @ given.T), axis=1)[:, :10]]
    exact = store.search(queries, 10, exact=True)
    assert exact.exact
    assert exact.ids.tolist() == best.tolist()
    near = store.search(queries, 10)
    assert not near.exact
    assert np.mean([np.isin(*pair).mean() for pair in zip(near.ids, best, strict=True)]) > 0.9
    rare = store.search(queries, 5, Filter(cameras=frozenset(["rare"])))
    assert all(set(line) == {*ids[[7, 257, 507]].tolist(), NO_ROW} for line in rare.ids.tolist())

    store.delete(near.ids[0])
    new = store.add(as_rows([crop("new")]), queries[:1])
    assert store.search(queries[:1], 1).ids.tolist() == [new.tolist()]
    assert not np.isin(near.ids[0], store.search(queries[:1], 50).ids).any()
    assert place.reopened("indexed", dim=24).state().recall == told.recall
    assert place.reopened("indexed", dim=24).optimise().rows == 591


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize(
    "address",
    [
        f"tester:{PASSWORD}@127.0.0.1:1/db?OPTION=t",
        f"tester:{QUOTED}@127.0.0.1:{{port}}/db?OPTION=t",
        "tester:of@the@127.0.0.1:{port}/db?OPTION=t",
        "tester:12/s3cret@127.0.0.1:{port}/db?OPTION=t",
        "tester:12?s3cret@127.0.0.1:{port}/db?OPTION=t",
        f"tester:{QUOTED}%zz@127.0.0.1:{{port}}/db?OPTION=t",
        f"tester:{QUOTED}#@127.0.0.1:{{port}}/db?OPTION=t",
        f"tester:{QUOTED}?@127.0.0.1:{{port}}/db?OPTION=t",
        f"tester:{QUOTED}/db?OPTION=t",
        f"tester:{QUOTED}@127.0.0.1:{{port}}/db?OPTION=t&OPTION=u",
        f"tester:{QUOTED}@127.0.0.1:{{port}}/db?OPTION=",
        f"tester:{QUOTED}@127.0.0.1:{{port}}/db",
        f"tester:{QUOTED}@[::1/db?OPTION=t",
    ],
)
def test_no_error_tells_a_password(
    kind: str,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("resight.gallery.stores.milvus_collection.PATIENCE", 0.3)
    for name in ("pymilvus", "psycopg", "grpc"):
        logging.getLogger(name).addHandler(caplog.handler)
    scheme = {"milvus": "milvus+http://", "postgres": "postgresql://"}[kind]
    text = address.format(port=free_port()).replace("OPTION", OPTION[kind])
    with pytest.raises(ResightError) as caught:
        open_store(scheme + text, Path("unused"), dim=DIM, create=True)
    told = (
        "".join(traceback.format_exception(caught.value))
        + caplog.text
        + "".join(capfd.readouterr())
    )
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)
    for part in ("s3cret", "of@the", "of%40the", "tests"):
        assert part not in told.replace("test_stores", "").replace("/tests/", "")


def test_an_unknown_kind_of_store_is_refused_without_repeating_the_address() -> None:
    for address in ("mysql://tester:s3cret@127.0.0.1/db?table=a", "s3cret" * 9, ""):
        with pytest.raises(ConfigError, match="use one of files, milvus") as caught:
            open_store(address, Path("unused"), dim=DIM)
        assert "s3cret@" not in str(caught.value)
        assert len(str(caught.value)) < 150


@pytest.mark.parametrize("kind", SERVERS)
def test_addresses_of_another_form_are_refused(kind: str) -> None:
    wrong = {
        "milvus": [
            "milvus://127.0.0.1:19530/db?collection=a",
            "milvus+ftp://127.0.0.1:19530/db?collection=a",
            "milvus+http:///db?collection=a",
            "milvus+http://127.0.0.1:19530/db?collection=1a",
            "milvus+http://127.0.0.1:19530/db?collection=a%20b",
            "milvus+http://127.0.0.1:19530/db?collection=a%22%20or%201%3D%3D1",
            "milvus+http://127.0.0.1:19530/db?table=a",
        ],
        "postgres": [
            "postgresql://127.0.0.1:5432/db?collection=a",
            "postgresql://127.0.0.1:99999/db?table=a",
            "postgresql://127.0.0.1:5432/db?table=a%00b",
            "postgresql://127.0.0.1:5432/db?table=" + "a" * 60,
            "postgresql://127.0.0.1:5432/db?table=a%22%3B%20DROP%20TABLE%20b",
            "postgresql://127.0.0.1:5432/db?table=%25s",
        ],
    }
    for address in wrong[kind]:
        with pytest.raises(ConfigError, match=OPTION[kind] + "|milvus[+]http"):
            open_store(address, Path("unused"), dim=DIM)


MISSING = """
import sys
from pathlib import Path
from resight.errors import ConfigError
from resight.gallery.store import open_store

for package, address in {"pymilvus": "milvus+http://h/d?collection=a", "pgvector": "postgresql://h/d?table=a"}.items():
    sys.modules[package] = None
    try:
        open_store(address, Path(), dim=4)
    except ConfigError as error:
        sys.stdout.write(f"{error}\\n")
"""


def test_a_missing_package_is_told_with_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MISSING], capture_output=True, text=True, check=True
    )
    milvus, postgres = done.stdout.splitlines()
    assert milvus == "a store in Milvus needs pymilvus: pip install 'resight[milvus]'"
    assert postgres.endswith("needs psycopg and pgvector: pip install 'resight[postgres]'")


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_stops_is_told_and_what_it_had_is_there_again(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed at once; what adds had returned before is durable."""
    monkeypatch.setattr("resight.gallery.stores.milvus_collection.PATIENCE", 0.5)
    server: MilvusLite | Postgres = request.getfixturevalue(f"{kind}_server")
    address = f"{server.url}?{OPTION[kind]}=stopped"
    store = open_store(address, Path("unused"), dim=DIM, create=True)
    ids, _ = fill(store, 12)
    store.delete(ids[:2])
    server.stop()
    try:
        for ask in (store.count, lambda: store.search(CORNERS[:1], 3), lambda: fill(store, 3)):
            with pytest.raises(StoreError, match="check that the server runs") as caught:
                ask()
            assert "s3cret" not in str(caught.value)
        with pytest.raises(StoreError):
            open_store(address, Path("unused"), dim=DIM)
    finally:
        server.start()
    monkeypatch.undo()
    if kind == "milvus":  # gRPC pauses up to a second; Lite does not load collections by itself
        store.close()
        store = patiently(lambda: open_store(address, Path("unused"), dim=DIM))
    assert store.select().tolist() == ids[2:].tolist()
    assert fill(store, 3)[0].min() > ids.max()
    assert store.count() == 12
    store.close()
    with pytest.raises(StoreError):
        store.count()
