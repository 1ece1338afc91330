"""GET /health and /metrics: for load balancers and Prometheus."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from resight.service import answers
from resight.service.desk import TheDesk
from resight.service.metrics import CONTENT_TYPE
from resight.service.routes.common import content, errors

router = APIRouter(tags=["watching"])


@router.head("/health", include_in_schema=False)
@router.get("/health", responses=errors(503))
async def health(desk: TheDesk) -> answers.Health:
    """Whether the store answers, within 3 seconds."""
    if await desk.watch.rows() is None:
        raise HTTPException(503, "the store does not answer")
    return answers.Health()


@router.get(
    "/metrics",
    response_class=Response,
    responses=content("text/plain", "Prometheus' text format.") | errors(401),
)
async def metrics(desk: TheDesk) -> Response:
    """Requests, times, the queue, batches and rows, for Prometheus."""
    queue = anyio.to_thread.current_default_thread_limiter().statistics().tasks_waiting
    text = desk.metrics.read(queue=queue, rows=await desk.watch.rows())
    return Response(text, headers={"Content-Type": CONTENT_TYPE})
