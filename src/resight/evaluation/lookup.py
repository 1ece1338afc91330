"""A `Truth` in the shape that the compiled loops of `counting` read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from resight.evaluation.similarity import ScoreBlock
from resight.evaluation.truth import NO_ROW, Truth
from resight.graph.rows import over_rows
from resight.records import JUNK, FloatArray, IntArray

TOGETHER = 8
Table = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lookup:
    """Who is right, wrong and removed, by sorted rows instead of tables of queries × gallery.

    of_query: (4, Q) start and stop of the query's identity in `order`, its camera, and its own row
        in the gallery or -1. runs: (E, 2, Q) start and stop, in each of `orders`, of what the query
        excludes. order: (G,) gallery rows sorted by identity. gallery_cameras: (G,); without
        cameras, numbers that agree with no query's. junk: (J,) gallery rows that are neither right
        nor wrong. orders: (E, G). All are int64.
    """

    of_query: IntArray
    runs: IntArray
    order: IntArray
    gallery_cameras: IntArray
    junk: IntArray
    orders: IntArray

    @classmethod
    def of(cls, truth: Truth) -> Lookup:
        """The same truth, sorted."""
        n_query, n_gallery = len(truth.query_ids), len(truth.gallery_ids)
        order = np.argsort(truth.gallery_ids, kind="stable")
        by_identity = truth.gallery_ids[order]
        starts = np.searchsorted(by_identity, truth.query_ids, side="left")
        stops = np.searchsorted(by_identity, truth.query_ids, side="right")
        query_cameras, gallery_cameras = _comparable_cameras(truth)
        own = np.full(n_query, NO_ROW) if truth.query_rows is None else truth.query_rows
        runs = [(one.starts, one.stops) for one in truth.excluded]
        orders = [one.order for one in truth.excluded]
        return cls(
            np.stack([starts, stops, query_cameras, own]).astype(np.int64),
            np.array(runs, dtype=np.int64).reshape(len(runs), 2, n_query),
            order,
            gallery_cameras,
            np.flatnonzero(truth.gallery_ids == JUNK),
            np.array(orders, dtype=np.int64).reshape(len(orders), n_gallery),
        )

    def table(self, kernel: Callable[..., Any], blocks: Iterable[ScoreBlock], width: int) -> Table:
        """(Q, width) what a kernel of `counting` says of every query; NaN where no block is."""
        table = np.full((self.of_query.shape[1], width), np.nan)
        for rows, scores in blocks:
            table[rows] = self.run(kernel, rows, scores)
        return table

    def run(self, kernel: Callable[..., Any], rows: IntArray, scores: FloatArray) -> Table:
        """(B, …) what a kernel says of a block of scores (B, G) of these queries, on all cores."""
        of_query, runs = self.of_query[:, rows], self.runs[:, :, rows]

        def part(first: int, last: int) -> Table:
            table: Table = kernel(
                scores[first:last],
                np.ascontiguousarray(of_query[:, first:last]),
                np.ascontiguousarray(runs[:, :, first:last]),
                self.order,
                self.gallery_cameras,
                self.junk,
                self.orders,
            )
            return table

        return np.concatenate(over_rows(len(scores), part, least=TOGETHER))


def _comparable_cameras(truth: Truth) -> tuple[IntArray, IntArray]:
    """Cameras of both sides; without cameras, numbers that never agree."""
    if truth.query_cameras is None or truth.gallery_cameras is None:
        n, m = len(truth.query_ids), len(truth.gallery_ids)
        return np.ones(n, dtype=np.int64), np.zeros(m, dtype=np.int64)
    return truth.query_cameras.astype(np.int64), truth.gallery_cameras.astype(np.int64)
