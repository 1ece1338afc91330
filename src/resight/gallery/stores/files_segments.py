"""Segments: some rows of the embedded store with their embeddings, in files that never change."""

from __future__ import annotations

import hashlib
import os
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from resight.errors import StoreError
from resight.gallery.records import Filter, Rows
from resight.gallery.stores import files_manifest as manifests
from resight.gallery.stores.files_manifest import Part
from resight.gallery.stores.files_scan import Codes, HalfArray, Runs, runs_of
from resight.records import BoolArray, IntArray

Keys = npt.NDArray[np.uint64]

CHUNK = 4096
TEXTS = ("source", "path", "stamp", "camera")
_NOT_AN_ARRAY = (ValueError, EOFError, SyntaxError, tokenize.TokenError, MemoryError)
_NAMES = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("source", _NAMES),
        ("path", pa.string()),
        ("stamp", pa.string()),
        ("camera", _NAMES),
        ("time", pa.float64()),
        ("track", pa.int64()),
        ("added", pa.float64()),
        ("key", pa.uint64()),
    ]
)
NO_ROWS = pa.schema(
    [(name, pa.string() if name in TEXTS else SCHEMA.field(name).type) for name in SCHEMA.names]
).empty_table()


class Piece(NamedTuple):
    """Rows to be written: some of a table (of SCHEMA, names in full) and of its embeddings."""

    table: pa.Table
    vectors: HalfArray
    places: IntArray


def key_of(source: str, path: str) -> int:
    """64 bits that hardly two crops share."""
    name = f"{source}\0{path}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


def new_piece(rows: Rows, ids: IntArray, vectors: HalfArray) -> Piece:
    """Rows that are added; their texts are valid Unicode."""
    texts = {name: pa.array(getattr(rows, f"{name}s"), pa.string()) for name in TEXTS}
    keys = np.fromiter(map(key_of, rows.sources, rows.paths), np.uint64, len(rows))
    numbers = {"time": rows.times, "track": rows.tracks, "added": rows.added, "key": keys}
    table = pa.table({"id": ids, **texts, **numbers}).select(SCHEMA.names)
    return Piece(table, vectors, np.arange(len(rows)))


def as_rows(table: pa.Table) -> Rows:
    """The same as a record; the table has names in full."""
    known: dict[str, Any] = {f"{name}s": tuple(table.column(name).to_pylist()) for name in TEXTS}
    for name in ("time", "track", "id"):
        known[f"{name}s"] = np.array(table.column(name).to_numpy())
    return Rows(**known, added=np.array(table.column("added").to_numpy()))


