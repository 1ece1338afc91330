"""Small SVG charts of how values are spread: one outline an epoch over a common axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from resight.reporting.drawing import (
    BOTTOM,
    HEIGHT,
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
from resight.reporting.scales import Scale, ticks_around

ROOM = 12

Counts = Mapping[str, Sequence[float]]


def histogram_chart(
    counts: Counts,
    *,
    title: str,
    x_name: str,
    low: float = -1.0,
    high: float = 1.0,
    unit: str = "",
    mark: tuple[float, str] | None = None,
) -> Markup:
    """An SVG of up to four histograms over low … high, drawn where any of them holds something.

    counts: by name, numbers or shares in equal parts of low … high, as many for all names. mark: a
    value with a dotted upright, and what is written beside it. Raises ValueError when they are not
    as many, or all 0.
    """
    bins = {len(numbers) for numbers in counts.values()}
    if len(bins) != 1 or not any(any(numbers) for numbers in counts.values()):
        raise ValueError(f"a chart needs equally many counts, not all 0, found {sorted(bins)}")
    plot, edges = histogram_plot(counts, x_name=x_name, low=low, high=high, unit=unit)
    parts = [axes(plot), *legend(plot, [*counts])]
    parts += [_outline(plot, edges, n, number) for number, n in enumerate(counts.values(), start=1)]
    parts += columns(plot, _titles(counts, edges, plot))
    parts += _mark(plot, *mark) if mark else []
    told = f", {mark[1]} {mark[0]:.2f}" if mark else ""
    return svg(title, _summary(counts, edges) + told, parts)


def histogram_plot(
    counts: Counts, *, x_name: str, low: float, high: float, unit: str = ""
) -> tuple[Plot, list[float]]:
    """The scales of a histogram, and the B + 1 edges of its B parts."""
    n = len(next(iter(counts.values())))
    edges = [low + (high - low) * i / n for i in range(n + 1)]
    held = [i for numbers in counts.values() for i, count in enumerate(numbers) if count]
    x_ticks = ticks_around(edges[min(held)], edges[max(held) + 1], about=8)
    y_ticks = ticks_around(0.0, max(max(numbers) for numbers in counts.values()))
    plot = Plot(
        x=Scale(x_ticks[0], x_ticks[-1], left_of(y_ticks, unit), WIDTH - ROOM),
        y=Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP + LINE_HEIGHT),
        x_ticks=x_ticks,
        y_ticks=y_ticks,
        unit=unit,
        x_name=x_name,
    )
    return plot, edges


def _outline(plot: Plot, edges: Sequence[float], numbers: Sequence[float], number: int) -> Markup:
    """The upper edge of the parts that hold something, down to the axis at both ends."""
    held = [i for i, count in enumerate(numbers) if count]
    if not held:
        return Markup("")
    first, last = held[0], held[-1]
    path = f"M{plot.x(edges[first]):.1f} {plot.y(0):.1f}"
    for i in range(first, last + 1):
        path += f"V{plot.y(numbers[i]):.1f}H{plot.x(edges[i + 1]):.1f}"
    path += f"V{plot.y(0):.1f}"
    return Markup('<path class="outline s{}" d="{}"/>').format(number, path)


def _mark(plot: Plot, value: float, told: str) -> list[Markup]:
    """A dotted upright with its words on the side that has more room."""
    x = min(max(plot.x(value), plot.x.start), plot.x.end)
    is_right = x < (plot.x.start + plot.x.end) / 2
    words = f"{told} {value:.2f}"
    return [
        Markup('<g class="event">{}</g>').format(rule("event", x, plot.y.end, x, plot.y.start)),
        text(x + (5 if is_right else -5), plot.y.end + 10, words, "halo" + " end" * (not is_right)),
    ]


def _titles(counts: Counts, edges: Sequence[float], plot: Plot) -> dict[float, str]:
    """What each part holds, by its middle; parts that hold nothing are not told."""
    titles = {}
    for i in range(len(edges) - 1):
        held = {name: numbers[i] for name, numbers in counts.items() if numbers[i]}
        if held:
            lines = [f"{name}: {short(count, plot.unit)}" for name, count in held.items()]
            span = f"{plot.x_name} {edges[i]:.2f} to {edges[i + 1]:.2f}"
            titles[(edges[i] + edges[i + 1]) / 2] = "\n".join([span, *lines])
    return titles


def _summary(counts: Counts, edges: Sequence[float]) -> str:
    """Where each histogram that holds something is highest."""
    peaks = []
    for name, numbers in counts.items():
        if not any(numbers):
            continue
        peak = max(range(len(numbers)), key=numbers.__getitem__)
        peaks.append(f"{name} highest from {edges[peak]:.2f} to {edges[peak + 1]:.2f}")
    return ", ".join(peaks)
