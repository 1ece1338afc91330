"""What clients are told when something goes wrong: {"error": one sentence}, never a trace."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from resight.errors import (
    BusyError,
    ConfigError,
    Contradiction,
    GalleryError,
    MissingError,
    ResightError,
    StoreError,
)

log = logging.getLogger(__name__)

RETRY = {"Retry-After": "5"}
_LONGEST = 300
_PLAIN = {
    "Not Found": "there is nothing at this address",
    "Method Not Allowed": "this address does not take that method",
    "There was an error parsing the body": "the body cannot be understood: send valid JSON",
}


def refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that says why there is none."""
    body = json.dumps({"error": sentence})  # ASCII: also halves of surrogate pairs can be told
    return Response(body, status, headers=headers, media_type="application/json")


@contextmanager
def told(status: int) -> Iterator[None]:
    """Answer with this status and the sentence of a mistake in what was asked of the gallery.

    What is missing, and what others keep busy, has an answer of its own.
    """
    try:
        yield
    except (MissingError, BusyError):
        raise
    except (ConfigError, GalleryError) as error:
        raise HTTPException(status, str(error)) from error


def add_handlers(app: FastAPI) -> None:
    """Answer what routes raise."""
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Contradiction, _contradicted)
    app.add_exception_handler(MissingError, _missing)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(StoreError, _unavailable)
    app.add_exception_handler(GalleryError, _unavailable)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    sentence = _PLAIN.get(str(error.detail), str(error.detail))
    if isinstance(error.__cause__, ResightError):
        sentence = _clean(request, sentence)
    headers = {**(error.headers or {})}
    if error.status_code == 405:
        headers["Allow"] = _methods(request)
    return refusal(error.status_code, sentence, headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return refusal(422, _sentence(problems[0]) + more)


async def _contradicted(request: Request, error: Exception) -> Response:
    return refusal(409, str(error))


async def _missing(request: Request, error: Exception) -> Response:
    return refusal(404, _clean(request, str(error)))


async def _busy(request: Request, error: Exception) -> Response:
    log.warning("request %s: %s", request.scope["state"].get("id"), error)
    return refusal(503, "others are changing the gallery: try again", RETRY)


async def _unavailable(request: Request, error: Exception) -> Response:
    """The gallery or its store cannot do it now; addresses and paths are for the log alone."""
    log.error("request %s: %s", request.scope["state"].get("id"), error)
    sentence = "the gallery cannot do that now: try again, or ask who runs it to read its log"
    return refusal(503, sentence, RETRY)


def _sentence(problem: Mapping[str, Any]) -> str:
    """Where the first mistake is, and what is wrong with it; not what was sent."""
    place = ".".join(str(part) for part in problem["loc"][1:]) or str(problem["loc"][0])
    reason = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place[:_LONGEST]}: {reason[:_LONGEST]}"


def _methods(request: Request) -> str:
    """The methods that an address takes; each of its routes knows only its own."""
    routes = [
        route for route in request.app.state.routes if route.path_regex.match(request.scope["path"])
    ]
    return ", ".join(sorted({method for route in routes for method in route.methods}))


def _clean(request: Request, sentence: str) -> str:
    """Without the place of the gallery on this machine, which may be as short as "." or "G"."""
    place = re.escape(str(request.app.state.desk.gallery.path))
    return re.sub(rf"(?<![\w./'-]){place}(?![\w.'-])", "the gallery", sentence)


def unexpected(request_id: str) -> Response:
    """What is said of a mistake of ours; the log has the trace under this id."""
    return refusal(500, f"something went wrong here; the log tells what under {request_id}")
