"""The map of crops in an evaluation, checked and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from resight.errors import RunError
from resight.records import IntArray
from resight.reporting.quantities import finite
from resight.reporting.query_rows import in_order

MOST_POINTS = 2_000


@dataclass(frozen=True)
class MapPoint:
    """A crop on the map; x and y in [0, 1]."""

    x: float
    y: float
    identity: str
    camera: str | None
    path: str


@dataclass(frozen=True)
class Individual:
    """One individual's crops on the map; together: percent whose nearest crop shows it too."""

    name: str
    crops: int
    cameras: int
    together: float


def map_points(evaluation: Mapping[str, Any]) -> tuple[MapPoint, ...]:
    """The evaluation's map, at most 2,000 points of it; raises RunError for a damaged one."""
    entries = evaluation.get("map") or []
    try:
        return tuple(_point(entry) for entry in entries[:MOST_POINTS])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"the map of the evaluation is damaged ({error!r}): evaluate again"
        ) from error


def individuals(points: tuple[MapPoint, ...]) -> tuple[Individual, ...]:
    """Who is on the map, by name."""
    nearest = _nearest(points)
    together: Counter[str] = Counter()
    crops = Counter(point.identity for point in points)
    cameras: dict[str, set[str]] = {name: set() for name in crops}
    for point, other in zip(points, nearest.tolist(), strict=True):
        together[point.identity] += points[other].identity == point.identity
        cameras[point.identity] |= {point.camera} if point.camera is not None else set()
    return tuple(
        Individual(name, crops[name], len(cameras[name]), 100 * together[name] / crops[name])
        for name in in_order(set(crops))
    )


def _nearest(points: tuple[MapPoint, ...]) -> IntArray:
    """(N,) each point's nearest other one; its own number where it is alone."""
    places = np.array([(point.x, point.y) for point in points])
    apart = np.square(places[:, None] - places).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest: IntArray = apart.argmin(axis=1)
    return nearest


def _point(entry: Mapping[str, Any]) -> MapPoint:
    x, y = finite(entry["x"]), finite(entry["y"])
    if x is None or y is None or not (0 <= x <= 1 and 0 <= y <= 1):
        raise ValueError(f"a point at {entry['x']}, {entry['y']}")
    camera = entry.get("camera")
    return MapPoint(
        x, y, str(entry["identity"]), None if camera is None else str(camera), str(entry["path"])
    )
