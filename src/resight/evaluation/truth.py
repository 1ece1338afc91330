"""Who is who among queries and gallery, and which answers do not count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resight.records import JUNK, BoolArray, IntArray

DISTRACTOR = 0
NO_ROW = -1


@dataclass(frozen=True, eq=False)
class Excluded:
    """Gallery rows that do not count for each of Q queries: order[starts[q] : stops[q]] of query q.

    order: (G,) gallery rows, sorted such that what one query excludes stands together.
    starts, stops: (Q,) positions in that order, 0 … G.

    Raises ValueError for runs that leave the gallery.
    """

    order: IntArray
    starts: IntArray
    stops: IntArray

    def __post_init__(self) -> None:
        if self.starts.shape != self.stops.shape:
            raise ValueError(f"{self.starts.shape} starts for {self.stops.shape} stops")
        runs = np.concatenate([self.starts, self.stops])
        if len(runs) and not (runs.min() >= 0 and runs.max() <= len(self.order)):
            raise ValueError(
                f"runs span {runs.min()} … {runs.max()}, expected 0 … {len(self.order)}"
            )

    def rows(self, query: int) -> IntArray:
        """The gallery rows that do not count for this query."""
        return self.order[self.starts[query] : self.stops[query]]


@dataclass(frozen=True, eq=False)
class Truth:
    """Identities and cameras of Q queries and G gallery crops: decides right, wrong and removed.

    query_ids, gallery_ids: (Q,), (G,) signed integers. Queries of identity -1 or 0 are never
        searched for. Gallery crops of identity -1 are removed; those of identity 0 are wrong for
        every query.
    query_cameras, gallery_cameras: (Q,), (G,) likewise, both or neither. With them, crops of the
        query's own identity in the query's own camera are removed.
    query_rows: (Q,) each query's own row in the gallery, -1 where it has none; that row is removed.
    excluded: further gallery rows that are removed, whatever their identity.

    Raises ValueError for arrays that do not fit together.
    """

    query_ids: IntArray
    gallery_ids: IntArray
    query_cameras: IntArray | None = None
    gallery_cameras: IntArray | None = None
    query_rows: IntArray | None = None
    excluded: tuple[Excluded, ...] = ()

    def __post_init__(self) -> None:
        for name in ("query_ids", "query_cameras", "query_rows"):
            check_integers(name, getattr(self, name), len(self.query_ids))
        for name in ("gallery_ids", "gallery_cameras"):
            check_integers(name, getattr(self, name), len(self.gallery_ids))
        for name in ("query_ids", "gallery_ids"):
            lowest = getattr(self, name).min(initial=JUNK)
            if lowest < JUNK:
                raise ValueError(
                    f"{name} holds {lowest}, expected -1 (junk), 0 (distractor) or numbers from 1"
                )
        if (self.query_cameras is None) != (self.gallery_cameras is None):
            raise ValueError("cameras are given for one side only; give both sides' or neither's")
        self._check_rows()
        for one in self.excluded:
            if (len(one.starts), len(one.order)) != (len(self.query_ids), len(self.gallery_ids)):
                raise ValueError(
                    f"excluded rows are of {len(one.starts)} queries and {len(one.order)} gallery "
                    f"crops, expected {len(self.query_ids)} and {len(self.gallery_ids)}"
                )

    def _check_rows(self) -> None:
        rows = self.query_rows
        if rows is None:
            return
        n = len(self.gallery_ids)
        if len(rows) and not (rows.min() >= NO_ROW and rows.max() < n):
            raise ValueError(
                f"query_rows spans {rows.min()} … {rows.max()}, expected -1 … {n - 1} "
                f"for a gallery of {n}"
            )
        inside = (rows != NO_ROW) & self.searched
        if not np.array_equal(self.gallery_ids[rows[inside]], self.query_ids[inside]):
            raise ValueError("query_rows points at gallery rows of another identity than the query")

    @property
    def searched(self) -> BoolArray:
        """(Q,) which queries show a labelled individual."""
        searched: BoolArray = self.query_ids > DISTRACTOR
        return searched

    @property
    def candidates(self) -> IntArray:
        """Query rows that are searched for and whose identity occurs in the gallery at all."""
        known = np.isin(self.query_ids, self.gallery_ids)
        return np.flatnonzero(self.searched & known)

    def n_right(self) -> IntArray:
        """(Q,) how many right answers count for each query, were nothing `excluded`."""
        found = _occurrences(self.gallery_ids[None], self.query_ids[None]) - self.n_same_camera()
        if self.query_rows is not None:
            found -= (self.query_rows != NO_ROW) & self.searched
        return found

    def n_same_camera(self) -> IntArray:
        """(Q,) how many other gallery crops show the query's identity in its own camera."""
        if self.query_cameras is None or self.gallery_cameras is None:
            return np.zeros(len(self.query_ids), dtype=np.int64)
        found = _occurrences(
            np.stack([self.gallery_ids, self.gallery_cameras]),
            np.stack([self.query_ids, self.query_cameras]),
        )
        if self.query_rows is not None and len(self.gallery_ids):
            inside = self.query_rows != NO_ROW
            found -= inside & (self.gallery_cameras[self.query_rows] == self.query_cameras)
        return found

    def own_row(self, query: int) -> int:
        """The query's row in the gallery, -1 where it has none."""
        return NO_ROW if self.query_rows is None else int(self.query_rows[query])

    def right(self, query: int) -> BoolArray:
        """(G,) which gallery crops show the individual of this query, removed ones included."""
        right: BoolArray = self.gallery_ids == self.query_ids[query]
        return right

    def removed(self, query: int) -> BoolArray:
        """(G,) which gallery crops are neither right nor wrong for this query."""
        removed: BoolArray = self.gallery_ids == JUNK
        if self.query_cameras is not None and self.gallery_cameras is not None:
            same_camera = self.gallery_cameras == self.query_cameras[query]
            removed |= same_camera & self.right(query)
        if self.query_rows is not None and self.query_rows[query] != NO_ROW:
            removed[self.query_rows[query]] = True
        for one in self.excluded:
            removed[one.rows(query)] = True
        return removed


def _occurrences(table: IntArray, wanted: IntArray) -> IntArray:
    """(M,) how often each column of `wanted` (K, M) stands in `table` (K, N)."""
    both = np.concatenate([wanted, table], axis=1)
    _, group = np.unique(both, axis=1, return_inverse=True)
    group = group.reshape(-1)
    n = wanted.shape[1]
    counts = np.bincount(group[n:], minlength=int(group.max(initial=-1)) + 1)
    found: IntArray = counts[group[:n]]
    return found


def check_integers(name: str, array: object, n: int) -> None:
    """Raise ValueError unless `array` is None or (n,) signed integers."""
    if array is None:
        return
    if not isinstance(array, np.ndarray):
        kind = type(array).__name__
        raise ValueError(f"{name} is a {kind}, expected an array of integers (np.asarray)")
    if array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}, expected ({n},)")
    if not np.issubdtype(array.dtype, np.signedinteger):
        raise ValueError(f"{name} has dtype {array.dtype}, expected signed integers")
