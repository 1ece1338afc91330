"""Every request gets a number, safe headers, a line in the log and its place in the metrics."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resight.service.errors import refusal, unexpected
from resight.service.metrics import Metrics

log = logging.getLogger(__name__)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
SAFE_HEADERS = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "geolocation=(), microphone=()"),
)
NO_STORE = ("cache-control", "no-store")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Recorder:
    """The outermost layer: what goes wrong further in is logged, and told in one sentence.

    Log lines have the pattern of the route, not the address that was asked for: nothing that a
    client chooses gets into the log.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever happens."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["id"] = secrets.token_hex(6)
        answer = _Answer(send, state["id"])
        started = time.perf_counter()
        self._metrics.started()
        try:
            await self._answer(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - started
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = route_of(scope)
            self._metrics.answered(method, route, answer.status, seconds)
            who = str(state.get("who", "")).encode("unicode_escape").decode()
            told = (method, route, answer.status, 1000 * seconds, who, state["id"])
            log.info("%s %s %d, %.0f ms, %s, request %s", *told)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, receive, answer)
        except asyncio.CancelledError:
            if answer.status:
                raise
            stopping = refusal(503, "the service stops: try again", {"Connection": "close"})
            await stopping(scope, receive, answer)
        except Exception:
            log.exception("request %s failed", answer.request_id)
            if answer.status:
                raise
            await unexpected(answer.request_id)(scope, receive, answer)


class _Answer:
    """Adds headers to an answer and remembers its status, 0 before it starts."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", []))
            has = {name.lower() for name, _ in headers}
            more = _encoded((*SAFE_HEADERS, NO_STORE, ("x-request-id", self.request_id)))
            headers += [(name, value) for name, value in more if name not in has]
            message["headers"] = headers
        await self._send(message)


def route_of(scope: Scope) -> str:
    """The pattern of the route that a request took."""
    return getattr(scope.get("route"), "path", "none")


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers]
