"""`resight export RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resight.cli import options


def export(
    run: options.Run,
    to: Annotated[str, typer.Option(help="onnx, torchscript or safetensors.")] = "onnx",
    preset: Annotated[
        str,
        typer.Option(
            help="plain (uint8 RGB of any size), boxmot or ultralytics: what these trackers feed."
        ),
    ] = "plain",
    out: Annotated[
        Path | None, typer.Option(help="New folder (default: export/ in the run).")
    ] = None,
    opset: Annotated[int | None, typer.Option(help="Of ONNX, at least 18 (default).")] = None,
) -> None:
    """Write a run's encoder in a form that runs elsewhere, compare the two, and write its card."""
    from resight.api import export as write

    done = write(run, to, preset=preset, out=out, opset=opset)  # type: ignore[arg-type]
    typer.echo(f"largest difference from PyTorch: {done.difference:.1e}")
    typer.echo(done.file)
