"""`resight report RUN`."""

from __future__ import annotations

import typer

from resight.cli import options


def report(run: options.Run) -> None:
    """Write the report of a run anew."""
    from resight.api import report as write

    typer.echo(str(write(run)))
