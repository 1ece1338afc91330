"""`resight search G IMAGE…`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resight.cli import gallery_options, options

if TYPE_CHECKING:
    from resight.api.searching import Answer


def search(
    gallery: gallery_options.Gallery,
    images: Annotated[
        list[Path] | None, typer.Argument(help="Pictures of one individual.", show_default=False)
    ] = None,
    id: Annotated[
        list[int] | None, typer.Option("--id", help="A stored crop of it; repeatable.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Answers at most.")] = 10,
    camera: gallery_options.Camera = None,
    not_camera: gallery_options.NotCamera = None,
    other_cameras: Annotated[
        bool, typer.Option("--other-cameras", help="Leave out the cameras of the stored crops.")
    ] = False,
    since: gallery_options.Since = None,
    until: gallery_options.Until = None,
    accepted: Annotated[
        bool, typer.Option("--accepted", help="Only answers above the calibrated threshold.")
    ] = False,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="k-reciprocal re-ranking of the first 100.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare with every crop, however many there are.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Where to write a picture of the answer (PNG).")
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Find where else an individual was seen."""
    from resight.api import search as find

    answer = find(
        gallery,
        images or (),
        id=id or (),
        k=k,
        camera=camera or (),
        not_camera=not_camera or (),
        other_cameras=other_cameras,
        since=since,
        until=until,
        accepted=accepted,
        rerank=rerank,
        exact=exact,
        sheet=sheet,
        device=device,
    )
    if json_:
        typer.echo(json.dumps(answer.as_dict(), indent=2, allow_nan=False))
    else:
        _show(answer, accepted=accepted)
    if sheet is not None:
        typer.echo(sheet, err=json_)


def _show(answer: Answer, *, accepted: bool) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from resight.api.galleries import told_time

    judged = answer.unknown is not None
    heads = ["", "similarity", *(["accepted"] if judged else []), "camera", "time", "id"]
    table = Table(*heads, Column("crop", overflow="fold"), box=None)
    for rank, hit in enumerate(answer.hits, start=1):
        cells = [str(rank), f"{hit.similarity:.4f}"]
        cells += ["yes" if hit.accepted else "no"] if judged else []
        cells += [hit.camera, told_time(hit.time), str(hit.id), hit.path]
        table.add_row(*cells)
    console = Console(highlight=False, markup=False, emoji=False)
    if not answer.hits and not accepted:
        console.print("no crop passes the filters")
    elif answer.unknown:
        console.print("unknown: no crop is similar enough to be the same individual")
    if answer.hits:
        console.print(table)
    kind = "exact" if answer.exact else "approximate"
    order = ", re-ranked" if answer.reranked else ""
    console.print(f"{kind} search{order}, {1000 * answer.seconds:.0f} ms")
    if not judged:
        console.print("no threshold tells who is known: `resight calibrate RUN`, then index again")
