"""Changes of the embedded store: files are complete on the disk before a manifest names them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from resight.gallery.records import ALL
from resight.gallery.stores import files_manifest as manifests
from resight.gallery.stores.files_coding import Encoding, fit, measure
from resight.gallery.stores.files_manifest import Coding, Part
from resight.gallery.stores.files_scan import Codes
from resight.gallery.stores.files_segments import (
    CHUNK,
    Piece,
    Segment,
    mapped,
    write_blocks,
    write_gone,
    write_segment,
)
from resight.gallery.stores.files_snapshot import Snapshot
from resight.records import FloatArray, IntArray

log = logging.getLogger(__name__)

MOST_WITH_AN_ADDITION = 2**15
MOST_ROWS = 2**18
GROWTH = 1.25
WIDTHS = (128, 256)
SAMPLE = 20_000
QUERIES = 256


class Change:
    """What a store will hold instead of `now` once this is committed; files are written before."""

    def __init__(self, folder: Path, now: Snapshot) -> None:
        self._folder = folder
        self.now = now
        self._next_file = now.manifest.next_file
        self._coding = now.manifest.coding
        self._content: list[Segment | Part] = list(now.segments)

    def delete(self, ids: IntArray) -> int:
        """Delete these rows; ids that are not there do not matter. Returns how many were."""
        deleted = 0
        for number, segment in enumerate(self._segments()):
            places = segment.places(ids)
            places = places[places >= 0]
            if len(places):
                gone = np.zeros(len(segment), bool) if segment.gone is None else segment.gone.copy()
                gone[places] = True
                self._content[number] = replace(segment, gone=gone)
                deleted += len(places)
        return deleted

    def append(self, piece: Piece) -> None:
        """Write new rows, whose ids are larger than any.

        The last segments are written again with them while they are no larger than what is being
        written, so that rows that come one by one do not end up in as many files.
        """
        segments, rows = self._segments(), len(piece.places)
        first = len(segments)
        while first and segments[first - 1].alive <= min(rows, MOST_WITH_AN_ADDITION):
            first -= 1
            rows += segments[first].alive
        rest = [segment.rest() for segment in segments[first:] if segment.alive]
        self._content[first:] = self._written([*rest, piece])

    def tidy(self) -> bool:
        """Write some segments again without their deleted rows, and small ones as one.

        Returns whether there were any: when there are none, nothing deleted is left on the disk.
        """
        groups: list[list[Segment]] = []
        room = 0
        for segment in self._segments():
            if not groups or segment.alive > room:
                groups.append([])
                room = MOST_ROWS
            groups[-1].append(segment)
            room -= segment.alive
        for number, group in enumerate(groups):
            if len(group) > 1 or group[0].gone is not None:
                pieces = [segment.rest() for segment in group if segment.alive]
                first = sum(map(len, groups[:number]))
                self._content[first : first + len(group)] = self._written(pieces)
                return True
        return False

    def index(self, approximate_from: int) -> None:
        """Make the approximate index where it pays, or its codes for the rows that have none."""
        rows, coding = len(self.now), self._coding
        if rows < approximate_from:
            self._coding = None
            self._content = [_with_codes(segment, None) for segment in self._segments()]
        elif coding is None or rows > GROWTH * coding.rows:
            self._build()
        elif self.now.encoding is not None:
            for number, segment in enumerate(self._segments()):
                if segment.codes is None:
                    codes = self._write_codes(segment, self.now.encoding)
                    self._content[number] = _with_codes(segment, codes)

    def commit(self, *, next_id: int | None = None) -> None:
        """Make it what the store holds; nothing is written when that is what it holds already.

        Raises StoreError, and changes nothing, when that cannot be written.
        """
        before = self.now.manifest
        parts = [self._part(item) for item in self._content]
        after = replace(
            before,
            next_id=before.next_id if next_id is None else next_id,
            parts=tuple(part for part in parts if part is not None),
            coding=self._coding,
        )
        if after != before:
            after = replace(after, next_file=self._number())
            manifests.commit(self._folder, after)
            manifests.remove(self._folder, before.files() - after.files())

    def _segments(self) -> list[Segment]:
        """The content, all of which is segments before anything is written."""
        return [item for item in self._content if isinstance(item, Segment)]

    def _number(self) -> int:
        self._next_file += 1
        return self._next_file - 1

    def _written(self, pieces: Sequence[Piece]) -> list[Part]:
        return [write_segment(self._folder, self._number(), pieces)] if pieces else []

    def _part(self, item: Segment | Part) -> Part | None:
        """The entry of the manifest, None when no row is left."""
        if isinstance(item, Part):
            return item
        if not item.alive:
            return None
        known = next(s for s in self.now.segments if s.part.number == item.part.number)
        if item.gone is known.gone or item.gone is None:
            return item.part
        number = self._number()
        write_gone(self._folder / manifests.gone_name(number), item.gone)
        return replace(item.part, gone=number)

    def _build(self) -> None:
        """Of the encodings the smallest that finds enough; none when none does."""
        segments, rows = self._segments(), len(self.now)
        sample = self._sample(SAMPLE)[1]
        ids, queries = self._sample(QUERIES)
        self._coding = Coding(rows)
        self._content = [_with_codes(segment, None) for segment in segments]
        for width in sorted({min(width, self.now.manifest.dim) for width in WIDTHS}):
            encoding = fit(sample, width)
            written = [self._write_codes(segment, encoding) for segment in segments]
            pairs = list(zip(segments, written, strict=True))
            codes = [self._codes(number, len(segment), width) for segment, number in pairs]
            rows_there = [segment.runs(ALL) for segment in segments]
            found = measure(encoding, rows_there, codes, ids, queries)
            log.info("codes of %d bytes for %d rows: %s", width, rows, found or "not good enough")
            if found is not None:
                number = self._number()
                encoding.write(self._folder / manifests.coding_name(number))
                self._coding = Coding(rows, number, *found)
                self._content = [_with_codes(*pair) for pair in pairs]
                return
            manifests.remove(self._folder, {manifests.codes_name(number) for number in written})

    def _sample(self, most: int) -> tuple[IntArray, FloatArray]:
        """Ids and embeddings of random rows, by ascending id."""
        ids = self.now.select(ALL, -1, None)
        rng = np.random.default_rng(len(ids) + most)
        chosen = np.sort(rng.choice(ids, min(most, len(ids)), replace=False))
        return chosen, self.now.vectors(chosen)

    def _write_codes(self, segment: Segment, encoding: Encoding) -> int:
        number = self._number()
        blocks = (
            encoding.codes(segment.vectors[first : first + CHUNK].astype(np.float32))
            for first in range(0, len(segment), CHUNK)
        )
        write_blocks(self._folder / manifests.codes_name(number), blocks)
        return number

    def _codes(self, number: int, rows: int, width: int) -> Codes:
        return mapped(self._folder / manifests.codes_name(number), "i1", (rows, width))


def _with_codes(segment: Segment, number: int | None) -> Segment:
    return replace(segment, part=replace(segment.part, codes=number))
