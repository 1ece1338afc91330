"""The service's addresses: a file per resource."""

from fastapi import APIRouter

from resight.service.routes import (
    clusters,
    crops,
    decisions,
    gallery,
    individuals,
    page,
    search,
    session,
    watching,
)

ROUTERS: tuple[APIRouter, ...] = (
    gallery.router,
    session.router,
    search.router,
    crops.router,
    individuals.router,
    clusters.router,
    decisions.router,
    watching.router,
    page.router,
)
