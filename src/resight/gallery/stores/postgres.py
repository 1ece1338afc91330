"""A store in PostgreSQL with pgvector, a table each; search is exact until `optimise` indexes it.

Embeddings are kept as `vector`; the HNSW index holds them as `halfvec`, which takes half the room
and up to 4000 dimensions, and what it finds is ordered by the full embeddings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from resight.errors import ConfigError, StoreError
from resight.gallery.records import ALL, Filter, Hits, IndexState, Rows
from resight.gallery.stores import checks, postgres_table, remote
from resight.gallery.stores.postgres_pool import Pool
from resight.gallery.stores.postgres_table import Connection, told
from resight.gallery.stores.remote import Address, Found
from resight.records import FloatArray, IntArray

try:
    import psycopg
    from pgvector.psycopg import register_vector
    from psycopg import sql
    from psycopg.conninfo import conninfo_to_dict
except ImportError as missing:
    raise ConfigError(
        "a store in PostgreSQL needs psycopg and pgvector: pip install 'resight[postgres]'"
    ) from missing

INDEX_FROM = 50_000
CONNECTIONS = 8
_WIDEST = 16_000
_WIDEST_INDEX = 4_000
_EF = (100, 1_000)
# A server that is gone without a word is given up after some 25 seconds, not after hours.
_PATIENCE = {
    "connect_timeout": "10",
    "tcp_user_timeout": "25000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}

_INDEX = """
SELECT obj_description(indexrelid, 'pg_class') FROM pg_index
WHERE indexrelid = to_regclass(%s) AND indisvalid
"""
_HNSW = """
CREATE INDEX {index} ON {table} USING hnsw ((embedding::halfvec({dim})) halfvec_ip_ops)
WITH (m = 16, ef_construction = 100)
"""
_EXACT = """
SELECT id, -(embedding <#> %(query)s::vector) FROM {table} WHERE {where}
ORDER BY embedding <#> %(query)s::vector, id LIMIT %(k)s
"""
_NEAR = """
WITH near AS MATERIALIZED (
    SELECT id, embedding FROM {table} WHERE {where}
    ORDER BY embedding::halfvec({dim}) <#> %(query)s::vector::halfvec({dim}) LIMIT %(depth)s
)
SELECT id, -(embedding <#> %(query)s::vector) FROM near
ORDER BY embedding <#> %(query)s::vector, id LIMIT %(k)s
"""
_COLUMNS = sql.SQL(", ").join(
    map(sql.Identifier, ("id", "source", "path", "stamp", "camera", "time", "track", "added"))
)


def connect(address: str, *, dim: int, create: bool) -> PostgresStore:
    """The store in a table: "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?table=NAME".

    Other options of libpq, such as sslmode, may be given; what the address leaves out is taken from
    the environment (PGPASSWORD, ~/.pgpass). create: make the table, and the extension, if need be.

    Raises ConfigError for another form of address; StoreError when the server cannot be reached,
    has no pgvector >= 0.8, or the table is missing, another's, or of another D.
    """
    where = Address.parse(address, option="table")
    if not 1 <= dim <= _WIDEST:
        raise StoreError(f"PostgreSQL keeps 1 to {_WIDEST} dimensions, these have {dim}")
    with told(where):
        options: dict[str, Any] = {**_PATIENCE, **conninfo_to_dict(where.url)}
        options |= {"client_encoding": "utf8", "autocommit": True, "prepare_threshold": None}
        with psycopg.connect(**options) as connection, connection.transaction():
            postgres_table.prepare(connection, where, dim, create=create)
        return PostgresStore(where, dim, options)


class PostgresStore:
    """One table; see `resight.gallery.store.Store`. Made by `connect`."""

    def __init__(self, where: Address, dim: int, options: dict[str, Any]) -> None:
        self._where = where
        self._dim = dim
        self._options = options
        self._table = sql.Identifier(where.name)
        self._index = sql.Identifier(where.name + "_hnsw")
        self._pool = Pool(self._connect, size=CONNECTIONS)

    @property
    def dim(self) -> int:
        """D, the length of embeddings."""
        return self._dim

    def add(self, rows: Rows, vectors: FloatArray) -> IntArray:
        """Store rows with their embeddings in one transaction; see `Store.add`."""
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        checks.check_new(rows, vectors, self._dim)
        keys = [remote.key(*crop) for crop in zip(rows.sources, rows.paths, strict=True)]
        with self._connected() as connection:
            self._write_alone(connection)
            ids = self._new_ids(connection, len(rows))
            connection.execute(self._sql("DELETE FROM {table} WHERE key = ANY(%s)"), [keys])
            self._copy(connection, ids, keys, rows, vectors)
        return ids

    def delete(self, ids: IntArray) -> int:
        """Remove rows, durably; returns how many were."""
        with self._connected() as connection:
            self._write_alone(connection)
            statement = self._sql("DELETE FROM {table} WHERE id = ANY(%s)")
            return connection.execute(statement, [ids.tolist()]).rowcount

    def count(self, where: Filter = ALL) -> int:
        """How many rows pass the filter."""
        rows = self._query("SELECT count(*) FROM {table} WHERE {where}", where)
        return int(rows[0][0]) if rows else 0

    def select(self, where: Filter = ALL, *, after: int = -1, limit: int | None = None) -> IntArray:
        """Ids that pass the filter and are larger than `after`, ascending, at most `limit`."""
        rows = self._query(
            "SELECT id FROM {table} WHERE id > %(after)s AND {where} ORDER BY id LIMIT %(limit)s",
            where,
            after=after,
            limit=limit,
        )
        return np.array([row[0] for row in rows], dtype=np.int64)

    def rows(self, ids: IntArray) -> Rows:
        """What is known of these rows, in the order given. Raises KeyError for one not there."""
        found = self._by_id("SELECT {columns} FROM {table} WHERE id = ANY(%(ids)s)", ids)
        _, sources, paths, stamps, cameras, times, tracks, added = (
            zip(*found, strict=True) if found else ((),) * 8
        )
        return Rows(
            sources=tuple(sources),
            paths=tuple(paths),
            stamps=tuple(stamps),
            cameras=tuple(cameras),
            times=np.array([math.nan if time is None else time for time in times], np.float64),
            tracks=np.array(tracks, dtype=np.int64),
            added=np.array(added, dtype=np.float64),
            ids=np.array(ids, dtype=np.int64),
        )

    def vectors(self, ids: IntArray) -> FloatArray:
        """(N, D) embeddings in the order given. Raises KeyError for one that is not there."""
        found = self._by_id("SELECT id, embedding FROM {table} WHERE id = ANY(%(ids)s)", ids)
        vectors = np.empty((len(found), self._dim), dtype=np.float32)
        for place, (_, vector) in enumerate(found):
            vectors[place] = vector.to_numpy()
        return vectors

    def find(self, source: str, paths: tuple[str, ...]) -> IntArray:
        """The id of each of these paths of a source, -1 where it is not there."""
        keys = [remote.key(source, path) for path in paths]
        statement = "SELECT key, id FROM {table} WHERE key = ANY(%(keys)s)"
        ids = dict(self._query(statement, ALL, keys=keys))
        return np.array([ids.get(key, -1) for key in keys], dtype=np.int64)

    def cameras(self) -> dict[str, int]:
        """How many rows each camera has, by name, in the names' order."""
        rows = self._query("SELECT camera, count(*) FROM {table} GROUP BY camera", ALL)
        return dict(sorted((camera, int(count)) for camera, count in rows))

    def times(self) -> tuple[float, float] | None:
        """The first and the last time of rows that have one; None when none has."""
        ((first, last),) = self._query("SELECT min(time), max(time) FROM {table}", ALL)
        return None if first is None else (first, last)

    def search(
        self, queries: FloatArray, k: int, where: Filter = ALL, *, exact: bool = False
    ) -> Hits:
        """The k rows of highest cosine for each query (Q, D); see `Store.search`."""
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        checks.check_queries(queries, k, self._dim)
        narrow = remote.narrowed(where)
        if narrow is None:
            return remote.hits([remote.NOTHING] * len(queries), k, exact=True)
        with self._connected() as connection:
            exact = exact or self._recall(connection) is None
            found = [self._nearest(connection, query, k, narrow, exact) for query in queries]
        return remote.hits(found, k, exact=exact)

    def optimise(self) -> IndexState:
        """Vacuum the table; build HNSW from `INDEX_FROM` rows on, and measure its recall."""
        with told(self._where), psycopg.connect(**self._options) as connection:
            connection.execute(self._sql("VACUUM (ANALYZE) {table}"))
            enough = self.count() >= INDEX_FROM and self._dim <= _WIDEST_INDEX
            if enough and self._recall(connection) is None:
                connection.execute("SET maintenance_work_mem = '1GB'")
                connection.execute(self._sql(_HNSW))
            if self._recall(connection) is not None:
                measured = sql.Literal(json.dumps(remote.recall(self)))
                connection.execute(
                    self._sql("COMMENT ON INDEX {index} IS {measured}", measured=measured)
                )
        return self.state()

    def state(self) -> IndexState:
        """How it searches now."""
        with self._connected() as connection:
            measured = self._recall(connection)
        if measured is None:
            return IndexState(self.count(), "exact, PostgreSQL compares every row")
        kind = "HNSW of pgvector (m 16, ef_construction 100), half precision, ordered in full"
        return IndexState(self.count(), kind, *measured)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection in a transaction, committed at the end."""
        with told(self._where), self._pool.transaction() as connection:
            yield connection

    def _connect(self) -> Connection:
        connection = psycopg.connect(**self._options)
        register_vector(connection)
        return connection

    def _sql(self, text: str, **parts: sql.Composable) -> sql.Composed:
        return sql.SQL(text).format(
            table=self._table,
            index=self._index,
            dim=sql.Literal(self._dim),
            columns=_COLUMNS,
            **parts,
        )

    def _query(self, text: str, where: Filter, **values: Any) -> list[tuple[Any, ...]]:
        """Rows that a SELECT gives for what passes the filter, none where nothing can."""
        narrow = remote.narrowed(where)
        if narrow is None:
            return []
        condition, filtered = _condition(narrow)
        with self._connected() as connection, connection.cursor(binary=True) as cursor:
            cursor.execute(self._sql(text, where=condition), {**filtered, **values})
            return cursor.fetchall()

    def _by_id(self, text: str, ids: IntArray) -> list[tuple[Any, ...]]:
        """The row of each id, which is its first column, in the order given."""
        found = {row[0]: row for row in self._query(text, ALL, ids=ids.tolist())}
        for wanted in ids.tolist():
            if wanted not in found:
                raise KeyError(f"no row {wanted} in {self._where}")
        return [found[wanted] for wanted in ids.tolist()]

    def _write_alone(self, connection: Connection) -> None:
        """Wait for whoever writes, and have what is written now be durable once it is committed.

        So whoever saw an id has seen all smaller ones, and writers never wait for each other's rows
        in a circle.
        """
        connection.execute("SET LOCAL synchronous_commit = on")
        lock = "SELECT pg_advisory_xact_lock(%s + to_regclass(%s)::oid::bigint)"
        connection.execute(lock, [postgres_table.LOCKS, self._table.as_string(connection)])

    def _new_ids(self, connection: Connection, n: int) -> IntArray:
        """Ascending ids from the table's sequence, which never goes back."""
        name = self._table.as_string(connection)
        statement = "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
        taken = connection.execute(statement, [name, n]).fetchall()
        return np.sort(np.array([row[0] for row in taken], dtype=np.int64))

    def _copy(
        self,
        connection: Connection,
        ids: IntArray,
        keys: list[bytes],
        rows: Rows,
        vectors: FloatArray,
    ) -> None:
        times = [None if math.isnan(time) else time for time in rows.times.tolist()]
        columns = (ids.tolist(), rows.sources, rows.paths, rows.stamps, rows.cameras, times)
        numbers = (rows.tracks.tolist(), rows.added.tolist())
        statement = "COPY {table} ({columns}, key, embedding) FROM STDIN (FORMAT binary)"
        with connection.cursor() as cursor, cursor.copy(self._sql(statement)) as copy:
            copy.set_types(
                ["int8", *["text"] * 4, "float8", "int8", "float8", "bytea", "vector"],
            )
            for row in zip(*columns, *numbers, keys, vectors, strict=True):
                copy.write_row(row)

    def _nearest(
        self, connection: Connection, query: FloatArray, k: int, where: Filter, exact: bool
    ) -> Found:
        """The best ids and their similarities; exact as well where HNSW gives fewer than k."""
        condition, values = _condition(where)
        depth = max(2 * k, 4 * remote.NEAREST)
        values |= {"query": query, "k": k, "depth": depth}
        text = _EXACT if exact else _NEAR
        scan = str(min(max(2 * depth, _EF[0]), _EF[1]))
        settings = "SELECT set_config('enable_indexscan', %s, true)"
        settings += ", set_config('hnsw.ef_search', %s, true)"
        settings += ", set_config('hnsw.iterative_scan', 'relaxed_order', true)"
        with connection.cursor(binary=True) as cursor:
            cursor.execute(settings, ["off" if exact else "on", scan])
            cursor.execute(self._sql(text, where=condition), values)
            found = cursor.fetchall()
        if not exact and len(found) < k:
            return self._nearest(connection, query, k, where, exact=True)
        ids, similarities = zip(*found, strict=True) if found else ((), ())
        return np.array(ids, dtype=np.int64), np.array(similarities, dtype=np.float32)

    def _recall(self, connection: Connection) -> tuple[float, int] | None:
        """What was measured of the index, (1, 0) before it was; None without one."""
        name = self._index.as_string(connection)
        found = connection.execute(_INDEX, [name]).fetchone()
        if found is None:
            return None
        recall, queries = json.loads(found[0] or "[1.0, 0]")
        return float(recall), int(queries)


def _condition(where: Filter) -> tuple[sql.Composable, dict[str, Any]]:
    """A filter as an SQL condition and the values of its placeholders."""
    values = {
        "camera = ANY({})": where.cameras and sorted(where.cameras),
        "camera <> ALL({})": sorted(where.without_cameras) or None,
        "time >= {}": where.since,
        "time <= {}": where.until,
        "added < {}": where.added_before,
        "source = {}": where.source,
        "id <> ALL({})": sorted(where.without) or None,
    }
    terms: list[sql.Composable] = [sql.SQL("true")]
    given: dict[str, Any] = {}
    for number, (term, value) in enumerate(values.items()):
        if value is not None:
            terms.append(sql.SQL(term).format(sql.Placeholder(f"filter{number}")))
            given[f"filter{number}"] = value
    return sql.SQL(" AND ").join(terms), given
