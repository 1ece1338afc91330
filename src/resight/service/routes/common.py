"""What the routes' documentation shares."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from resight.service.answers import Error

_WHY = {
    400: "The body cannot be understood.",
    401: "The service's token is missing or wrong.",
    403: "The service is read-only, or another site's page asks.",
    404: "There is no such thing.",
    408: "The body arrives too slowly.",
    409: "Decisions contradict each other.",
    413: "The upload has too many bytes or pixels.",
    415: "The upload is no picture that can be read.",
    421: "This service goes by another host name.",
    422: "A field is missing or out of range.",
    429: "All workers are busy and the queue is full: try again after Retry-After seconds.",
    431: "The head has too many bytes.",
    500: "Something unexpected happened; the log has it under the id that is told.",
    503: "The store does not answer, or another process is writing.",
}
_ALWAYS = (401, 403, 421, 422, 429, 431, 500, 503)


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of these statuses, for a route's documentation."""
    return {status: {"model": Error, "description": _WHY[status]} for status in statuses}


def content(kind: str, what: str) -> dict[int | str, dict[str, Any]]:
    """An answer that is not JSON, for a route's documentation."""
    return {200: {"content": {kind: {}}, "description": what}}


def api(tag: str) -> APIRouter:
    """A router below /api."""
    return APIRouter(prefix="/api", tags=[tag], responses=errors(*_ALWAYS))
