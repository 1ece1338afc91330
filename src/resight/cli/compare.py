"""`resight compare RUN RUN…`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resight.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from resight.api.comparing import Comparison, Difference

NARROWEST = 120


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders, evaluated alike, or files like RUN/evaluation-reranked.json; "
            "the first is what the others are compared with."
        ),
    ],
    level: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    samples: Annotated[int, typer.Option(help="Bootstrap samples.")] = 1000,
    seed: options.Seed = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare runs on the same queries: differences with intervals, and differing settings."""
    from rich.console import Console

    from resight.api import compare as run

    found = run(runs, level=level, samples=samples, seed=seed)
    if json_:
        typer.echo(found.as_json(), nl=False)
        return
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, NARROWEST)
    _show(console, found)


def _show(console: Console, found: Comparison) -> None:
    from rich.table import Table

    title = f"{found.protocol}: {found.queries:,} queries of {found.identities:,} individuals"
    table = Table("", *found.runs[0].figures, title=title, title_justify="left", box=None)
    for one in found.runs:
        table.add_row(one.run, *(f"{value:.1f}" for value in one.figures.values()))
        if one.differences:
            table.add_row("  less the first", *map(_difference, one.differences.values()))
    console.print(table)
    told = "; ".join(found.notes)
    console.print(f"({found.level:.0%} intervals: {told})", soft_wrap=True)
    if not found.settings:
        console.print("All settings are the same.")
        return
    settings = Table("setting", box=None)
    for one in found.runs:
        settings.add_column(one.run, overflow="fold")
    for name, values in found.settings.items():
        settings.add_row(name, *map(_text, values))
    console.print(settings)


def _difference(found: Difference) -> str:
    if math.isnan(found.low):  # of a single individual
        return f"{found.value:+.1f} (no interval)"
    return f"{found.value:+.1f} ({found.low:+.1f} … {found.high:+.1f})"


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    return "" if value is None else str(value)
