"""GET / and /static: the web page."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from resight.service.page_files import INDEX

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def show_page(request: Request) -> Response:
    """The page."""
    return _file(request, INDEX)


@router.api_route("/static/{name:path}", methods=["GET", "HEAD"])
async def show_file(name: str, request: Request) -> Response:
    """A script, a style or a picture of the page."""
    return _file(request, name)


def _file(request: Request, name: str) -> Response:
    file = request.app.state.page.get(name)
    if file is None:
        raise HTTPException(404, "the page has no such file")
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers={**headers, "Content-Type": file.kind})
