"""`resight serve G`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from resight.cli import gallery_options, options


def serve(
    gallery: gallery_options.Gallery,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for a free one.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the secrets that let people in: a line TOKEN or NAME TOKEN for each "
            "(default: what RESIGHT_TOKEN holds)."
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Host name that it goes by, such as a reverse proxy's; repeatable."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Nothing can be added, deleted or decided.")
    ] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="Log who searches for what, in searches.jsonl.")
    ] = False,
    max_upload: Annotated[str, typer.Option(help="Bytes of one request at most.")] = "10M",
    workers: Annotated[int, typer.Option(help="Threads that work on requests.")] = 8,
    queue: Annotated[
        int, typer.Option(help="Requests that wait for them; further ones are refused (429).")
    ] = 64,
    keep_days: Annotated[
        float | None, typer.Option(help="Days after which crops are deleted; 0 for never.")
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Serve a gallery over HTTP, with a web page to search and look through it."""
    from resight.api import serve as serve_gallery

    finished = serve_gallery(
        gallery,
        host=host,
        port=port,
        token_file=token_file,
        name=name or (),
        read_only=read_only,
        audit=audit,
        max_upload=max_upload,
        workers=workers,
        queue=queue,
        keep_days=keep_days,
        device=device,
    )
    if not finished:
        typer.echo("stopped before all requests were finished", err=True)
        sys.stderr.flush()
        os._exit(1)  # threads that hang would be waited for
