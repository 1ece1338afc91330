"""`resight data check DATA` and `resight data unpack FOLDER`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resight.cli import options

app = typer.Typer(help="Look at data, and unpack it, before training.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Look at data, and unpack it, before training."""


@app.command()
def check(
    data: options.Data,
    layout: options.Layout = "auto",
    camera_pattern: options.CameraPattern = None,
    sheet: Annotated[Path, typer.Option(help="Where to write a sheet of samples (PNG).")] = Path(
        "resight-samples.png"
    ),
    strict: options.Strict = False,
) -> None:
    """Tell what was read, what is odd, and draw a sheet of samples."""
    from rich.console import Console

    from resight.api import check_data

    found = check_data(
        data, layout=layout, camera_pattern=camera_pattern, sheet=sheet, strict=strict
    )
    Console().print(found.render())


@app.command()
def unpack(
    folder: Annotated[
        Path, typer.Argument(help="A folder that holds cuhk-03.mat or cuhk03_release/cuhk-03.mat.")
    ],
) -> None:
    """Turn CUHK03 as its authors publish it into images and lists of its classic splits."""
    from rich.console import Console

    from resight.api import unpack_data

    Console(highlight=False).print(unpack_data(folder).render())
