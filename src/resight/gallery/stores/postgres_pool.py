"""Connections that threads share, each tested before it is used.

Unlike psycopg_pool it connects in the thread that asks, with no pause after failures: what is wrong
is told at once, and the first call after the server is back succeeds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from resight.gallery.stores.postgres_table import Connection


class Pool:
    """Up to `size` connections, in autocommit mode; whoever needs one more waits for another's.

    make: gives a new connection.
    """

    def __init__(self, make: Callable[[], Connection], *, size: int) -> None:
        self._make = make
        self._free = threading.Semaphore(size)
        self._changing = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction, which is committed at the end.

        Raises psycopg.Error when the server cannot be reached, or the pool has been closed.
        """
        with self._free:
            connection = self._usable()
            try:
                with connection.transaction():
                    yield connection
            finally:
                self._give_back(connection)

    def close(self) -> None:
        """Close all connections, those in use as soon as they are given back."""
        with self._changing:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _usable(self) -> Connection:
        while connection := self._one_idle():
            try:
                connection.execute("SELECT 1")
            except psycopg.OperationalError:
                connection.close()
            else:
                return connection
        return self._make()

    def _one_idle(self) -> Connection | None:
        with self._changing:
            if self._closed:
                raise psycopg.InterfaceError("it has been closed")
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: Connection) -> None:
        with self._changing:
            if not self._closed and not connection.closed:
                self._idle.append(connection)
                return
        connection.close()
