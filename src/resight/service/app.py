"""The application: layers around routes around a gallery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import APIRoute

from resight.gallery import Gallery
from resight.service import asks
from resight.service.admitting import Admission
from resight.service.arriving import Arriving
from resight.service.desk import Desk
from resight.service.document import tell_who_may_come_in
from resight.service.errors import add_handlers
from resight.service.guarding import Guard
from resight.service.page_files import PAGE, read_page
from resight.service.recording import Recorder
from resight.service.routes import ROUTERS
from resight.service.sessions import Sessions
from resight.service.settings import ServiceSettings
from resight.service.tidying import keep_tidy

DESCRIPTION = """Search a gallery of embedded crops: where else was this individual seen?

Errors are `{"error": "one sentence"}`."""


def create_app(gallery: Gallery, settings: ServiceSettings, *, page: Path = PAGE) -> FastAPI:
    """The service of an open gallery, which stays the caller's to close.

    A request passes these layers: its record, its body's bounds, the guard, admission, the route.
    page: folder of the web page. Raises ConfigError where that is missing.
    """
    app = FastAPI(
        title="resight",
        version="1",
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_living,
        generate_unique_id_function=_operation,
        form_limits={
            "max_files": asks.MOST_PICTURES,
            "max_fields": asks.MOST_FIELDS,
            "max_part_size": asks.LONGEST_FIELD,
        },
    )
    desk = Desk(gallery, settings)
    sessions = Sessions(settings.tokens, f"resight-{settings.port}")
    app.state.desk, app.state.sessions = desk, sessions
    app.state.page = read_page(page)
    add_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    app.state.routes = [route for router in ROUTERS for route in router.routes]
    tell_who_may_come_in(app, sessions)
    app.add_middleware(Admission, settings=settings)  # the last one added is the outermost
    app.add_middleware(Guard, settings=settings, sessions=sessions)
    app.add_middleware(Arriving, settings=settings)
    app.add_middleware(Recorder, metrics=desk.metrics)
    return app


@asynccontextmanager
async def _living(app: FastAPI) -> AsyncIterator[None]:
    desk: Desk = app.state.desk
    with desk.open():
        tidying = asyncio.create_task(keep_tidy(desk))
        try:
            yield
        finally:
            tidying.cancel()
            with suppress(asyncio.CancelledError):
                await tidying


def _operation(route: APIRoute) -> str:
    return route.name
