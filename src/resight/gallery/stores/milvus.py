"""A store in Milvus, a collection each; search is exact until `optimise` builds its index.

Milvus has no transactions. An add writes its records under ids that nobody asks for yet; then one
record, the books, makes all of them count; then what they replace is deleted. What was cut short
in between is hidden from every reader, and cleared away by whoever writes next.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from resight.errors import ConfigError, StoreError
from resight.gallery.records import ALL, NO_ROW, Filter, Hits, IndexState, Rows
from resight.gallery.stores import checks, remote
from resight.gallery.stores import milvus_rows as table
from resight.gallery.stores.milvus_collection import Collection
from resight.gallery.stores.milvus_rows import BOOKS, FLAT, HNSW, KEPT, VECTOR, Books
from resight.gallery.stores.remote import Address, Found
from resight.records import FloatArray, IntArray

INDEX_FROM = 50_000
_MOST = 16_384
_CHUNK = 1_000
_BYTES = 2**24
_NEAR = 1e-6
_EF = 100
_TOKEN = "MILVUS_TOKEN"


def connect(address: str, *, dim: int, create: bool) -> MilvusStore:
    """The store in a collection: "milvus+http://USER:PASSWORD@HOST:PORT/DATABASE?collection=NAME".

    milvus+https:// for TLS; without user and password the token in the environment's MILVUS_TOKEN
    is used. create: make the database and the collection if need be.

    Raises ConfigError for another form of address; StoreError when the server cannot be reached, or
    the collection is missing, another's, or of another D.
    """
    where = Address.parse(address, option="collection")
    uri = f"{where.scheme.removeprefix('milvus+')}://{where.host}"
    if not uri.startswith(("http://", "https://")) or not where.host:
        raise ConfigError(
            "the address of a store in Milvus begins with milvus+http://HOST:PORT/ or "
            "milvus+https://HOST:PORT/"
        )
    # It prints every failure with its traceback; here StoreError tells it in a sentence.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    both = f"{where.user}:{where.password}" if where.user and where.password else ""
    token = both or where.password or where.user or os.environ.get(_TOKEN, "")
    return MilvusStore(Collection.open(where, uri, token, dim=dim, create=create))


class MilvusStore:
    """One collection; see `resight.gallery.store.Store`. Made by `connect`."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._writing = threading.Lock()
        self._cameras: set[str] = set()
        self._chunk = max(1, min(_CHUNK, _BYTES // (4 * collection.dim)))

    @property
    def dim(self) -> int:
        """D, the length of embeddings."""
        return self._collection.dim

    def add(self, rows: Rows, vectors: FloatArray) -> IntArray:
        """Store rows with their embeddings, all or nothing; see `Store.add`."""
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        checks.check_new(rows, vectors, self.dim)
        keys = table.keys_of(rows)
        with self._writing:
            books = self._mended()
            end = books.end + len(rows)
            ids = np.arange(books.end, end, dtype=np.int64)
            replaced = self._ids_by_key(keys, books)
            self._name_cameras(set(rows.cameras))
            records = table.records(rows, keys, ids, vectors, replaced)
            for chunk in remote.parts(records, self._chunk):
                self._collection.ask("insert", data=chunk)
            books = replace(books, end=end, hidden=tuple(replaced.values()))
            self._write(books)
            self._settle(books)
        return ids

    def delete(self, ids: IntArray) -> int:
        """Remove rows, durably; returns how many were."""
        with self._writing:
            there = self._by_id(ids, ("id",), self._mended())
            for chunk in remote.parts(there, _CHUNK):
                self._collection.ask("delete", ids=chunk)
        return len(there)

    def count(self, where: Filter = ALL) -> int:
        """How many rows pass the filter."""
        narrow = remote.narrowed(where)
        return 0 if narrow is None else self._count(narrow, self._books())

    def select(self, where: Filter = ALL, *, after: int = -1, limit: int | None = None) -> IntArray:
        """Ids that pass the filter and are larger than `after`, ascending, at most `limit`."""
        narrow = remote.narrowed(where)
        if narrow is None or limit == 0:
            return np.empty(0, dtype=np.int64)
        expression = table.expression(narrow, self._books(), after=after)
        pages = self._collection.pages(expression, "id", size=_MOST, limit=limit)
        return np.array([record["id"] for page in pages for record in page], dtype=np.int64)

    def rows(self, ids: IntArray) -> Rows:
        """What is known of these rows, in the order given. Raises KeyError for one not there."""
        found = self._by_id(ids, KEPT, self._books())
        return table.rows_of(self._in_order(ids, found))

    def vectors(self, ids: IntArray) -> FloatArray:
        """(N, D) embeddings in the order given. Raises KeyError for one that is not there."""
        found = self._by_id(ids, ("id", VECTOR), self._books())
        vectors = np.empty((len(ids), self.dim), dtype=np.float32)
        for place, record in enumerate(self._in_order(ids, found)):
            vectors[place] = record[VECTOR]
        return vectors

    def find(self, source: str, paths: tuple[str, ...]) -> IntArray:
        """The id of each of these paths of a source, -1 where it is not there."""
        keys = [table.digest(source, path) for path in paths]
        ids = self._ids_by_key(keys, self._books())
        return np.array([ids.get(key, NO_ROW) for key in keys], dtype=np.int64)

    def cameras(self) -> dict[str, int]:
        """How many rows each camera has, by name, in the names' order; a request for each."""
        books = self._books()
        named = self._collection.ask("query", filter=f"id < {BOOKS}", output_fields=["camera"])
        counts = {
            camera: self._count(Filter(cameras=frozenset([camera])), books)
            for camera in sorted(record["camera"] for record in named)
        }
        return {camera: count for camera, count in counts.items() if count}

    def times(self) -> tuple[float, float] | None:
        """The first and the last time of rows that have one; None when none has.

        Some are asked for, then some that lie beyond the furthest of these, until there are none.
        """
        books = self._books()
        first = self._furthest(books, "<", min)
        last = self._furthest(books, ">", max)
        return None if first is None or last is None else (first, last)

    def search(
        self, queries: FloatArray, k: int, where: Filter = ALL, *, exact: bool = False
    ) -> Hits:
        """The k rows of highest cosine for each query (Q, D); see `Store.search`.

        Exact search beside an HNSW index reads every embedding that passes the filter.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        checks.check_queries(queries, k, self.dim)
        narrow = remote.narrowed(where)
        if narrow is None:
            return remote.hits([remote.NOTHING] * len(queries), k, exact=True)
        books = self._books()
        expression = table.expression(narrow, books)
        if exact and books.index != FLAT:
            return remote.hits(self._compared(queries, k, expression), k, exact=True)
        block = max(1, _BYTES // (4 * self.dim * min(k + 1, _MOST)))
        found: list[Found] = []
        for start in range(0, len(queries), block):
            found += self._nearest(queries[start : start + block], k, expression, books.index)
        return remote.hits(found, k, exact=books.index == FLAT)

    def optimise(self) -> IndexState:
        """Flush and compact; build HNSW from `INDEX_FROM` rows on, and measure its recall.

        While it is built for the first time the collection cannot be read.
        """
        with self._writing:
            books = self._mended()
            self._collection.flush()
            indexed = self._collection.indexed() == HNSW
            if not indexed and self._count(ALL, books) >= INDEX_FROM:
                books = replace(books, index=HNSW)
                self._write(books)
                self._collection.index(HNSW)
                indexed = True
            if indexed:
                recall, queries = remote.recall(self)
                self._write(replace(books, index=HNSW, recall=recall, queries=queries))
        return self.state()

    def state(self) -> IndexState:
        """How it searches now."""
        books = self._books()
        rows = self._count(ALL, books)
        if books.index == FLAT:
            return IndexState(rows, "exact, Milvus compares every row")
        kind = "HNSW of Milvus (M 16, efConstruction 200)"
        return IndexState(rows, kind, books.recall, books.queries)

    def close(self) -> None:
        """Close the connection."""
        self._collection.close()

    def _books(self) -> Books:
        """The books as they are now, with what is hidden."""
        fields = ["track", "replaces", "stamp"]
        found = self._collection.ask("query", ids=[BOOKS], output_fields=fields)
        if not found:
            where = self._collection.where
            raise StoreError(
                f"the collection {where.name!r} at {where.place} has lost its record {BOOKS}: "
                "create the gallery anew"
            )
        books = table.books_of(found[0])
        if books.settled == books.end:
            return books
        replacing = f"id >= {books.settled} and id < {books.end} and replaces >= 0"
        found = self._collection.ask("query", filter=replacing, output_fields=["replaces"])
        return replace(books, hidden=tuple(record["replaces"] for record in found))

    def _write(self, books: Books) -> None:
        """From here on all rows below the end count, and those that they replace do not."""
        settled = books.settled if books.hidden else books.end
        record = table.books_record(replace(books, settled=settled), self.dim)
        self._collection.ask("upsert", data=[record])

    def _settle(self, books: Books) -> Books:
        """Delete what has been replaced."""
        if not books.hidden:
            return books
        for chunk in remote.parts(books.hidden, _CHUNK):
            self._collection.ask("delete", ids=chunk)
        settled = replace(books, hidden=())
        self._write(settled)
        return settled

    def _mended(self) -> Books:
        """The books, after clearing away what an add that was cut short has left."""
        books = self._books()
        unfinished = f"id >= {books.end}"
        if self._collection.ask("query", filter=unfinished, output_fields=["id"], limit=1):
            self._collection.ask("delete", filter=unfinished)
        return self._settle(books)

    def _name_cameras(self, cameras: set[str]) -> None:
        """Keep a record of each camera's name, for `cameras`."""
        new = sorted(cameras - self._cameras)
        for chunk in remote.parts(new, self._chunk):
            names = [table.camera_record(name, self.dim) for name in chunk]
            self._collection.ask("upsert", data=names)
        self._cameras.update(new)

    def _count(self, where: Filter, books: Books) -> int:
        expression = table.expression(where, books)
        found = self._collection.ask("query", filter=expression, output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def _furthest(
        self, books: Books, beyond: str, best: Callable[[list[float]], float]
    ) -> float | None:
        """The best time, beyond which there is none."""
        rows = f"{table.expression(ALL, books)} and timed == true"
        found: float | None = None
        while True:
            there = rows if found is None else f"{rows} and time {beyond} {found!r}"
            page = self._collection.ask("query", filter=there, output_fields=["time"], limit=_MOST)
            if not page:
                return found
            found = best([record["time"] for record in page])

    def _by_id(
        self, ids: IntArray, fields: tuple[str, ...], books: Books
    ) -> dict[int, dict[str, Any]]:
        """Those of these records that are there, by id."""
        found = {}
        for chunk in remote.parts(np.unique(ids).tolist(), self._chunk):
            expression = f"id in {chunk} and {table.expression(ALL, books)}"
            some = self._collection.ask("query", filter=expression, output_fields=[*fields])
            found.update({record["id"]: record for record in some})
        return found

    def _in_order(self, ids: IntArray, found: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
        """The record of each id; raises KeyError for one that was not found."""
        missing = [number for number in ids.tolist() if number not in found]
        if missing:
            raise KeyError(f"no row {missing[0]} in {self._collection.where}")
        return [found[number] for number in ids.tolist()]

    def _ids_by_key(self, keys: list[str], books: Books) -> dict[str, int]:
        """The id of each of these keys that is there."""
        found = {}
        for chunk in remote.parts(keys, _CHUNK):
            expression = f"key in {table.listed(chunk)} and {table.expression(ALL, books)}"
            some = self._collection.ask("query", filter=expression, output_fields=["id", "key"])
            found.update({record["key"]: record["id"] for record in some})
        return found

    def _nearest(self, queries: FloatArray, k: int, expression: str, index: str) -> list[Found]:
        """The best k for each query, as the index finds them.

        More are asked for until none that ties with the last can be missing; `remote.ranked` makes
        equal rows equal, wherever they lie on the server.
        """
        limit = min(k + 1, _MOST)
        while True:
            params = {"ef": max(_EF, 2 * limit)} if index == HNSW else {}
            answers = self._collection.ask(
                "search",
                data=list(queries),
                anns_field=VECTOR,
                filter=expression,
                limit=limit,
                output_fields=[VECTOR],
                search_params={"metric_type": "IP", "params": params},
            )
            found = [_ranked(query, hits) for query, hits in zip(queries, answers, strict=True)]
            if all(len(ids) < limit or _complete(values, k) for ids, values in found):
                return [(ids[:k], values[:k]) for ids, values in found]
            if limit == _MOST:
                return self._as_many(found, k)
            limit = min(4 * limit, _MOST)

    def _as_many(self, found: list[Found], k: int) -> list[Found]:
        """The best k of as many answers as Milvus gives, which tie or are still fewer than k."""
        if k > _MOST:
            raise StoreError(
                f"Milvus gives at most {_MOST} answers, {k} were asked for: ask for fewer"
            )
        return [(ids[:k], values[:k]) for ids, values in found]

    def _compared(self, queries: FloatArray, k: int, expression: str) -> list[Found]:
        """The best k for each query among all records that pass, read page by page."""
        found = [remote.NOTHING] * len(queries)
        for page in self._collection.pages(expression, "id", VECTOR, size=self._chunk):
            ids = np.array([record["id"] for record in page], dtype=np.int64)
            vectors = np.array([record[VECTOR] for record in page], dtype=np.float32)
            values = _similarities(queries, vectors)
            found = [
                _best(np.append(known[0], ids), np.append(known[1], new), k)
                for known, new in zip(found, values, strict=True)
            ]
        return found


def _similarities(queries: FloatArray, vectors: FloatArray) -> FloatArray:
    """(Q, N) products, rounded once: rows that are equal have equal ones."""
    products = queries.astype(np.float64) @ vectors.astype(np.float64).T
    return products.astype(np.float32)


def _best(ids: IntArray, values: FloatArray, k: int | None = None) -> Found:
    """Best first, equal ones by ascending id, up to k."""
    order = np.lexsort((ids, -values))[:k]
    return ids[order], values[order]


def _ranked(query: FloatArray, hits: Any) -> Found:
    """What the server found, in the order of similarities computed here from the embeddings."""
    ids = np.array([hit["id"] for hit in hits], dtype=np.int64)
    vectors = np.array([hit["entity"][VECTOR] for hit in hits], dtype=np.float32)
    return _best(ids, _similarities(query[None], vectors.reshape(len(ids), len(query)))[0])


def _complete(values: FloatArray, k: int) -> bool:
    """Whether what lies beyond these descending similarities cannot belong to the best k."""
    return len(values) > k and bool(values[-1] < values[k - 1] - _NEAR)
