"""What charts are made of: a plot with its axes, lines of text, and columns that can be pointed at.

Colours are classes (`s1` … `s4`) that the page's style sheet defines for light and dark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from resight.reporting.scales import Scale, tick_text

WIDTH, HEIGHT = 400, 216
TOP, BOTTOM = 16, 34
LETTER, LINE_HEIGHT = 6.6, 15


@dataclass(frozen=True)
class Plot:
    """The scales and ticks of a chart; x_name is what the x axis shows."""

    x: Scale
    y: Scale
    x_ticks: tuple[float, ...]
    y_ticks: tuple[float, ...]
    unit: str
    x_name: str = "epoch"

    @property
    def y_texts(self) -> list[str]:
        """What the y ticks are labelled with."""
        return y_texts(self.y_ticks, self.unit)


def y_texts(ticks: Sequence[float], unit: str) -> list[str]:
    """What these ticks of a y axis are labelled with; of units, only percent is written."""
    step = ticks[1] - ticks[0]
    return [tick_text(tick, step) + "%" * (unit == "%") for tick in ticks]


def left_of(ticks: Sequence[float], unit: str) -> float:
    """Where a y axis with these ticks leaves room for its texts."""
    return LETTER * max(map(len, y_texts(ticks, unit))) + 12


def svg(title: str, summary: str, parts: Sequence[Markup]) -> Markup:
    """The picture; a screen reader says its title and summary."""
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}: {}">{}</svg>'
    ).format(WIDTH, HEIGHT, title, summary, Markup("").join(parts))


def axes(plot: Plot) -> Markup:
    """Grid lines, ticks and their texts."""
    left, right = plot.x.start, plot.x.end
    parts = []
    for tick, label in zip(plot.y_ticks, plot.y_texts, strict=True):
        y = plot.y(tick)
        kind = "zero" if tick == 0 else "grid"
        parts.append(rule(kind, left, y, right, y))
        parts.append(text(left - 7, y + 4, label, "tick end"))
    base = plot.y.start
    for tick in plot.x_ticks:
        parts.append(rule("tickmark", plot.x(tick), base, plot.x(tick), base + 4))
        parts.append(text(plot.x(tick), base + 17, f"{tick:.6g}", "tick middle"))
    parts.append(text((left + right) / 2, HEIGHT - 3, plot.x_name, "tick middle"))
    return Markup("").join(parts)


def rule(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    """A straight line of this class."""
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
        kind, x1, y1, x2, y2
    )


def text(x: float, y: float, words: str, kind: str) -> Markup:
    """Words of this class."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(kind, x, y, words)


def legend(plot: Plot, names: Sequence[str]) -> list[Markup]:
    """Names in a row above the plot, each with the colour of its number."""
    parts = []
    x = plot.x.start
    for number, name in enumerate(names, start=1):
        swatch = '<rect class="bar s{}" x="{:.1f}" y="2" width="11" height="11" rx="2"/>'
        parts.append(Markup(swatch).format(number, x))
        parts.append(text(x + 16, 12, name, "legend"))
        x += 16 + LETTER * len(name) + 16
    return parts


def columns(plot: Plot, titles: Mapping[float, str]) -> list[Markup]:
    """What is read when pointing at each x, evenly spaced ones."""
    width = max(2.0, (plot.x.end - plot.x.start) / max(len(titles), 1))
    return [
        Markup(
            '<g class="column"><title>{}</title>'
            '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>{}</g>'
        ).format(
            title,
            plot.x(place) - width / 2,
            plot.y.end,
            width,
            plot.y.start - plot.y.end,
            rule("hair", plot.x(place), plot.y.end, plot.x(place), plot.y.start),
        )
        for place, title in titles.items()
    ]
