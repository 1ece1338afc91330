"""`resight cluster FEATURES.npy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resight.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from resight.api.clustering import Explanation

Features = Annotated[
    Path, typer.Argument(help="Features (N, D) of any encoder, saved with numpy.save.")
]
Numbers = "(N,) numbers or names, one per feature row, saved with numpy.save"


def cluster(
    features: Features,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for labels.parquet and summary.json (default: FEATURES-clusters)."
        ),
    ] = None,
    cameras: Annotated[Path | None, typer.Option(help=f"Cameras: {Numbers}.")] = None,
    identities: Annotated[
        Path | None, typer.Option(help=f"Identities, to judge the result: {Numbers}.")
    ] = None,
    set_: options.Settings = None,
    eps: Annotated[str | None, typer.Option(help="DBSCAN with this eps, 0 … 1, or auto.")] = None,
    k1: Annotated[int | None, typer.Option(help="Short for --set graph.k1=N.")] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show distances and a sweep over eps, and propose one."),
    ] = False,
    memory: options.Memory = None,
    seed: options.Seed = 0,
) -> None:
    """Cluster features that you have: labels and a summary, without any setting to choose.

    By default k1 and eps come from the data. --set graph.k1=30 --set clusterer.part=HDC
    --set clusterer.n_clusters=750 and the like choose by hand, as in a recipe.
    """
    from rich.console import Console

    from resight.api import cluster as run
    from resight.errors import ConfigError
    from resight.recipe import parse_settings

    given = parse_settings(set_ or [])
    if eps is not None or (k1 is not None and "clusterer.part" not in given):
        given = {"clusterer.part": "DBSCAN", "clusterer.eps": "auto", **given}
    short = {} if eps is None else parse_settings([f"clusterer.eps={eps}"])
    short |= {} if k1 is None else {"graph.k1": k1}
    for key, value in short.items():
        if key in given and given[key] not in (value, "auto"):
            raise ConfigError(f"--set {key}={given[key]} contradicts the option with {value!r}")
        given[key] = value
    folder = out or features.with_name(f"{features.stem}-clusters")
    found = run(
        features,
        out=folder,
        cameras=cameras,
        identities=identities,
        settings=given,
        explain=explain,
        memory=memory,
        seed=seed,
    )
    console = Console()
    if found.explanation is not None:
        _show(console, found.explanation)
    console.print(_figures(found.summary))
    if "problem" in found.summary:
        console.print(f"These labels are of little use: {found.summary['problem']}.")
    typer.echo(f"{folder}/labels.parquet")


def _figures(summary: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for name, value in summary.items():
        if isinstance(value, dict):
            for key, inner in value.items():
                table.add_row(f"{name}: {key}", _text(inner))
        elif name != "problem":
            table.add_row(name.replace("_", " "), _text(value))
    return table


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _show(console: Any, explanation: Explanation) -> None:
    """The sweep, the proposal and the mix of cameras."""
    from rich.table import Table

    if explanation.cameras is not None:
        console.print(explanation.cameras.explain(centred=explanation.centred) + ".")
    proposal = explanation.proposal
    names = ("eps", "clusters", "outliers", "largest", "silhouette", "across cameras", "")
    table = Table(*names, box=None)
    for row in explanation.sweep:
        across = "" if row.across_cameras != row.across_cameras else f"{row.across_cameras:.0%}"
        proposed = proposal is not None and row.eps == proposal.eps
        mark = "proposed" if proposed else str(row.problem or "")
        cells = (f"{row.eps:g}", f"{row.clusters:,}", f"{row.outliers:,}")
        table.add_row(*cells, f"{row.largest_share:.1%}", f"{row.score:.3f}", across, mark)
    console.print(table)
    if proposal is None:
        console.print("No eps separates these features into clusters that training could use.")
    else:
        console.print(proposal.explain() + ".")
