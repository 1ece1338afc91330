"""`resight ablate DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resight.cli import options

if TYPE_CHECKING:
    from resight.api.ablation_table import Ablation

NARROWEST = 160


def ablate(
    data: options.Data,
    method: options.Method,
    table: Annotated[
        str, typer.Option(help="A table of its paper that `resight methods tables METHOD` lists.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the runs (default: runs/DATA-METHOD-table-TABLE)."),
    ] = None,
    published: options.Published = None,
    seeds: Annotated[int, typer.Option(help="Runs of each row, with seeds 0, 1, …")] = 3,
    rows: Annotated[
        list[str] | None, typer.Option(help="Only the row of this name; repeatable.")
    ] = None,
    set_: options.Settings = None,
    layout: options.Layout = "auto",
    camera_pattern: options.CameraPattern = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    compile: options.Compile = False,
    strict: options.Strict = False,
    memory: options.Memory = None,
) -> None:
    """Train a table of a method's paper anew on your data: every row, with several seeds.

    The same command continues where it was stopped.
    """
    from resight.api import ablate as run
    from resight.recipe import parse_settings

    found = run(
        data,
        method=method,
        table=table,
        out=out,
        published=published,
        seeds=seeds,
        rows=rows,
        settings=parse_settings(set_ or []),
        layout=layout,
        camera_pattern=camera_pattern,
        device=device,
        precision=precision,  # type: ignore[arg-type]
        compile=compile,
        strict=strict,
        memory=memory,
    )
    _show(found)
    typer.echo(f"{found.path}/table.md")


def _show(found: Ablation) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, NARROWEST)
    table = Table(*found.header, title=found.title, title_justify="left", box=None)
    for row in found.cells:
        table.add_row(*row)
    console.print(table)
    for remark in found.remarks:
        console.print(remark, soft_wrap=True)
