"""The protocol of stores, and how a gallery's store is found by its address."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol

from resight.errors import ConfigError
from resight.gallery.records import ALL, Filter, Hits, IndexState, Rows
from resight.records import FloatArray, IntArray

FILES = "files"
SERVERS = {
    "milvus": "resight.gallery.stores.milvus",
    "postgresql": "resight.gallery.stores.postgres",
}
OTHER_SPELLINGS = {"postgres": "postgresql"}


class Store(Protocol):
    """N rows with an embedding each, of length 1; safe to use from several threads.

    Every call sees all changes that returned before it. What cannot be reached, written or
    understood raises StoreError; BusyError where it helps to try again after another process is
    done.
    """

    @property
    def dim(self) -> int:
        """D, the length of embeddings."""

    def add(self, rows: Rows, vectors: FloatArray) -> IntArray:
        """Store rows with their embeddings (N, D) float32; durable when it returns, all or nothing.

        A row of the same source and path is replaced. Returns the (N,) new ids, larger than any
        before, in the order of the rows. Raises ValueError for another D, for values that are not
        finite, or when a source and path occurs twice; StoreError for texts that no store can keep,
        see `stores.checks.check_texts`.
        """

    def delete(self, ids: IntArray) -> int:
        """Remove rows, durably; ids that are not there do not matter. Returns how many were."""

    def count(self, where: Filter = ALL) -> int:
        """How many rows pass the filter."""

    def select(self, where: Filter = ALL, *, after: int = -1, limit: int | None = None) -> IntArray:
        """Ids that pass the filter and are larger than `after`, ascending, at most `limit`."""

    def rows(self, ids: IntArray) -> Rows:
        """What is known of these rows, in the order given. Raises KeyError for one not there."""

    def vectors(self, ids: IntArray) -> FloatArray:
        """(N, D) embeddings in the order given. Raises KeyError for one that is not there."""

    def find(self, source: str, paths: tuple[str, ...]) -> IntArray:
        """The id of each of these paths of a source, -1 where it is not there."""

    def cameras(self) -> dict[str, int]:
        """How many rows each camera has, by name, in the names' order."""

    def times(self) -> tuple[float, float] | None:
        """The first and the last time of rows that have one; None when none has."""

    def search(
        self, queries: FloatArray, k: int, where: Filter = ALL, *, exact: bool = False
    ) -> Hits:
        """The k rows of highest cosine for each query (Q, D), among those that pass the filter.

        exact: miss none, whatever it costs; otherwise the store may use its approximate index.
        """

    def optimise(self) -> IndexState:
        """Tidy up, and build the approximate index where there are enough rows for one."""

    def state(self) -> IndexState:
        """How it searches now."""

    def close(self) -> None:
        """Let go of files and connections."""


def open_store(address: str, folder: Path, *, dim: int, create: bool = False) -> Store:
    """The store at an address: "files" for the embedded one in `folder`, else a server's URL.

    "milvus+http://HOST:PORT/DATABASE?collection=NAME" (or +https, with user:password@) and
    "postgresql://USER:PASSWORD@HOST/DATABASE?table=NAME", or postgres://, are servers.
    dim: D. create: make what is missing; otherwise a store that is not there is an error.

    Raises ConfigError for an address of neither kind, StoreError when it cannot be opened or holds
    embeddings of another length.
    """
    if address == FILES:
        from resight.gallery.stores.files import FileStore

        store: Store = FileStore.open(folder, dim=dim, create=create)
        return store
    scheme = address.partition(":")[0].partition("+")[0]
    scheme = OTHER_SPELLINGS.get(scheme, scheme)
    if scheme not in SERVERS:
        known = ", ".join([FILES, *(f"{name}://…" for name in SERVERS)])
        # The address itself may hold a password.
        raise ConfigError(f"there is no kind of store {scheme[:20]!r}: use one of {known}")
    server: Store = importlib.import_module(SERVERS[scheme]).connect(
        address, dim=dim, create=create
    )
    return server
