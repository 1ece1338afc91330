"""Whether the store answers, without ever waiting long for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from resight.errors import ResightError

log = logging.getLogger(__name__)

PATIENCE = 3.0


class Watch:
    """Asks the store how many rows it has, one question at a time, whoever wants to know."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._lane = ThreadPoolExecutor(1, thread_name_prefix="watch")
        self._asked: Future[int | None] | None = None

    async def rows(self) -> int | None:
        """How many rows there are; None when the store does not answer within 3 seconds."""
        if self._asked is None or self._asked.done():
            self._asked = self._lane.submit(self._ask)
        answered = asyncio.wrap_future(self._asked)
        await asyncio.wait({answered}, timeout=PATIENCE)
        return answered.result() if answered.done() else None

    def stop(self) -> None:
        """Ask nothing more."""
        self._lane.shutdown(wait=False)

    def _ask(self) -> int | None:
        try:
            return self._count()
        except ResightError as error:
            log.error("the store does not answer: %s", error)
            return None
