"""`resight evaluate RUN [DATA]`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resight.cli import options

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NARROWEST = 120


def _list_protocols(asked: bool) -> None:
    """Print the protocols, a line each, and end."""
    if not asked:
        return
    from rich.table import Table

    from resight.api.evaluating import protocols

    table = Table("protocol", "what is searched for among what", "options", box=None)
    for name, listed in protocols().items():
        table.add_row(name, listed.line, " ".join(f"--{option}" for option in listed.options))
    _console().print(table)
    raise typer.Exit


def _console() -> Console:
    """Wide enough for a table wherever the output is not a terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, NARROWEST)
    return console


Data = Annotated[Path | None, typer.Argument(help="Other crops than those of the run.")]
Protocol = Annotated[str, typer.Option(help="auto, or a name that --protocols lists.")]
Protocols = Annotated[
    bool,
    typer.Option(
        "--protocols", help="List the protocols and end.", callback=_list_protocols, is_eager=True
    ),
]
Ap = Annotated[str, typer.Option(help="Rule of average precision: step (scikit-learn) or market.")]
Within = Annotated[
    float, typer.Option(help="time-excluded: seconds that crops of one camera keep apart.")
]
Far = Annotated[
    list[float] | None,
    typer.Option(help="open-set: false alarm rate (default: 0.01 and 0.1); repeatable."),
]
Trials = Annotated[int, typer.Option(help="cuhk03-classic: random galleries.")]
Unknown = Annotated[
    float,
    typer.Option(help="open-set: share of identities out of the gallery, where all are in it."),
]
Seed = Annotated[int, typer.Option(help="Of what a protocol draws at random.")]
Baselines = Annotated[
    bool, typer.Option("--baselines", help="Also colour histograms and the untrained network.")
]
Fuse = Annotated[
    float | None,
    typer.Option(help="Weight of each part's distances, e.g. 0.15; for models with parts."),
]
Rerank = Annotated[
    bool, typer.Option("--rerank", help="k-reciprocal re-ranking; results are called so.")
]
RerankTop = Annotated[
    int | None, typer.Option(help="Re-rank each query's first so many answers alone, e.g. 100.")
]
Expand = Annotated[
    int | None, typer.Option(help="Expand queries by so many first answers, e.g. 5.")
]


def evaluate(
    run: options.Run,
    data: Data = None,
    protocol: Protocol = "auto",
    protocols: Protocols = False,
    ap: Ap = "step",
    within: Within = 0.0,
    far: Far = None,
    trials: Trials = 20,
    unknown: Unknown = 0.5,
    seed: Seed = 0,
    baselines: Baselines = False,
    fuse: Fuse = None,
    rerank: Rerank = False,
    rerank_top: RerankTop = None,
    expand: Expand = None,
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
        rerank_top=rerank_top,
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
    """What was judged, its figures, and the matrix of mAP where there is one."""
    fused = f"fused {result['fuse']:g}" if "fuse" in result else ""
    name = ", ".join(filter(None, [result["protocol"], fused, result.get("scores")]))
    console = _console()
    console.print(name, soft_wrap=True)
    console.print(_figures(result))
    if "matrices" in result:
        console.print("mAP: camera of the query × camera of the gallery")
        console.print(_matrix(result["cameras"], result["matrices"]["mAP"]))


def _figures(result: dict[str, Any]) -> Table:
    """A row per figure, a column per contestant, then the intervals of the run's own figures."""
    from rich.table import Table

    from resight.api.evaluating import shown

    contestants = result.get("comparison") or [{"name": "", "figures": result["figures"]}]
    intervals = result.get("intervals", {})
    heads = [one["name"] for one in contestants]
    heads += [f"{result['level']:.0%} interval"] if intervals else []
    table = Table("", *heads, box=None)
    for figure in result["figures"]:
        values = [one["figures"].get(figure) for one in contestants]
        cells = ["" if value is None else shown(value, result["protocol"]) for value in values]
        if figure in intervals:
            low, high = intervals[figure]
            cells.append(f"{low:.1f}–{high:.1f}")
        table.add_row(figure, *cells)
    return table


def _matrix(cameras: list[str], cells: list[list[float | None]]) -> Table:
    """A row per camera of queries, a column per camera of galleries."""
    from rich.table import Table

    table = Table("", *cameras, box=None)
    for camera, row in zip(cameras, cells, strict=True):
        table.add_row(camera, *("–" if value is None else f"{value:.1f}" for value in row))
    return table
