"""`resight gallery show|list|delete|expire|optimise|set G`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resight.cli import gallery_options
from resight.errors import ConfigError

if TYPE_CHECKING:
    from resight.api.galleries import Overview, Rows, Sighting

LARGEST = 2**63 - 1

app = typer.Typer(help="Look after galleries.", no_args_is_help=True)


@app.command()
def show(gallery: gallery_options.Gallery) -> None:
    """Tell what a gallery holds and keeps."""
    from resight.api.galleries import show_gallery

    _show(show_gallery(gallery))


@app.command("list")
def list_(
    gallery: gallery_options.Gallery,
    camera: gallery_options.Camera = None,
    not_camera: gallery_options.NotCamera = None,
    since: gallery_options.Since = None,
    until: gallery_options.Until = None,
    after: Annotated[
        int, typer.Option(help="Only ids above this one.", max=LARGEST, show_default=False)
    ] = -1,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=LARGEST)] = 100,
    json_: Annotated[bool, typer.Option("--json", help="Print a line of JSON per crop.")] = False,
) -> None:
    """List crops with their ids."""
    from resight.api.galleries import list_gallery

    rows = list_gallery(
        gallery,
        camera=camera or (),
        not_camera=not_camera or (),
        since=since,
        until=until,
        after=after,
        limit=limit,
    )
    if json_:
        for crop in _plain(rows):
            typer.echo(json.dumps(crop, allow_nan=False))
        return
    _list(rows)


@app.command()
def delete(
    gallery: gallery_options.Gallery,
    ids: Annotated[list[int], typer.Argument(help="Ids of crops.")],
    individual: Annotated[
        bool,
        typer.Option("--individual", help="All sightings of this crop's individual, not it alone."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete crops with all that is derived from them; nothing of them stays on the disk."""
    from resight.api import galleries

    if not individual:
        _agree(f"delete {len(set(ids))} crops for good?", yes)
        typer.echo(f"{galleries.delete_crops(gallery, ids):,} crops deleted")
        return
    if len(ids) > 1:
        raise ConfigError("--individual takes the id of one crop: delete one individual at a time")
    found = galleries.individual(gallery, ids[0])
    _sightings(found)
    _agree(f"delete these {len(found)} crops for good?", yes)
    shown = [sighting.hit.id for sighting in found]
    typer.echo(f"{galleries.delete_crops(gallery, shown):,} crops deleted")


@app.command()
def expire(gallery: gallery_options.Gallery) -> None:
    """Delete what is older than the gallery keeps."""
    from resight.api.galleries import expire_gallery

    typer.echo(f"{expire_gallery(gallery):,} crops deleted")


@app.command()
def optimise(gallery: gallery_options.Gallery) -> None:
    """Compact the store, and build the search index where there are enough crops for one."""
    from resight.api.galleries import optimise_gallery, told_index

    typer.echo(told_index(optimise_gallery(gallery)))


@app.command("set")
def set_(
    gallery: gallery_options.Gallery,
    thumbnails: gallery_options.Thumbnails = None,
    keep_days: Annotated[
        float | None, typer.Option(help="Days after which crops are deleted; 0 for never.")
    ] = None,
    log_searches: gallery_options.LogSearches = None,
) -> None:
    """Change what a gallery keeps: pictures that it has are blurred or removed as asked."""
    from resight.api.galleries import change_gallery

    change_gallery(
        gallery,
        thumbnails=thumbnails,  # type: ignore[arg-type]
        keep_days=keep_days,
        log_searches=log_searches,
    )
    show(gallery)


def _agree(question: str, yes: bool) -> None:
    """Ask, unless that was answered before; raises ConfigError where nobody can answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("deleting asks first, and there is no terminal: give --yes")
    typer.confirm(question, abort=True)


def _show(held: Overview) -> None:
    from rich.console import Console
    from rich.table import Table

    from resight.api.galleries import told_index, told_time

    table = Table("", "", box=None, show_header=False)
    settings, days = held.settings, held.settings.retention_days
    cameras = ", ".join(f"{name or '(unknown)'} {count:,}" for name, count in held.cameras.items())
    times = [told_time(time) for time in held.times or ()]
    threshold = held.threshold
    facts = {
        "crops": f"{held.state.rows:,}",
        "cameras": cameras or "none",
        "times": " … ".join(times) or "unknown",
        "threshold": "none: `resight calibrate RUN`, then index again"
        if threshold is None
        else f"similarity from {threshold.similarity:.4f}, false accepts {threshold.far:g}",
        "clusters": f"{held.clusters:,}",
        "decisions": f"{held.decisions:,}",
        "search": told_index(held.state),
        "store": held.address,
        "encoder": f"{settings.dim} dimensions, SHA-256 {settings.digest[:16]}…",
        "thumbnails": settings.thumbnails,
        "crops are kept": "for ever" if days is None else f"{days:g} days",
        "searches are logged": "yes" if settings.log_searches else "no",
        "created": settings.created,
    }
    for name, told in facts.items():
        table.add_row(name, told)
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(table)
    for note in () if threshold is None else threshold.notes:
        console.print(f"threshold: {note}", soft_wrap=True)


def _list(rows: Rows) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from resight.api.galleries import told_time

    table = Table("id", "camera", "time", "track", Column("crop", overflow="fold"), box=None)
    for crop in _plain(rows):
        time = "" if crop["time"] is None else told_time(crop["time"])
        track = "" if crop["track"] is None else str(crop["track"])
        table.add_row(str(crop["id"]), crop["camera"], time, track, crop["path"])
    Console(highlight=False, markup=False, emoji=False).print(table)


def _sightings(found: tuple[Sighting, ...]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from resight.api.galleries import told_time

    crop = Column("crop", overflow="fold")
    table = Table("id", "similarity", "why", "camera", "time", crop, box=None)
    for sighting in found:
        hit = sighting.hit
        cells = (hit.camera, told_time(hit.time), hit.path)
        table.add_row(str(hit.id), f"{hit.similarity:.4f}", sighting.why, *cells)
    Console(highlight=False, markup=False, emoji=False).print(table)


def _plain(rows: Rows) -> list[dict[str, Any]]:
    """A dictionary for each row; unknown times and tracks are None."""
    return [
        {
            "id": int(rows.ids[row]),
            "source": rows.sources[row],
            "path": rows.paths[row],
            "camera": rows.cameras[row],
            "time": None if rows.times[row] != rows.times[row] else float(rows.times[row]),
            "track": None if rows.tracks[row] < 0 else int(rows.tracks[row]),
            "added": float(rows.added[row]),
        }
        for row in range(len(rows))
    ]