@dataclass(frozen=True, eq=False)
class Segment:
    """An open segment, its rows by ascending id.

    table: of SCHEMA. vectors: (R, D) float16, and codes: (R, E) int8 or None, mapped into memory.
    gone: (R,) whether a row is deleted, None when none is.
    """

    part: Part
    table: pa.Table
    vectors: HalfArray
    codes: Codes | None = None
    gone: BoolArray | None = None

    def __len__(self) -> int:
        """R, deleted rows included."""
        return self.part.rows

    @cached_property
    def alive(self) -> int:
        """How many rows are not deleted."""
        return len(self) if self.gone is None else len(self) - int(np.count_nonzero(self.gone))

    @cached_property
    def ids(self) -> IntArray:
        """(R,) ascending."""
        return self._column("id")

    @cached_property
    def _by_key(self) -> tuple[Keys, npt.NDArray[np.int32]]:
        keys = self._column("key")
        order = np.argsort(keys, kind="stable").astype(np.int32)
        return keys[order], order

    def places(self, ids: IntArray) -> IntArray:
        """(M,) where rows of these ids are, -1 for those that are not here or deleted."""
        places = np.searchsorted(self.ids, ids).clip(max=len(self) - 1)
        here = self.ids[places] == ids
        if self.gone is not None:
            here &= ~self.gone[places]
        return np.where(here, places, -1)

    def find(self, source: str, paths: Sequence[str], keys: Keys) -> IntArray:
        """(M,) places of the crops of these names, -1 for those that are not here."""
        known, order = self._by_key
        first, last = np.searchsorted(known, keys), np.searchsorted(known, keys, "right")
        places = np.full(len(keys), -1, np.int64)
        for number in np.flatnonzero(last > first).tolist():
            for place in order[first[number] : last[number]].tolist():
                if self._named(place, source, paths[number]):
                    places[number] = place
        return places

    def matching(self, where: Filter) -> BoolArray | None:
        """(R,) which rows are there and pass the filter; None when all do."""
        tests = [] if self.gone is None else [~self.gone]
        if where.cameras is not None:
            tests.append(self._among("camera", where.cameras))
        if where.without_cameras:
            tests.append(~self._among("camera", where.without_cameras))
        if where.source is not None:
            tests.append(self._among("source", frozenset([where.source])))
        if where.since is not None:
            tests.append(self._column("time") >= where.since)
        if where.until is not None:
            tests.append(self._column("time") <= where.until)
        if where.added_before is not None:
            tests.append(self._column("added") < where.added_before)
        if where.without:
            places = self.places(np.fromiter(where.without, np.int64))
            others = np.ones(len(self), bool)
            others[places[places >= 0]] = False
            tests.append(others)
        return reduce(np.logical_and, tests) if tests else None

    def runs(self, where: Filter) -> Runs:
        """The rows that pass the filter, with their embeddings."""
        mask = self.matching(where)
        whole = (np.array([0]), np.array([len(self)]))
        return Runs(self.vectors, self.ids, *(whole if mask is None else runs_of(mask)))

    def cameras(self) -> dict[str, int]:
        """How many rows each camera has; one of deleted rows alone has none."""
        codes = self._column("camera") if self.gone is None else self._column("camera")[~self.gone]
        names = self._names("camera")
        return dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True))

    @cached_property
    def times(self) -> tuple[float, float] | None:
        """The first and the last time of rows that have one."""
        times = self._column("time")
        known = times[~np.isnan(times) if self.gone is None else ~(np.isnan(times) | self.gone)]
        return (float(known.min()), float(known.max())) if len(known) else None

    def take(self, places: IntArray) -> pa.Table:
        """These rows, names in full."""
        table = self.table.take(pa.array(places))
        for column in ("source", "camera"):
            names = table.column(column).cast(pa.string())
            table = table.set_column(SCHEMA.get_field_index(column), column, names)
        return table

    def rest(self) -> Piece:
        """The rows that are not deleted, to be written again."""
        places = np.arange(len(self)) if self.gone is None else np.flatnonzero(~self.gone)
        return Piece(self.take(places), self.vectors, places)

    def _column(self, name: str) -> npt.NDArray[Any]:
        """(R,) numbers of a column; for sources and cameras their places in `_names`."""
        array = self.table.column(name).chunk(0)
        codes = array.indices if pa.types.is_dictionary(array.type) else array
        return cast("npt.NDArray[Any]", codes.to_numpy())

    def _names(self, column: str) -> list[str]:
        return cast("list[str]", self.table.column(column).chunk(0).dictionary.to_pylist())

    def _among(self, column: str, names: frozenset[str]) -> BoolArray:
        among = np.array([name in names for name in self._names(column)], bool)
        return cast("BoolArray", among[self._column(column)])

    def _named(self, place: int, source: str, path: str) -> bool:
        there = [self.table.column(name)[place].as_py() for name in ("source", "path")]
        return there == [source, path] and (self.gone is None or not self.gone[place])


