"""One state of the embedded store, which does not change: what is read is read from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from resight.errors import StoreError
from resight.gallery.records import NO_ROW, Filter, Hits, IndexState, Rows
from resight.gallery.stores import files_manifest as manifests
from resight.gallery.stores.files_coding import Encoding, search_codes
from resight.gallery.stores.files_manifest import Manifest
from resight.gallery.stores.files_scan import search
from resight.gallery.stores.files_segments import (
    NO_ROWS,
    Segment,
    as_rows,
    damaged,
    key_of,
    open_segment,
)
from resight.records import FloatArray, IntArray

ATTEMPTS = 20


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The content of a store's folder at one time.

    text: of its manifest. encoding: of the segments' codes, None where they have none.
    """

    text: bytes
    manifest: Manifest
    segments: tuple[Segment, ...] = ()
    encoding: Encoding | None = None

    @classmethod
    def load(cls, folder: Path, known: Snapshot | None = None) -> Snapshot:
        """What the folder holds now; what is open already in `known` is not opened again.

        Raises StoreError for a folder without a store, or with a damaged one.
        """
        there = {segment.part.number: segment for segment in known.segments} if known else {}
        for _ in range(ATTEMPTS):
            text = manifests.text_of(folder)
            if known is not None and known.text == text:
                return known
            try:
                return _opened(folder, text, known, there)
            except FileNotFoundError as error:  # replaced by a writer, unless it is really lost
                if manifests.text_of(folder) == text:
                    raise damaged(Path(error.filename), "it is missing") from error
            except OSError as error:
                raise StoreError(f"cannot read {folder}: {error.strerror or error}") from error
        raise StoreError(f"{folder} changes faster than it can be read: try again")

    def __len__(self) -> int:
        """How many rows there are."""
        return sum(segment.alive for segment in self.segments)

    @cached_property
    def cameras(self) -> dict[str, int]:
        """How many rows each camera has, in the names' order."""
        counts: Counter[str] = Counter()
        for segment in self.segments:
            counts.update(segment.cameras())
        return {name: counts[name] for name in sorted(counts) if counts[name]}

    @cached_property
    def times(self) -> tuple[float, float] | None:
        """The first and the last time of rows that have one."""
        known = [segment.times for segment in self.segments if segment.times is not None]
        if not known:
            return None
        return min(first for first, _ in known), max(last for _, last in known)

    @property
    def state(self) -> IndexState:
        """How it is searched."""
        coding = self.manifest.coding
        if self.encoding is None or coding is None:
            return IndexState(len(self), "exact")
        return IndexState(
            len(self),
            f"codes of {self.encoding.width} bytes, {coding.candidates} candidates scored exactly",
            coding.recall,
            coding.queries,
        )

    def count(self, where: Filter) -> int:
        """How many rows pass the filter."""
        masks = [(segment, segment.matching(where)) for segment in self.segments]
        return sum(
            len(segment) if mask is None else int(np.count_nonzero(mask)) for segment, mask in masks
        )

    def select(self, where: Filter, after: int, limit: int | None) -> IntArray:
        """Ids that pass the filter, from the first larger than `after` on."""
        found, room = [np.empty(0, np.int64)], len(self) if limit is None else max(0, limit)
        for segment in self.segments:
            if segment.part.last <= after or not room:
                continue
            mask = segment.matching(where)
            ids = segment.ids if mask is None else segment.ids[mask]
            found.append(ids[np.searchsorted(ids, after, "right") :][:room])
            room -= len(found[-1])
        return np.concatenate(found)

    def rows(self, ids: IntArray) -> Rows:
        """What is known of rows; raises KeyError for one that is not there."""
        owner, places = self._located(ids)
        order = np.argsort(owner, kind="stable")
        tables = [
            self.segments[number].take(places[order][owner[order] == number])
            for number in np.unique(owner)
        ]
        if not tables:
            return as_rows(NO_ROWS)
        return as_rows(pa.concat_tables(tables).take(pa.array(np.argsort(order))))

    def vectors(self, ids: IntArray) -> FloatArray:
        """(N, D) embeddings; raises KeyError for one that is not there."""
        owner, places = self._located(ids)
        vectors = np.empty((len(ids), self.manifest.dim), np.float32)
        for number in np.unique(owner):
            mine = owner == number
            vectors[mine] = self.segments[number].vectors[places[mine]]
        return vectors

    def find(self, source: str, paths: Sequence[str]) -> IntArray:
        """(M,) ids of crops of a source, -1 for those that are not there."""
        ids = np.full(len(paths), NO_ROW, np.int64)
        keys = np.fromiter((key_of(source, path) for path in paths), np.uint64, len(paths))
        for segment in self.segments:
            places = segment.find(source, paths, keys)
            ids[places >= 0] = segment.ids[places[places >= 0]]
        return ids

    def search(self, queries: FloatArray, k: int, where: Filter, *, exact: bool) -> Hits:
        """The k most similar rows that pass the filter."""
        rows = [segment.runs(where) for segment in self.segments]
        coding = self.manifest.coding
        if exact or self.encoding is None or coding is None:
            similarities, ids = search(rows, queries, k)
            return Hits(ids, similarities, exact=True)
        codes = [segment.codes for segment in self.segments]
        return search_codes(self.encoding, rows, codes, queries, k, coding.candidates)

    def _located(self, ids: IntArray) -> tuple[IntArray, IntArray]:
        """(N,) the segments of rows and their places in them."""
        lasts = np.array([segment.part.last for segment in self.segments], np.int64)
        owner = np.searchsorted(lasts, ids)
        places = np.full(len(ids), -1, np.int64)
        for number in np.unique(owner[owner < len(lasts)]):
            mine = owner == number
            places[mine] = self.segments[number].places(ids[mine])
        if len(ids) and places.min() < 0:
            raise KeyError(f"no row has id {ids[places < 0][0]}")
        return owner, places


def _opened(
    folder: Path, text: bytes, known: Snapshot | None, there: dict[int, Segment]
) -> Snapshot:
    """What this manifest names. there: segments that are open, by number; others are put there."""
    manifest = manifests.parse(text, folder)
    encoding, number = None, manifest.coding_number
    if number is not None and known is not None and known.manifest.coding_number == number:
        encoding = known.encoding
    elif number is not None:
        encoding = Encoding.read(folder / manifests.coding_name(number), manifest.dim)
    width = encoding.width if encoding else 0
    for part in manifest.parts:
        known_part = there.get(part.number)
        there[part.number] = open_segment(folder, part, manifest.dim, width, known_part)
    segments = tuple(there[part.number] for part in manifest.parts)
    return Snapshot(text, manifest, segments, encoding)
