"""`resight resume RUN`."""

from __future__ import annotations

from typing import Annotated

import typer

from resight.cli import options


def resume(
    run: options.Run,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N, instead of the run's own.")
    ] = None,
    memory: options.Memory = None,
) -> None:
    """Continue an interrupted run after its last finished epoch."""
    from resight.api import resume as continue_run

    typer.echo(f"{continue_run(run, device=device, memory=memory)}/report.html")
