"""What stores in Milvus keep and ask for: the schema, rows as records, filters as expressions.

Expressions hold numbers and hexadecimal digests alone, never a text that somebody chose: cameras,
sources and paths are compared by digest, so that none of their characters can mean anything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from resight.errors import ConfigError
from resight.gallery.records import NO_ROW, Filter, Rows
from resight.gallery.stores import remote
from resight.gallery.stores.checks import LONGEST
from resight.records import FloatArray, IntArray

try:
    from pymilvus import CollectionSchema, DataType, MilvusClient
    from pymilvus.milvus_client.index import IndexParams
except ImportError as missing:
    raise ConfigError(
        "a store in Milvus needs pymilvus: pip install 'resight[milvus]'"
    ) from missing

VECTOR = "vector"
INDEX = "vector_idx"
FLAT = "FLAT"
HNSW = "HNSW"
BOOKS = -1
TEXTS = ("source", "path", "stamp", "camera")
KEPT = ("id", *TEXTS, "timed", "time", "track", "added")
_BUILD = {"M": 16, "efConstruction": 200}
_DIGEST = 32
_CAMERA_BITS = 0x3FFF_FFFF_FFFF_FFFF


@dataclass(frozen=True)
class Books:
    """The books of a store, which are one record, so that changing them is all or nothing.

    end: id of the next row; records from there on are of an add that was cut short. settled:
    records from here on may replace ones that are still there. index, recall, queries: how search
    works, as of the last `optimise`. hidden: ids that have been replaced but not yet deleted.
    """

    end: int = 0
    settled: int = 0
    index: str = FLAT
    recall: float = 1.0
    queries: int = 0
    hidden: tuple[int, ...] = ()


def schema(dim: int) -> CollectionSchema:
    """Fields of a collection."""
    made = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    made.add_field("id", DataType.INT64, is_primary=True)
    for name in ("key", "source_key", "camera_key"):
        made.add_field(name, DataType.VARCHAR, max_length=_DIGEST)
    for name in TEXTS:
        made.add_field(name, DataType.VARCHAR, max_length=LONGEST[name + "s"])
    made.add_field("timed", DataType.BOOL)
    made.add_field("time", DataType.DOUBLE)
    made.add_field("track", DataType.INT64)
    made.add_field("added", DataType.DOUBLE)
    made.add_field("replaces", DataType.INT64)
    made.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dim)
    return made


def keys_index() -> IndexParams:
    """Of what filters and replacing look up."""
    params = MilvusClient.prepare_index_params()
    for name in ("key", "source_key", "camera_key"):
        params.add_index(field_name=name, index_type="INVERTED")
    return params


def vector_index(kind: str) -> IndexParams:
    """Of the embeddings. FLAT compares every row; with it Milvus has no interim index either."""
    params = MilvusClient.prepare_index_params()
    params.add_index(
        field_name=VECTOR,
        index_name=INDEX,
        index_type=kind,
        metric_type="IP",
        params=_BUILD if kind == HNSW else {},
    )
    return params


def digest(*texts: str) -> str:
    """What stands for these texts in expressions: 32 of the characters 0-9 and a-f."""
    return remote.key(*texts).hex()


def listed(digests: Iterable[str]) -> str:
    """Digests as a list in an expression."""
    return json.dumps([*digests])


def keys_of(rows: Rows) -> list[str]:
    """The digest of each row's source and path."""
    return [digest(*crop) for crop in zip(rows.sources, rows.paths, strict=True)]


def records(
    rows: Rows, keys: list[str], ids: IntArray, vectors: FloatArray, replaced: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """Rows as Milvus keeps them; replaced: ids by key of what they take the place of."""
    columns = (ids.tolist(), keys, rows.sources, rows.paths, rows.stamps, rows.cameras)
    numbers = (rows.times.tolist(), rows.tracks.tolist(), rows.added.tolist(), vectors)
    for number, key, source, path, stamp, camera, time, track, added, vector in zip(
        *columns, *numbers, strict=True
    ):
        yield _record(
            number,
            vector,
            key=key,
            source=source,
            source_key=digest(source),
            path=path,
            stamp=stamp,
            camera=camera,
            camera_key=digest(camera),
            timed=time == time,
            time=time if time == time else 0.0,
            track=track,
            added=added,
            replaces=replaced.get(key, NO_ROW),
        )


def books_record(books: Books, dim: int) -> dict[str, Any]:
    """The books as a record, which no filter lets pass: its id is negative."""
    text = json.dumps([books.index, books.recall, books.queries])
    zeros = np.zeros(dim, dtype=np.float32)
    return _record(BOOKS, zeros, track=books.end, replaces=books.settled, stamp=text)


def books_of(record: dict[str, Any]) -> Books:
    """The books that a record tells, but for what is hidden."""
    return Books(record["track"], record["replaces"], *json.loads(record["stamp"]))


def camera_record(camera: str, dim: int) -> dict[str, Any]:
    """That there is a camera of this name; the same record whenever it is made."""
    number = -2 - (int.from_bytes(remote.key(camera)[:8], "big") & _CAMERA_BITS)
    return _record(number, np.zeros(dim, dtype=np.float32), camera=camera)


def rows_of(found: list[dict[str, Any]]) -> Rows:
    """Records as rows."""
    times = [record["time"] if record["timed"] else np.nan for record in found]
    return Rows(
        sources=tuple(record["source"] for record in found),
        paths=tuple(record["path"] for record in found),
        stamps=tuple(record["stamp"] for record in found),
        cameras=tuple(record["camera"] for record in found),
        times=np.array(times, dtype=np.float64),
        tracks=np.array([record["track"] for record in found], dtype=np.int64),
        added=np.array([record["added"] for record in found], dtype=np.float64),
        ids=np.array([record["id"] for record in found], dtype=np.int64),
    )


def expression(where: Filter, books: Books, *, after: int = NO_ROW) -> str:
    """A filter as an expression, for records that finished adds have stored."""
    terms = [f"id > {max(after, NO_ROW)}", f"id < {books.end}"]
    if where.cameras is not None:
        terms.append(f"camera_key in {listed(map(digest, sorted(where.cameras)))}")
    if where.without_cameras:
        terms.append(f"camera_key not in {listed(map(digest, sorted(where.without_cameras)))}")
    if where.since is not None or where.until is not None:
        terms.append("timed == true")
    for term, bound in (
        ("time >=", where.since),
        ("time <=", where.until),
        ("added <", where.added_before),
    ):
        if bound is not None:
            terms.append(f"{term} {_number(bound)}")
    if where.source is not None:
        terms.append(f'source_key == "{digest(where.source)}"')
    without = where.without.union(books.hidden)
    if without:
        terms.append(f"id not in {sorted(map(int, without))}")
    return " and ".join(terms)


def _record(number: int, vector: FloatArray, **fields: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("key", "source_key", "camera_key", *TEXTS), "")
    numbers = {"timed": False, "time": 0.0, "track": 0, "added": 0.0, "replaces": NO_ROW}
    return {"id": number, VECTOR: vector, **blank, **numbers, **fields}


def _number(bound: float) -> str:
    """Infinity as the largest number, which is no time either."""
    return repr(float(np.clip(bound, -sys.float_info.max, sys.float_info.max)))
