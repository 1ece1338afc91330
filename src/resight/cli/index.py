"""`resight index RUN DATA --gallery G`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resight.cli import gallery_options, options

if TYPE_CHECKING:
    from resight.api.indexing import Indexed

SHOWN = 5


def index(
    run: options.Run,
    data: options.Data,
    gallery: Annotated[Path, typer.Option(help="Folder of the gallery, made if need be.")],
    store: Annotated[
        str | None,
        typer.Option(
            help="Where rows are stored: files (default), or the URL of a Milvus or PostgreSQL "
            "server (docs/stores.md)."
        ),
    ] = None,
    thumbnails: gallery_options.Thumbnails = None,
    keep_days: Annotated[
        float | None, typer.Option(help="Days after which crops are deleted (default: never).")
    ] = None,
    log_searches: gallery_options.LogSearches = None,
    keep_missing: Annotated[
        bool, typer.Option("--keep-missing", help="Keep crops whose files are gone.")
    ] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Also crops that were deleted from the gallery.")
    ] = False,
    layout: options.Layout = "auto",
    camera_pattern: options.CameraPattern = None,
    workers: Annotated[
        int | None, typer.Option(help="Decoding processes (default: one per core).", min=1)
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Embed crops into a gallery that can be searched; only those that are new or changed."""
    from resight.api import index as index_data

    done = index_data(
        run,
        data,
        gallery=gallery,
        store=store,
        thumbnails=thumbnails,  # type: ignore[arg-type]
        keep_days=keep_days,
        log_searches=log_searches,
        keep_missing=keep_missing,
        restore=restore,
        layout=layout,
        camera_pattern=camera_pattern,
        workers=workers,
        device=device,
    )
    _show(done)
    typer.echo(gallery)


def _show(done: Indexed) -> None:
    from rich.console import Console
    from rich.table import Table

    from resight.api.galleries import told_index

    table = Table("", "", box=None, show_header=False)
    counts = {
        "added": done.added,
        "changed": done.changed,
        "told anew (camera, time, track)": done.relabelled,
        "removed, as they are gone": done.removed,
        "gone, but kept": done.missing,
        "deleted, as they are too old": done.expired,
        "left out, as they were deleted": done.forgotten,
        "unreadable": len(done.unreadable),
    }
    for name, count in counts.items():
        if count or name == "added":
            table.add_row(name, f"{count:,}")
    table.add_row("in the gallery now", f"{done.rows:,}")
    if done.speed:
        table.add_row("speed", f"{done.speed:,.1f} crops/s")
    table.add_row("search", told_index(done.state))
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(table)
    for broken in done.unreadable[:SHOWN]:
        console.print(f"unreadable: {broken.path}: {broken.reason}", soft_wrap=True)
    if len(done.unreadable) > SHOWN:
        console.print(f"unreadable: and {len(done.unreadable) - SHOWN:,} more")
