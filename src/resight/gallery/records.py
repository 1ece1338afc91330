"""What stores keep and answer: rows of crops, filters, hits. Frozen; they validate themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from resight.records import BoolArray, FloatArray, IntArray

NO_ROW = -1
NO_TRACK = -1


@dataclass(frozen=True, eq=False)
class Rows:
    """What is known of N stored crops besides their embeddings.

    sources: where each comes from, such as the root of its data, or the name of a live stream.
    paths: its name there, POSIX separators; source and path together name one crop. stamps: change
    when the crop does, such as its file's length and time of change. cameras: names, "" unknown.
    times: (N,) float64 seconds, NaN unknown. tracks: (N,) int64 within source and camera, -1
    unknown. added: (N,) float64 seconds since 1970-01-01 UTC when it was stored. ids: (N,) int64
    that the store gave, -1 before it did.
    """

    sources: tuple[str, ...]
    paths: tuple[str, ...]
    stamps: tuple[str, ...]
    cameras: tuple[str, ...]
    times: npt.NDArray[np.float64]
    tracks: IntArray
    added: npt.NDArray[np.float64]
    ids: IntArray

    def __post_init__(self) -> None:
        for name in ("sources", "stamps", "cameras", "times", "tracks", "added", "ids"):
            if len(getattr(self, name)) != len(self):
                raise ValueError(f"{len(getattr(self, name))} {name} for {len(self)} paths")

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, rows: IntArray | BoolArray) -> Rows:
        """These rows, in the order given: a mask (N,) or indices (M,)."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows

        def chosen(column: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(column[row] for row in rows)

        return replace(
            self,
            sources=chosen(self.sources),
            paths=chosen(self.paths),
            stamps=chosen(self.stamps),
            cameras=chosen(self.cameras),
            times=self.times[rows],
            tracks=self.tracks[rows],
            added=self.added[rows],
            ids=self.ids[rows],
        )


@dataclass(frozen=True)
class Filter:
    """Which rows count; all of what is given must hold, and what is None does not matter.

    cameras, without_cameras: names that a row's camera is, or is not, among; "" is the unknown one.
    since, until: seconds, both included; rows of unknown time fail either. added_before: seconds
    since 1970, excluded. source: rows of this source alone. without: ids that do not count.
    """

    cameras: frozenset[str] | None = None
    without_cameras: frozenset[str] = frozenset()
    since: float | None = None
    until: float | None = None
    added_before: float | None = None
    source: str | None = None
    without: frozenset[int] = frozenset()

    @property
    def keeps_all(self) -> bool:
        """Whether every row counts."""
        return self == Filter()


ALL = Filter()


@dataclass(frozen=True, eq=False)
class Hits:
    """The K best rows for each of Q queries, best first, equal ones by ascending id.

    ids: (Q, K) int64, -1 where there are fewer. similarities: (Q, K) float32 cosines, -inf there.
    exact: whether no better row can have been missed.
    """

    ids: IntArray
    similarities: FloatArray
    exact: bool


@dataclass(frozen=True)
class IndexState:
    """How a store searches. kind: in words. recall: recall@10 of the approximate index against
    exact search, measured on `queries` stored rows when it was built; None while search is exact.
    """

    rows: int
    kind: str
    recall: float | None = None
    queries: int = 0
