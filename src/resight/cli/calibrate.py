"""`resight calibrate RUN [DATA]`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resight.cli import options

if TYPE_CHECKING:
    from resight.api.calibrating import Threshold


def calibrate(
    run: options.Run,
    data: Annotated[
        Path | None, typer.Argument(help="Labelled crops (default: those of the run).")
    ] = None,
    far: Annotated[
        float,
        typer.Option(help="Wanted share of pairs of different individuals that are accepted."),
    ] = 0.001,
    layout: options.Layout = "auto",
    camera_pattern: options.CameraPattern = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Find the distance up to which two crops show one individual, at a rate of false accepts.

    Without labels the run's last pseudo-labels tell who is who, which is optimistic.
    """
    from resight.api import calibrate as find

    found = find(
        run,
        data,
        far=far,
        layout=layout,
        camera_pattern=camera_pattern,
        device=device,
        precision=precision,  # type: ignore[arg-type]
    )
    _show(found)
    typer.echo(f"{run}/threshold.json")


def _show(found: Threshold) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "", "95% interval", box=None, show_header=True)
    table.add_row("cosine distance up to", f"{found.distance:.5f}")
    table.add_row("similarity from", f"{found.similarity:.5f}")
    for name, rate in (
        ("false accepts", found.false_accept),
        ("false rejects", found.false_reject),
    ):
        span = f"{rate.low:.3%} … {rate.high:.3%}"
        table.add_row(name, f"{rate.value:.3%} of {rate.pairs:,} pairs", span)
    told = {"identities": "identities", "pseudo-labels": "pseudo-labels (optimistic)"}
    pairs = "pairs of different cameras" if found.cross_camera else "all pairs"
    crops = f"{found.crops:,} crops of {found.identities:,} {told[found.source]}, {pairs}"
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print(crops, soft_wrap=True)
