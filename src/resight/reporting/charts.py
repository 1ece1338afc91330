"""Small SVG charts over epochs: lines with direct labels, and stacked bars.

Every epoch has an invisible column with a <title>: what a mouse or a screen reader finds there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from resight.reporting.drawing import (
    BOTTOM,
    HEIGHT,
    LETTER,
    LINE_HEIGHT,
    TOP,
    WIDTH,
    Plot,
    axes,
    columns,
    left_of,
    legend,
    rule,
    svg,
    text,
)
from resight.reporting.quantities import short
from resight.reporting.scales import Scale, epoch_ticks, ticks_around

LABEL_GAP = 9
FEW_POINTS = 15
MOST_COLUMNS = 200

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A named series of (epoch, value), by epoch, all finite.

    label: what stands before the value at its end, the name where it is None.
    """

    name: str
    points: tuple[Point, ...]
    label: str | None = None


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    epochs: tuple[int, int],
    unit: str = "",
    y_range: tuple[float | None, float | None] = (None, None),
    marks: Mapping[int, str] | None = None,
    x_name: str = "epoch",
) -> Markup:
    """An SVG of up to four lines; `marks` are epochs with a dotted upright and its title.

    epochs: first and last of the axis, or of whatever `x_name` counts. y_range: values that the
    axis must reach; None leaves that end to the data. Raises ValueError when no line has a point.
    """
    drawn = [line for line in lines if line.points]
    if not drawn:
        raise ValueError("a chart needs at least one line with a point")
    plot = line_plot(drawn, epochs=epochs, unit=unit, y_range=y_range, x_name=x_name)
    parts = [axes(plot), *(_mark(plot, epoch, told) for epoch, told in (marks or {}).items())]
    parts += [_line(plot, line, number) for number, line in enumerate(drawn, start=1)]
    parts += _end_labels(plot, drawn)
    tables = [(line.name, dict(line.points)) for line in drawn]
    parts += _columns(plot, tables, lambda value: short(value, unit))
    return svg(title, _summary(drawn, unit), parts)


def line_plot(
    lines: Sequence[Line],
    *,
    epochs: tuple[int, int],
    unit: str = "",
    y_range: tuple[float | None, float | None] = (None, None),
    x_name: str = "epoch",
) -> Plot:
    """The scales of a line chart, with room at the right for the lines' labels."""
    values = [value for line in lines for _, value in line.points]
    y_ticks = ticks_around(
        min(values + [v for v in y_range if v is not None]),
        max(values + [v for v in y_range if v is not None]),
    )
    room = LETTER * max(len(_end_text(line, unit)) for line in lines) + LABEL_GAP + 4
    return _plot(epochs, y_ticks, unit, room, x_name=x_name)


def stacked_bars(
    layers: Sequence[tuple[str, Mapping[int, float]]],
    *,
    title: str,
    epochs: tuple[int, int],
    unit: str = "",
) -> Markup:
    """An SVG of one bar an epoch; each layer maps epochs to its part, the first at the bottom."""
    if not any(parts for _, parts in layers):
        raise ValueError("a chart needs at least one bar")
    totals: dict[int, float] = {}
    for _, parts in layers:
        for epoch, value in parts.items():
            totals[epoch] = totals.get(epoch, 0.0) + value
    plot = _plot(epochs, ticks_around(0.0, max(totals.values())), unit, room=12, half_band=True)
    bars = _bars(plot, layers, epochs)
    tables = [*layers, ("together", totals)]
    pointed = _columns(plot, tables, lambda value: short(value, unit))
    last = max(totals)
    summary = f"{short(totals[last], unit)} in epoch {last}"
    names = legend(plot, [name for name, _ in layers])
    return svg(title, summary, [axes(plot), *bars, *names, *pointed])


