"""`resight serve`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from resight.api.clustering import bytes_of
from resight.api.galleries import change_gallery
from resight.errors import ConfigError
from resight.gallery import Gallery

TOKEN = "RESIGHT_TOKEN"
_NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def serve(
    gallery: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: str | Path | None = None,
    name: Sequence[str] = (),
    read_only: bool = False,
    audit: bool = False,
    max_upload: int | str = "10M",
    workers: int = 8,
    queue: int = 64,
    keep_days: float | None = None,
    device: str = "auto",
) -> bool:
    """Serve a gallery over HTTP, with its web page, until a signal asks to stop.

    host, port: where to listen. token_file: see `read_tokens`; without it the environment's
    RESIGHT_TOKEN counts. name: host names that it goes by besides its own, such as a reverse
    proxy's. read_only: nothing is added, deleted or decided. audit: log who searches for what, from
    now on. max_upload: bytes of a request, such as 10M. workers: threads that work on requests.
    queue: requests that wait for them. keep_days: days after which crops are deleted, from now on;
    0 for never. Returns whether all requests were finished within 10 seconds after the signal.

    Raises ConfigError without a token for a service that other machines reach, for an address that
    is taken, and without the packages of `resight[serve]`.
    """
    _check_packages()
    from resight.service import ServiceSettings, create_app, read_tokens, run

    tokens = {} if token_file is None else read_tokens(Path(token_file))
    if token_file is None and os.environ.get(TOKEN):
        tokens = {"token": os.environ[TOKEN]}
    settings = ServiceSettings(
        host=host,
        port=port,
        tokens=tokens,
        names=tuple(name),
        read_only=read_only,
        max_upload=_bytes(max_upload),
        workers=workers,
        queue=queue,
    )
    if audit or keep_days is not None:
        change_gallery(gallery, keep_days=keep_days, log_searches=True if audit else None)
    with Gallery.open(gallery, device=device) as opened:
        opened.embedder  # noqa: B018 - loaded before the first request, or refused here
        return run(create_app(opened, settings), settings)


def _check_packages() -> None:
    for package in _NEEDED:
        if importlib.util.find_spec(package) is None:
            raise ConfigError(f"the service needs {package}: pip install 'resight[serve]'")


def _bytes(size: int | str) -> int:
    try:
        return bytes_of(size)
    except ConfigError as error:
        raise ConfigError(f"max_upload is {size!r}, expected a size like 10M") from error
