"""`resight evaluate RUN [DATA]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resight.cli import options


def evaluate(
    run: options.Run,
    data: Annotated[Path | None, typer.Argument(help="Other crops than those of the run.")] = None,
    protocol: Annotated[
        str,
        typer.Option(help="auto, splits, cross-camera, camera-pairs, all or label-free."),
    ] = "auto",
    ap: Annotated[
        str, typer.Option(help="Rule of average precision: step (scikit-learn) or market.")
    ] = "step",
    baselines: Annotated[
        bool,
        typer.Option("--baselines", help="Also colour histograms and the untrained network."),
    ] = False,
    fuse: Annotated[
        float | None,
        typer.Option(help="Weight of each part's distances, e.g. 0.15; for models with parts."),
    ] = None,
    layout: options.Layout = "auto",
    camera_pattern: options.CameraPattern = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Tell how well a run's encoder finds individuals again, and refresh its report."""
    from rich.console import Console
    from rich.table import Table

    from resight.api import evaluate as judge
    from resight.api import report

    result = judge(
        run,
        data,
        protocol=protocol,
        ap=ap,  # type: ignore[arg-type]
        baselines=baselines,
        fuse=fuse,
        layout=layout,
        camera_pattern=camera_pattern,
        device=device,
        precision=precision,  # type: ignore[arg-type]
    )
    name = result["protocol"] if fuse is None else f"{result['protocol']}, fused {fuse:g}"
    rows = result.get("comparison") or [{"name": name, "figures": result["figures"]}]
    table = Table("", *rows[0]["figures"], box=None)
    for row in rows:
        values = ("" if v is None else f"{v:.1f}" for v in row["figures"].values())
        table.add_row(row["name"], *values)
    Console().print(table)
    if data is None:
        report(run)
