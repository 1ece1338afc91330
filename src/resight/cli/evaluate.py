"""`resight evaluate RUN [DATA]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from resight.cli import options


def _list_protocols(asked: bool) -> None:
    """Print the protocols, a line each, and end."""
    if not asked:
        return
    from rich.console import Console
    from rich.table import Table

    from resight.api.evaluating import protocols

    table = Table("protocol", "what is searched for among what", "options", box=None)
    for name, listed in protocols().items():
        table.add_row(name, listed.line, " ".join(f"--{option}" for option in listed.options))
    Console().print(table)
    raise typer.Exit


def evaluate(
    run: options.Run,
    data: Annotated[Path | None, typer.Argument(help="Other crops than those of the run.")] = None,
    protocol: Annotated[str, typer.Option(help="auto, or a name that --protocols lists.")] = "auto",
    protocols: Annotated[
        bool,
        typer.Option(
            "--protocols",
            help="List the protocols and end.",
            callback=_list_protocols,
            is_eager=True,
        ),
    ] = False,
    ap: Annotated[
        str, typer.Option(help="Rule of average precision: step (scikit-learn) or market.")
    ] = "step",
    within: Annotated[
        float, typer.Option(help="time-excluded: seconds that crops of one camera keep apart.")
    ] = 0.0,
    far: Annotated[
        list[float] | None,
        typer.Option(help="open-set: false alarm rate (default: 0.01 and 0.1); repeatable."),
    ] = None,
    trials: Annotated[int, typer.Option(help="cuhk03-classic: random galleries.")] = 20,
    unknown: Annotated[
        float,
        typer.Option(help="open-set: share of identities out of the gallery, where all are in it."),
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Of what a protocol draws at random.")] = 0,
    baselines: Annotated[
        bool,
        typer.Option("--baselines", help="Also colour histograms and the untrained network."),
    ] = False,
    fuse: Annotated[
        float | None,
        typer.Option(help="Weight of each part's distances, e.g. 0.15; for models with parts."),
    ] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="k-reciprocal re-ranking; results are called so.")
    ] = False,
    expand: Annotated[
        int | None, typer.Option(help="Expand queries by so many first answers, e.g. 5.")
    ] = None,
    layout: options.Layout = "auto",
    camera_pattern: options.CameraPattern = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Tell how well a run's encoder finds individuals again, and refresh its report."""
    from resight.api import evaluate as judge
    from resight.api import report

    result = judge(
        run,
        data,
        protocol=protocol,
        ap=ap,  # type: ignore[arg-type]
        within=within,
        far=far,
        trials=trials,
        unknown=unknown,
        seed=seed,
        baselines=baselines,
        fuse=fuse,
        rerank=rerank,
        expand=expand,
        layout=layout,
        camera_pattern=camera_pattern,
        device=device,
        precision=precision,  # type: ignore[arg-type]
    )
    _show(result)
    if data is None:
        report(run)


def _show(result: dict[str, Any]) -> None:
    """A row per figure, a column per contestant, then the intervals of the run's own figures."""
    from rich.console import Console
    from rich.table import Table

    fused = f"fused {result['fuse']:g}" if "fuse" in result else ""
    name = ", ".join(filter(None, [result["protocol"], fused, result.get("scores")]))
    contestants = result.get("comparison") or [{"name": "", "figures": result["figures"]}]
    intervals = result.get("intervals", {})
    heads = [one["name"] for one in contestants]
    heads += [f"{result['level']:.0%} interval"] if intervals else []
    table = Table("", *heads, box=None)
    for figure in result["figures"]:
        values = [one["figures"].get(figure) for one in contestants]
        cells = ["" if value is None else f"{value:.1f}" for value in values]
        if figure in intervals:
            low, high = intervals[figure]
            cells.append(f"{low:.1f}–{high:.1f}")
        table.add_row(figure, *cells)
    console = Console()
    console.print(name, soft_wrap=True, highlight=False)
    console.print(table)
