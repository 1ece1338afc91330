"""Connections that do not wait for ever: for a request to begin, or for an answer to be read."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_TOO_SLOW = b'{"error": "the request arrives too slowly: send it again"}'
_ANSWER = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_TOO_SLOW), _TOO_SLOW)
)


class TimedConnection(H11Protocol):
    """Gives a client `patience` seconds for the head of each request, from its first byte on, and
    as long for the first byte of a connection; uvicorn itself waits for ever.

    A client that reads its answer slower than `slowest` bytes per second, over `patience` seconds,
    is cut off.
    """

    patience: float
    slowest: float

    def __init__(self, *told: Any, **more: Any) -> None:
        super().__init__(*told, **more)
        self._waiting: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # hear of every byte that is not taken at once
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on while the head is not complete."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._waiting is None and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._stop_watching()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Watch how the client reads what lies ready for it."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """All was read."""
        self._stop_watching()
        super().resume_writing()

    @classmethod
    def of(cls, patience: float, slowest: float) -> type[TimedConnection]:
        """A kind of connection with these bounds, as uvicorn makes them itself."""
        return type(cls.__name__, (cls,), {"patience": patience, "slowest": slowest})

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.patience, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _watch(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self.patience, self._look, left)

    def _look(self, before: int) -> None:
        if before - self.transport.get_write_buffer_size() < self.patience * self.slowest:
            self.transport.abort()  # to close would wait until all is read
        else:
            self._watch()

    def _stop_watching(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_ANSWER)
            self.transport.close()
