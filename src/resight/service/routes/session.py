"""POST and DELETE /api/session: a cookie instead of the token, for browsers."""

from __future__ import annotations

from fastapi import HTTPException, Request, Response

from resight.service import answers, asks
from resight.service.routes.common import api
from resight.service.sessions import HOURS, Sessions

router = api("session")


@router.post("/session")
async def start_session(asked: asks.Login, request: Request, response: Response) -> answers.Session:
    """Set a cookie that lets this browser in for 12 hours."""
    sessions: Sessions = request.app.state.sessions
    name = sessions.named(asked.token)
    if name is None:
        raise HTTPException(401, "this is not the service's token", {"WWW-Authenticate": "Bearer"})
    response.set_cookie(
        sessions.cookie,
        sessions.start(name),
        max_age=HOURS * 3600,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answers.Session(name=name, seconds=HOURS * 3600)


@router.delete("/session", status_code=204)
async def end_session(request: Request, response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(request.app.state.sessions.cookie, httponly=True, samesite="strict")
