"""A collection of a Milvus server: made, recognised, refused, asked, and what goes wrong told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from resight.errors import BusyError, StoreError
from resight.gallery.stores import milvus_rows as table
from resight.gallery.stores.remote import Address

PATIENCE = 20.0
_PATIENCE_FOR_INDEX = 86_400.0
_LONGEST_REASON = 200
# gRPC would pause for up to two minutes between attempts to reach a server that was away.
_RECONNECTING = {"grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 1_000}


class Collection:
    """One collection, with an index and in memory. Made by `open`.

    where: its name and place. dim: D of its embeddings.
    """

    def __init__(self, where: Address, dim: int, client: MilvusClient) -> None:
        self.where = where
        self.dim = dim
        self._client = client

    @classmethod
    def open(cls, where: Address, uri: str, token: str, *, dim: int, create: bool) -> Collection:
        """Connect to a server; make its database and the collection if asked to.

        Raises StoreError when there is no such server, database or collection, or it does not fit.
        """
        with _told(where):
            client = MilvusClient(
                uri=uri, token=token, timeout=PATIENCE, grpc_options=_RECONNECTING
            )
            _use_database(client, where, create=create)
            collection = cls(where, dim, client)
            if not client.has_collection(where.name, timeout=PATIENCE):
                if not create:
                    raise StoreError(
                        f"there is no collection {where.name!r} in Milvus at {where.place}: check "
                        "the address, or create the gallery anew"
                    )
                _create(client, where.name, dim)
            _check(client.describe_collection(where.name, timeout=PATIENCE), where, dim)
        collection.load()
        return collection

    def ask(self, what: str, *, timeout: float | None = None, **arguments: Any) -> Any:
        """What the server answers to a method of `MilvusClient` about this collection."""
        with _told(self.where):
            method = getattr(self._client, what)
            return method(self.where.name, timeout=timeout or PATIENCE, **arguments)

    def pages(
        self, expression: str, *fields: str, size: int, limit: int | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """Records that pass, by ascending id, up to `size` at once and `limit` in all."""
        options = {"batch_size": size}
        if limit is not None:
            options = {"batch_size": min(size, limit), "limit": limit}
        found = self.ask("query_iterator", filter=expression, output_fields=[*fields], **options)
        with _told(self.where):
            while page := found.next():
                yield page
            found.close()

    def indexed(self) -> str:
        """The type of the index on the embeddings."""
        return str(self.ask("describe_index", index_name=table.INDEX)["index_type"])

    def index(self, kind: str) -> None:
        """Replace the index on the embeddings; meanwhile the collection cannot be read."""
        self.ask("release_collection")
        self.ask("drop_index", index_name=table.INDEX)
        self.load(otherwise=kind)

    def load(self, *, otherwise: str = table.HNSW) -> None:
        """Have the server load it; build an index of type `otherwise` if there is none.

        There is one unless replacing it was cut short.
        """
        if not self.ask("list_indexes", field_name=table.VECTOR):
            params = table.vector_index(otherwise)
            self.ask("create_index", index_params=params, timeout=_PATIENCE_FOR_INDEX)
        self.ask("load_collection", timeout=_PATIENCE_FOR_INDEX)

    def flush(self) -> None:
        """Write what is in memory, and merge what is small or full of deleted records."""
        self.ask("flush", timeout=_PATIENCE_FOR_INDEX)
        self.ask("compact")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _use_database(client: MilvusClient, where: Address, *, create: bool) -> None:
    if where.database in ("", "default"):
        return
    if where.database not in client.list_databases(timeout=PATIENCE):
        if not create:
            raise StoreError(
                f"Milvus at {where.host} has no database {where.database!r}: check the address, or "
                "create the gallery anew"
            )
        client.create_database(where.database, timeout=PATIENCE)
    client.use_database(where.database, timeout=PATIENCE)


def _create(client: MilvusClient, name: str, dim: int) -> None:
    """With one shard, so that a message is stored as a whole, and readers that see every write."""
    client.create_collection(
        name, schema=table.schema(dim), consistency_level="Strong", num_shards=1, timeout=PATIENCE
    )
    for index in (table.keys_index(), table.vector_index(table.FLAT)):
        client.create_index(name, index, timeout=PATIENCE, sync=False)  # of nothing as yet
    client.load_collection(name, timeout=PATIENCE)
    client.upsert(name, [table.books_record(table.Books(), dim)], timeout=PATIENCE)


def _check(described: dict[str, Any], where: Address, dim: int) -> None:
    """Raise StoreError unless a collection is a store's, of embeddings of D = dim."""
    fields = {told["name"]: told for told in described["fields"]}
    if not {*table.KEPT, table.VECTOR, "replaces"} <= fields.keys():
        raise StoreError(
            f"the collection {where.name!r} at {where.place} is no store of resight: choose "
            "another name"
        )
    there = int(fields[table.VECTOR]["params"]["dim"])
    if there != dim:
        raise StoreError(
            f"the collection {where.name!r} at {where.place} holds embeddings of {there} "
            f"dimensions, the encoder's have {dim}: use another one, or the encoder that filled it"
        )


@contextmanager
def _told(where: Address) -> Iterator[None]:
    """What the server or the network refuses, as a StoreError."""
    try:
        yield
    except (MilvusException, grpc.RpcError) as error:
        reason = _reason(error)
        if "not loaded" in reason or "released" in reason:
            raise BusyError(
                f"the collection {where.name!r} at {where.place} is not loaded, perhaps because "
                "its index is being built: try again when that is done"
            ) from error
        raise StoreError(
            f"Milvus at {where.place}, collection {where.name!r}, cannot be used: {reason}; check "
            "that the server runs and the address is right, then try again"
        ) from error


def _reason(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error)
    return text.partition("\n")[0][:_LONGEST_REASON] or type(error).__name__
