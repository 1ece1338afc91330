"""`resight resume RUN`."""

from __future__ import annotations

import typer

from resight.cli import options


def resume(run: options.Run) -> None:
    """Continue an interrupted run after its last finished epoch."""
    from resight.api import resume as continue_run

    typer.echo(f"{continue_run(run)}/report.html")
