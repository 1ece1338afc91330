"""What clients are told when something goes wrong: {"error": one sentence}, never a trace."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from resight.errors import ConfigError, Contradiction, GalleryError, StoreError

log = logging.getLogger(__name__)

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
    """Answer with this status and the sentence of a mistake in what was asked of the gallery."""
    try:
        yield
    except (ConfigError, GalleryError) as error:
        raise HTTPException(status, str(error)) from error


def add_handlers(app: FastAPI) -> None:
    """Answer what routes raise."""
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Contradiction, _contradicted)
    app.add_exception_handler(StoreError, _unavailable)
    app.add_exception_handler(GalleryError, _unavailable)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    sentence = _PLAIN.get(str(error.detail), str(error.detail))
    return refusal(error.status_code, _clean(request, sentence), error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return refusal(422, _sentence(problems[0]) + more)


async def _contradicted(request: Request, error: Exception) -> Response:
    return refusal(409, _clean(request, str(error)))


async def _unavailable(request: Request, error: Exception) -> Response:
    """The gallery or its store cannot do it now; addresses and paths are for the log alone."""
    log.error("request %s: %s", request.scope["state"].get("id"), error)
    sentence = "the gallery cannot do that now: try again, or ask who runs it to read its log"
    return refusal(503, sentence, {"Retry-After": "5"})


def _sentence(problem: Mapping[str, Any]) -> str:
    """Where the first mistake is, and what is wrong with it; not what was sent."""
    place = ".".join(str(part) for part in problem["loc"][1:]) or str(problem["loc"][0])
    reason = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place[:_LONGEST]}: {reason[:_LONGEST]}"


def _clean(request: Request, sentence: str) -> str:
    """Without the place of the gallery on this machine."""
    gallery = request.app.state.desk.gallery
    return sentence.replace(str(gallery.path), "the gallery")


def unexpected(request_id: str) -> Response:
    """What is said of a mistake of ours; the log has the trace under this id."""
    return refusal(500, f"something went wrong here; the log tells what under {request_id}")