def _plot(
    epochs: tuple[int, int],
    y_ticks: tuple[float, ...],
    unit: str,
    room: float,
    *,
    half_band: bool = False,
    x_name: str = "epoch",
) -> Plot:
    first, last = epochs
    pad = 0.5 if half_band or first == last else 0.0
    top = TOP + (LINE_HEIGHT if half_band else 0)
    return Plot(
        x=Scale(first - pad, last + pad, left_of(y_ticks, unit), WIDTH - room),
        y=Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, top),
        x_ticks=epoch_ticks(first, last),
        y_ticks=y_ticks,
        unit=unit,
        x_name=x_name,
    )


def _summary(lines: Sequence[Line], unit: str) -> str:
    return ", ".join(
        f"{line.name} from {short(line.points[0][1], unit)} to {short(line.points[-1][1], unit)}"
        for line in lines
    )


def _mark(plot: Plot, epoch: int, told: str) -> Markup:
    x = plot.x(epoch)
    return Markup(
        '<g class="event"><title>{}</title>{}<path d="M{:.1f} {:.1f}l4 -7h-8z"/></g>'
    ).format(told, rule("event", x, plot.y.end, x, plot.y.start), x, plot.y.end)


def _line(plot: Plot, line: Line, number: int) -> Markup:
    places = [(plot.x(epoch), plot.y(value)) for epoch, value in line.points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = places if len(places) <= FEW_POINTS else places[-1:]
    circles = Markup("").join(
        Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3"/>').format(x, y) for x, y in dots
    )
    return Markup('<g class="line s{}"><path d="{}"/>{}</g>').format(number, path, circles)


def _end_text(line: Line, unit: str) -> str:
    name = line.name if line.label is None else line.label
    return f"{name} {short(line.points[-1][1], unit)}".strip()


def _end_labels(plot: Plot, lines: Sequence[Line]) -> list[Markup]:
    """Each line's name and last value, at its end's height or as near as the others allow."""
    heights = spread([plot.y(line.points[-1][1]) for line in lines], plot.y.end, plot.y.start)
    end = plot.x(max(line.points[-1][0] for line in lines))
    return [
        text(end + LABEL_GAP, height + 4, _end_text(line, plot.unit), f"label s{number}")
        for number, (line, height) in enumerate(zip(lines, heights, strict=True), start=1)
    ]


def spread(heights: Sequence[float], top: float, bottom: float) -> list[float]:
    """Heights moved as little as possible so that lines of text do not overlap, top to bottom."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [0.0] * len(heights)
    lowest = -math.inf
    for i in order:
        placed[i] = lowest = max(heights[i], lowest + LINE_HEIGHT, top)
    highest = bottom
    for i in reversed(order):
        placed[i] = min(placed[i], highest)
        highest = placed[i] - LINE_HEIGHT
    return placed


def _columns(
    plot: Plot,
    tables: Sequence[tuple[str, Mapping[float, float]] | tuple[str, Mapping[int, float]]],
    say: Callable[[float], str],
) -> list[Markup]:
    """What is read when pointing at an epoch, or whatever the x axis counts."""
    epochs = sorted({int(epoch) for _, table in tables for epoch in table})
    shown = epochs[:: math.ceil(len(epochs) / MOST_COLUMNS)]
    titles: dict[float, str] = {}
    for epoch in shown:
        lines = [f"{name} {say(table[epoch])}".strip() for name, table in tables if epoch in table]
        titles[epoch] = "\n".join([f"{plot.x_name} {epoch}", *lines])
    return columns(plot, titles)


def _bars(
    plot: Plot, layers: Sequence[tuple[str, Mapping[int, float]]], epochs: tuple[int, int]
) -> list[Markup]:
    width = min(28.0, 0.78 * (plot.x(epochs[0] + 1) - plot.x(epochs[0])))
    below: dict[int, float] = {}
    bars = []
    for number, (_, parts) in enumerate(layers, start=1):
        for epoch, value in parts.items():
            base = below.get(epoch, 0.0)
            below[epoch] = base + value
            y = plot.y(base + value)
            bars.append(
                Markup(
                    '<rect class="bar s{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                ).format(number, plot.x(epoch) - width / 2, y, width, plot.y(base) - y)
            )
    return bars