def write_segment(folder: Path, number: int, pieces: Sequence[Piece]) -> Part:
    """Write the rows of pieces, which come by ascending id; they are on the disk when it returns.

    Raises OSError.
    """
    table = pa.concat_tables([piece.table for piece in pieces])
    blocks = (
        np.ascontiguousarray(piece.vectors[piece.places[first : first + CHUNK]])
        for piece in pieces
        for first in range(0, len(piece.places), CHUNK)
    )
    write_blocks(folder / manifests.vectors_name(number), blocks)
    for column in ("source", "camera"):
        names = table.column(column).combine_chunks().dictionary_encode()
        table = table.set_column(SCHEMA.get_field_index(column), SCHEMA.field(column), names)
    with synced(folder / manifests.rows_name(number)) as file:
        pq.write_table(
            table.cast(SCHEMA),
            file,
            compression="zstd",
            use_dictionary=["source", "camera"],
            write_page_checksum=True,
        )
    return Part(number, len(table), last=table.column("id")[-1].as_py())


@contextmanager
def synced(path: Path) -> Iterator[IO[bytes]]:
    """A new file whose content is on the disk when the block ends."""
    with open(path, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_blocks(path: Path, blocks: Iterable[npt.NDArray[Any]]) -> None:
    """Write contiguous arrays one after the other; on the disk when it returns. Raises OSError."""
    with synced(path) as file:
        for block in blocks:
            file.write(block.data)


def write_gone(path: Path, gone: BoolArray) -> None:
    """Write which rows of a segment are deleted; on the disk when it returns. Raises OSError."""
    with synced(path) as file:
        np.save(file, np.flatnonzero(gone).astype(np.int32))


def open_segment(
    folder: Path, part: Part, dim: int, width: int, known: Segment | None = None
) -> Segment:
    """Open a segment. dim: D. width: E of its codes. known: the same one in an earlier state.

    Raises StoreError for damaged files, FileNotFoundError for missing ones.
    """
    if known is None:
        table = _read_table(folder / manifests.rows_name(part.number), part)
        vectors = mapped(folder / manifests.vectors_name(part.number), "<f2", (part.rows, dim))
        known = Segment(replace(part, gone=None, codes=None), table, vectors)
    if part.codes != known.part.codes:
        path = None if part.codes is None else folder / manifests.codes_name(part.codes)
        codes = None if path is None else mapped(path, "i1", (part.rows, width))
        known = replace(known, codes=codes)
    if part.gone != known.part.gone:
        gone = None if part.gone is None else _read_gone(folder, part.gone, part.rows)
        known = replace(known, gone=gone)
    return known if known.part == part else replace(known, part=part)


def damaged(path: Path, what: str) -> StoreError:
    """The error for a file that cannot be what was written."""
    return StoreError(
        f"{path} is damaged ({what}): restore its folder from a backup, or index into a new gallery"
    )


def _read_table(path: Path, part: Part) -> pa.Table:
    try:
        with open(path, "rb") as file:
            table = pq.read_table(file, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system, not of Arrow
            raise
        raise damaged(path, (str(error) or "it is no Parquet").splitlines()[0]) from error
    if table.num_rows != part.rows or not table.schema.equals(SCHEMA):
        raise damaged(path, f"{table.num_rows} rows of other columns, expected {part.rows}")
    if table.column("id")[-1].as_py() != part.last:
        raise damaged(path, f"its last row is not {part.last}")
    return table.unify_dictionaries().combine_chunks()


def mapped(path: Path, kind: str, shape: tuple[int, int]) -> npt.NDArray[Any]:
    """The numbers of a file, read when they are looked at; raises StoreError for another size."""
    size, expected = path.stat().st_size, shape[0] * shape[1] * np.dtype(kind).itemsize
    if size != expected:
        raise damaged(path, f"it has {size} bytes, expected {expected}")
    return np.asarray(np.memmap(path, kind, "r", shape=shape))


def _read_gone(folder: Path, number: int, rows: int) -> BoolArray:
    path, gone = folder / manifests.gone_name(number), np.zeros(rows, bool)
    try:
        places = np.load(path, allow_pickle=False)
    except _NOT_AN_ARRAY as error:
        raise damaged(path, str(error)) from error
    ascending = places.dtype == np.int32 and places.ndim == 1 and (np.diff(places) > 0).all()
    if not (ascending and len(places) and places[0] >= 0 and places[-1] < rows):
        raise damaged(path, f"it holds no ascending places among {rows}")
    gone[places] = True
    return gone
