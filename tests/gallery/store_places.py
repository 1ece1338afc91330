"""Every kind of store, for tests that hold for all of them, and the servers that some need.

RESIGHT_TEST_POSTGRES and RESIGHT_TEST_MILVUS, addresses without ?table= or ?collection=, have the
tests use servers that run already; the tables that they make there are dropped at the end.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from memory_store import Stores
from store_servers import MilvusLite, Postgres

from resight.gallery.store import FILES, Store, open_store

MAIN = "main"
DIM = 4


class Place:
    """Stores of one kind, each by its name; kept open until the end."""

    def __init__(self, kind: str, url: str, folder: Path) -> None:
        self.kind = kind
        self._url = url
        self._folder = folder
        self._memory = Stores()
        self._run = uuid.uuid4().hex[:8]
        self._open: dict[str, Store] = {}

    def address(self, name: str) -> str:
        """Of the store of this name."""
        option = {"milvus": "collection", "postgres": "table"}.get(self.kind)
        return f"{self._url}?{option}=resight_{self._run}_{name}" if option else FILES

    def open(self, name: str = MAIN, *, dim: int = DIM, create: bool = False) -> Store:
        """The store of this name."""
        if self.kind == "memory":
            return self._memory(FILES, self._folder / name, dim=dim, create=create)
        return open_store(self.address(name), self._folder / name, dim=dim, create=create)

    def empty(self, name: str = MAIN, *, dim: int = DIM) -> Store:
        """The store of this name without rows; opened once, as making one takes a while."""
        if name not in self._open:
            self._open[name] = self.open(name, dim=dim, create=True)
        store = self._open[name]
        store.delete(store.select())
        return store

    def reopened(self, name: str = MAIN, *, dim: int = DIM) -> Store:
        """The same store after it was closed."""
        with suppress(KeyError):
            self._open.pop(name).close()
        self._open[name] = self.open(name, dim=dim)
        return self._open[name]

    def close(self) -> None:
        """Close the stores; drop what they left on a server that stays."""
        while self._open:
            self._open.popitem()[1].close()
        if self.kind == "postgres" and "RESIGHT_TEST_POSTGRES" in os.environ:
            self._drop_tables()
        if self.kind == "milvus" and "RESIGHT_TEST_MILVUS" in os.environ:
            self._drop_collections()

    def _drop_tables(self) -> None:
        import psycopg
        from psycopg import sql

        with psycopg.connect(self._url) as connection:
            found = connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND starts_with(relname, %s)",
                [f"resight_{self._run}_"],
            )
            for (name,) in found.fetchall():
                connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))

    def _drop_collections(self) -> None:
        from pymilvus import MilvusClient

        parts = urlsplit(self._url.removeprefix("milvus+"))
        client = MilvusClient(parts.geturl())
        for name in client.list_collections():
            if name.startswith(f"resight_{self._run}_"):
                client.drop_collection(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server with pgvector, which tests may stop and start."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def milvus_server() -> Iterator[MilvusLite]:
    """A server that speaks Milvus' protocol, which tests may stop and start."""
    server = MilvusLite()
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """The address of a PostgreSQL server with pgvector."""
    return _url(request, "postgres")


@pytest.fixture(scope="session")
def milvus_url(request: pytest.FixtureRequest) -> str:
    """The address of a server that speaks Milvus' protocol."""
    return _url(request, "milvus")


def _url(request: pytest.FixtureRequest, kind: str) -> str:
    known = os.environ.get(f"RESIGHT_TEST_{kind.upper()}")
    return known or str(request.getfixturevalue(f"{kind}_server").url)


@pytest.fixture(scope="session", params=["memory", "files", "milvus", "postgres"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Stores of each kind in turn."""
    kind: str = request.param
    if kind == "files":
        pytest.importorskip("resight.gallery.stores.files")
    url = request.getfixturevalue(f"{kind}_url") if kind in ("milvus", "postgres") else ""
    place = Place(kind, url, tmp_path_factory.mktemp(kind))
    yield place
    place.close()


@pytest.fixture
def store(place: Place) -> Store:
    """An empty store of each kind in turn, of D = 4."""
    return place.empty()
