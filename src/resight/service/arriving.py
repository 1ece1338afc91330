"""The body of a request as it arrives: bounded in bytes and in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

import anyio
from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resight.service.errors import refusal
from resight.service.sessions import LOGIN
from resight.service.settings import ServiceSettings

MOST_JSON = 1 << 20
MOST_LOGIN = 4096
LINGER = 2.0
LEFT = 499
"""The status in log and metrics of who left before there was an answer."""

_NONE = (None, "0")


class Arriving:
    """Refuses bodies that are too large, by what they say or as they arrive, or too slow.

    An answer that is given before all of a body is there waits for the rest within bounds, as
    clients that still send do not see it otherwise; then the connection is closed. Where a client
    leaves, what waits for a worker is not worked on any more; what is worked on is finished.
    """

    def __init__(self, app: ASGIApp, *, settings: ServiceSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the body on within its bounds."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, self._settings)
        answering = False

        async def answer(message: Message) -> None:
            nonlocal answering
            answering = True
            if message["type"] == "http.response.start" and not await body.settle():
                _close(message)
            await send(message)

        async def watch() -> None:
            await body.left()
            if not answering:
                work.cancel()

        with anyio.CancelScope() as work:  # threads that work on it are shielded from that
            watching = asyncio.create_task(watch())
            try:
                await self._app(scope, body.receive, answer)
            finally:
                watching.cancel()
        if work.cancelled_caught:
            await refusal(LEFT, "the client left")(scope, body.receive, send)


class _Body:
    def __init__(self, scope: Scope, receive: Receive, settings: ServiceSettings) -> None:
        headers = Headers(scope=scope)
        self._receive = receive
        self._settings = settings
        self._most = _most(scope["path"], headers, settings)
        told = headers.get("content-length")
        self._told = int(told) if told is not None and told.isdecimal() else 0
        self._is_none = told in _NONE and "transfer-encoding" not in headers
        self._end, self._gone = asyncio.Event(), asyncio.Event()
        if self._is_none:
            self._end.set()
        self._asks_first = headers.get("expect", "").lower() == "100-continue"
        self._bytes = 0
        self._too_slow = False
        self._started = time.monotonic()

    async def receive(self) -> Message:
        """The next piece; raises HTTPException 413 and 408."""
        if self._ended:
            return await self._after()
        if self._told > self._most:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._settings.patience):
                message = await self._next()
        except TimeoutError as error:
            raise self._late() from error
        if self._bytes > self._most:
            raise self._too_large()
        seconds = time.monotonic() - self._started - self._settings.patience
        if not self._ended and self._bytes < seconds * self._settings.slowest:
            raise self._late()
        return message

    async def left(self) -> None:
        """Return when the client left after all of the body was there."""
        await self._end.wait()
        while (await self._receive())["type"] != "http.disconnect":
            continue
        self._gone.set()

    async def settle(self) -> bool:
        """Whether all has arrived; what has not is waited for and thrown away, within bounds."""
        if self._ended or self._too_slow or (self._asks_first and not self._bytes):
            return self._ended
        try:
            async with asyncio.timeout(min(LINGER, self._settings.patience)):
                while not self._ended and self._bytes <= 2 * self._most:
                    await self._next()
        except TimeoutError:
            return False
        return self._ended

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._end.set()
        return message

    async def _after(self) -> Message:
        """What comes after the body: `left` alone listens then."""
        if self._is_none:
            self._is_none = False
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    @property
    def _ended(self) -> bool:
        return self._end.is_set()

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the request has more than {self._most:,} bytes: send less")

    def _late(self) -> HTTPException:
        self._too_slow = True
        return HTTPException(408, "the request arrives too slowly: send it again")


def _most(path: str, headers: Headers, settings: ServiceSettings) -> int:
    """Bytes that a body may have."""
    if path == LOGIN:
        return MOST_LOGIN
    is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
    return settings.max_upload if is_form else min(settings.max_upload, MOST_JSON)


def _close(message: MutableMapping[str, Any]) -> None:
    message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
