"""Where searches succeed and fail: the CMC curve, query cameras, and pairs of cameras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from resight.reporting.charts import Line, line_chart
from resight.reporting.curves import Chart
from resight.reporting.quantities import finite
from resight.reporting.query_rows import QueryRows, in_order
from resight.reporting.tables import THIS_RUN

RANKS = 50
LINES = 4
PAIRS = 10

CMC_HINT = (
    "Share of searches with a right answer among the first k: how far a person has to look. "
    "It should start high and reach 100% early."
)


@dataclass(frozen=True)
class CameraRow:
    """Searches that start from one camera; m_ap and rank1 in percent."""

    camera: str
    queries: int
    m_ap: float
    rank1: float


@dataclass(frozen=True)
class FailingPair:
    """Searches from one camera whose first answer is wrong and comes from another, or the same one.

    share: of the searches from that camera, in percent. of_all: of all failed searches, in percent.
    """

    query_camera: str
    answer_camera: str
    failures: int
    share: float
    of_all: float


@dataclass(frozen=True)
class Failures:
    """Failed searches among all, and the pairs of cameras with most of them.

    hidden: pairs of cameras that are not listed. same: failures within one camera.
    """

    queries: int
    failures: int
    pairs: tuple[FailingPair, ...]
    hidden: int
    same: int


def cmc_chart(evaluation: Mapping[str, Any]) -> Chart | None:
    """Right answers among the first 1 … 50, with the compared ones that kept theirs."""
    mine = _curve(evaluation.get("cmc"))
    if not mine:
        return None
    entries = evaluation.get("comparison") or []
    figures = evaluation.get("figures")
    own = [e.get("name") for e in entries if e.get("figures") == figures]
    curves = {str(own[0]) if own else THIS_RUN: mine}
    for entry in entries:
        curve = _curve(entry.get("cmc"))
        if curve and entry.get("figures") != figures and len(curves) < LINES:
            curves[str(entry.get("name", "?"))] = curve
    lines = [
        Line(name, tuple((float(k), v) for k, v in enumerate(curve, start=1)), label="")
        for name, curve in curves.items()
    ]
    title = "Right answers among the first k"
    svg = line_chart(
        lines, title=title, epochs=(1, RANKS), unit="%", y_range=(None, 100.0), x_name="first k"
    )
    return Chart(title, CMC_HINT, svg, tuple(curves))


def by_camera(evaluation: Mapping[str, Any], queries: QueryRows | None) -> tuple[CameraRow, ...]:
    """How searches from each camera fare; () where cameras are unknown or there is only one."""
    if queries is None:
        return ()
    ap = queries.ap_market if evaluation.get("ap") == "market" else queries.ap_step
    cameras = np.array([camera or "" for camera in queries.cameras])
    names = in_order({camera for camera in queries.cameras if camera is not None})
    if len(names) < 2:
        return ()
    rows = []
    for name in names:
        of = cameras == name
        rank1 = 100 - 100 * float(np.mean(queries.failed[of]))
        rows.append(CameraRow(name, int(of.sum()), 100 * float(np.mean(ap[of])), rank1))
    return tuple(rows)


def failures(queries: QueryRows | None) -> Failures | None:
    """Failed searches by the query's camera and that of the wrong first answer.

    None where the cameras of wrong answers were not kept, no search failed, or there is only one
    camera.
    """
    if queries is None or queries.wrong_cameras is None:
        return None
    searched = Counter(camera for camera in queries.cameras if camera is not None)
    found = Counter(
        (mine, other)
        for mine, other, failed in zip(
            queries.cameras, queries.wrong_cameras, queries.failed.tolist(), strict=True
        )
        if failed and mine is not None and other is not None
    )
    if len({*searched, *(camera for pair in found for camera in pair)}) < 2 or not found:
        return None
    total = sum(found.values())
    order = sorted(found, key=lambda pair: (-found[pair], pair))
    pairs = tuple(
        FailingPair(
            mine,
            other,
            found[mine, other],
            100 * found[mine, other] / searched[mine],
            100 * found[mine, other] / total,
        )
        for mine, other in order[:PAIRS]
    )
    same = sum(count for (mine, other), count in found.items() if mine == other)
    return Failures(sum(searched.values()), total, pairs, len(found) - len(pairs), same)


def _curve(values: object) -> list[float]:
    """The first 50 percentages, [] for anything that cannot be drawn."""
    if not isinstance(values, list):
        return []
    known = [finite(value) for value in values[:RANKS]]
    return [] if None in known else [value for value in known if value is not None]
