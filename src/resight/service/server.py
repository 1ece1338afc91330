"""The server process: a socket, uvicorn, and an end that comes."""

from __future__ import annotations

import logging
import math
import signal
import socket
import threading
import time
from collections.abc import Iterable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from resight.errors import ConfigError
from resight.service.connection import TimedConnection
from resight.service.guarding import MOST_HEAD
from resight.service.settings import ServiceSettings

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 512
_LAST_WAIT = 1.0


def run(app: FastAPI, settings: ServiceSettings) -> bool:
    """Serve until SIGINT or SIGTERM; then finish running requests, for `grace` seconds at most.

    Returns whether they were finished; threads that work on others go on. Raises ConfigError when
    it cannot listen there.
    """
    before = set(threading.enumerate())
    with listen(settings.host, settings.port) as listening:
        config = uvicorn.Config(
            app,
            http=TimedConnection.of(settings.patience, settings.slowest),
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=math.ceil(settings.grace),
            h11_max_incomplete_event_size=MOST_HEAD,
        )
        _Server(config).run(sockets=[listening])
    return _ended(set(threading.enumerate()) - before)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; raises ConfigError when that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, TypeError) as error:  # the latter for what cannot be a host name
        why = error.strerror if isinstance(error, OSError) else "that is no host name"
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {why or error}; choose another --host or --port"
        ) from error


class _Server(uvicorn.Server):
    """Says where it listens, and takes a signal as a wish that it fulfils: it exits cleanly."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for one in sockets or []:
            host, port = one.getsockname()[:2]
            log.info("serving at http://%s:%d", f"[{host}]" if ":" in host else host, port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def _ended(threads: Iterable[threading.Thread]) -> bool:
    """Whether these threads end within a second."""
    until = time.monotonic() + _LAST_WAIT
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() and not thread.daemon for thread in threads)
