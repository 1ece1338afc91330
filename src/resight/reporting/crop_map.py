"""The map of crops as an SVG: a colour and a name for each individual, a shape for each camera."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from resight.reporting.drawing import text
from resight.reporting.map_points import Individual, MapPoint, individuals, map_points
from resight.reporting.query_rows import in_order

SIDE, MARGIN = 640, 28
COLOURS = 6
LETTER, LINE = 9.5, 17
LONGEST = 16
R = 5.0

_UP = ((0.0, -1.25), (1.15, 0.85), (-1.15, 0.85))
_SHAPES: tuple[tuple[tuple[float, float], ...], ...] = (
    tuple((math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 16, endpoint=False)),
    _UP,
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0.0, -1.35), (1.1, 0.0), (0.0, 1.35), (-1.1, 0.0)),
    tuple((x, -y) for x, y in _UP),
    tuple(
        (
            1.25 * math.cos(k * math.pi / 6) / (1 + k % 2),
            1.25 * math.sin(k * math.pi / 6) / (1 + k % 2),
        )
        for k in range(12)
    ),
)


@dataclass(frozen=True)
class Key:
    """A shape of the legend, and the cameras whose crops are drawn so."""

    svg: Markup
    cameras: str


@dataclass(frozen=True)
class CropMap:
    """The drawn map, its legend, and its individuals one by one; who: what these are called."""

    who: str
    svg: Markup
    keys: tuple[Key, ...]
    individuals: tuple[Individual, ...]
    crops: int
    together: float


def crop_map(evaluation: Mapping[str, Any]) -> CropMap | None:
    """The map that the evaluation holds, None without one; raises RunError for a damaged one."""
    points = map_points(evaluation)
    if not points:
        return None
    who = "cluster" if evaluation.get("protocol") == "label-free" else "individual"
    found = individuals(points)
    together = sum(one.together * one.crops for one in found) / len(points)
    cameras = in_order({point.camera for point in points if point.camera is not None})
    shapes = {camera: number % len(_SHAPES) for number, camera in enumerate(cameras)}
    summary = (
        f"{len(points)} crops of {len(found)} {who}s, for {together:.0f}% of them the nearest "
        f"crop shows the same {who}"
    )
    return CropMap(
        who=who,
        svg=_drawn(points, shapes, summary),
        keys=_keys(shapes),
        individuals=found,
        crops=len(points),
        together=together,
    )


def _drawn(points: Sequence[MapPoint], shapes: Mapping[str, int], summary: str) -> Markup:
    groups: dict[str, list[MapPoint]] = {}
    for point in points:
        groups.setdefault(point.identity, []).append(point)
    names = in_order(set(groups))
    middles = {name: _middle(groups[name]) for name in names}
    colours = _colours([middles[name] for name in names])
    parts = [
        Markup('<g class="who m{}">{}</g>').format(
            colour, Markup("").join(_dot(point, shapes) for point in groups[name])
        )
        for name, colour in zip(names, colours, strict=True)
    ]
    parts += _labels(middles)
    return Markup(
        '<svg class="chart map" viewBox="0 0 {} {}" role="img" aria-label="Map of {}">{}</svg>'
    ).format(SIDE, SIDE, summary, Markup("").join(parts))


def _place(x: float, y: float) -> tuple[float, float]:
    width = SIDE - 2 * MARGIN
    return MARGIN + x * width, MARGIN + y * width


def _dot(point: MapPoint, shapes: Mapping[str, int]) -> Markup:
    told = " · ".join(filter(None, [point.identity, point.camera, point.path]))
    number = 0 if point.camera is None else shapes[point.camera]
    return Markup('<path d="{}"><title>{}</title></path>').format(
        _outline(number, *_place(point.x, point.y)), told
    )


def _outline(shape: int, x: float, y: float) -> str:
    corners = (f"{x + R * dx:.1f} {y + R * dy:.1f}" for dx, dy in _SHAPES[shape])
    return "M" + "L".join(corners) + "Z"


def _middle(points: Sequence[MapPoint]) -> tuple[float, float]:
    """The crop that is nearest to the medians, so that a name stands where its crops are."""
    places = np.array([(point.x, point.y) for point in points])
    apart = np.square(places - np.median(places, axis=0)).sum(axis=1)
    x, y = places[int(apart.argmin())].tolist()
    return _place(x, y)


def _colours(middles: Sequence[tuple[float, float]]) -> list[int]:
    """A colour 1 … 6 for each, that whose nearest other bearer is farthest; twice over."""
    colours = [0] * len(middles)
    for number, middle in [*enumerate(middles)] * 2:
        colours[number] = 0
        bearers = [(math.dist(middle, m), c) for m, c in zip(middles, colours, strict=True)]
        nearest = {
            colour: min((far for far, c in bearers if c == colour), default=math.inf)
            for colour in range(1, COLOURS + 1)
        }
        colours[number] = max(nearest, key=nearest.__getitem__)
    return colours


def _labels(middles: Mapping[str, tuple[float, float]]) -> list[Markup]:
    """Each name above its middle, or lower as far as the names above it reach."""
    placed: list[tuple[float, float, float]] = []
    parts = []
    for name, (x, y) in sorted(middles.items(), key=lambda item: item[1][1]):
        words = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
        half = LETTER * len(words) / 2
        x, y = min(max(x, half), SIDE - half), max(y - 2 * R, LINE)
        for other_x, other_y, other_half in sorted(placed, key=lambda place: place[1]):
            if abs(x - other_x) < half + other_half and abs(y - other_y) < LINE:
                y = other_y + LINE
        placed.append((x, y, half))
        parts.append(text(x, min(y, SIDE - 4), words, "halo middle"))
    return parts


def _keys(shapes: Mapping[str, int]) -> tuple[Key, ...]:
    drawn = Markup('<svg viewBox="0 0 16 16" aria-hidden="true"><path d="{}"/></svg>')
    return tuple(
        Key(
            drawn.format(_outline(number, 8, 8)),
            ", ".join(camera for camera, shape in shapes.items() if shape == number),
        )
        for number in sorted(set(shapes.values()))
    )
