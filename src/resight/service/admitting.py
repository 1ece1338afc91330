"""Back-pressure: as many requests as workers and queue hold, and no more."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from resight.service.errors import refusal
from resight.service.sessions import LOGIN
from resight.service.settings import ServiceSettings

RETRY_AFTER = 1


class Admission:
    """Answers 429 at once while all places are taken, before anything of the body is read.

    That bounds memory, temporary files and waiting, whatever comes in. The page, health, metrics
    and the exchange of a token for a cookie need no place: strangers cannot take any.
    """

    def __init__(self, app: ASGIApp, *, settings: ServiceSettings) -> None:
        self._app = app
        self._places = settings.workers + settings.queue
        self._taken = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in while there is a place."""
        path = scope.get("path", "")
        if not path.startswith("/api/") or path == LOGIN:
            await self._app(scope, receive, send)
            return
        if self._taken >= self._places:
            sentence = f"{self._taken} requests are being worked on: try again in a moment"
            refused = refusal(429, sentence, {"Retry-After": str(RETRY_AFTER)})
            await refused(scope, receive, send)
            return
        self._taken += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._taken -= 1
