"""Crops go when their time has come, also while the service runs."""

from __future__ import annotations

import asyncio
import logging

import anyio
import anyio.to_thread

from resight.errors import ResightError
from resight.service.desk import Desk

log = logging.getLogger(__name__)


async def keep_tidy(desk: Desk) -> None:
    """Delete what is past the retention, and compact after deletions, until cancelled."""
    mine = anyio.CapacityLimiter(1)
    while True:
        try:
            await anyio.to_thread.run_sync(tidy, desk, limiter=mine, abandon_on_cancel=True)
        except ResightError as error:
            log.error("%s; it is tried again in %g s", error, desk.settings.tidying)
        except Exception:
            log.exception("cannot tidy up %s; it is tried again", desk.gallery.path)
        await asyncio.sleep(desk.settings.tidying)


def tidy(desk: Desk) -> None:
    """Delete what is past the retention; take what was deleted from the disk."""
    expired = desk.gallery.expire()
    if expired:
        log.info("%d crops were past their retention and are deleted", expired)
    if desk.untidy.is_set():
        desk.untidy.clear()  # before the work: what is deleted meanwhile needs another turn
        try:
            desk.gallery.optimise()
        except BaseException:
            desk.untidy.set()
            raise
