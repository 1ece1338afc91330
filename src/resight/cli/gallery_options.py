"""Options that the commands about galleries share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Gallery = Annotated[Path, typer.Argument(help="A folder that `resight index` wrote.")]
Camera = Annotated[list[str] | None, typer.Option("--camera", help="Only this camera; repeatable.")]
NotCamera = Annotated[
    list[str] | None, typer.Option("--not-camera", help="Not this camera; repeatable.")
]
Since = Annotated[
    str | None, typer.Option(help="Not before this time: seconds, or ISO 8601 (UTC).")
]
Until = Annotated[str | None, typer.Option(help="Not after this time.")]
Thumbnails = Annotated[
    str | None,
    typer.Option(help="Pictures to keep: keep (default), blur (no faces), or none."),
]
LogSearches = Annotated[
    bool | None,
    typer.Option(
        "--log-searches/--no-log-searches", help="Log who searches for what, in searches.jsonl."
    ),
]
