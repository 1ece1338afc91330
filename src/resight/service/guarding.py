"""Who is let in: hosts, origins and tokens, looked at before anything of the body is read."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from resight.service.errors import refusal
from resight.service.sessions import LOGIN, Sessions
from resight.service.settings import ServiceSettings

OPEN = frozenset({"/", "/health", LOGIN})
OPEN_FOLDER = "/static/"
MOST_HEAD = 32_768
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ELSEWHERE = frozenset({"cross-site", "same-site"})
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Refuses strangers.

    A service that only this machine reaches answers to its own names alone, so that no web page can
    have its name point here (DNS rebinding). Requests that other sites' pages make are refused.
    Without a token, only the page and the health check are answered where there are tokens.
    """

    def __init__(self, app: ASGIApp, *, settings: ServiceSettings, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions
        names = {name.lower() for name in (*settings.names, settings.host)}
        self._known = names | _LOCAL_NAMES if settings.is_local else None
        self._names = {name.lower() for name in settings.names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in when nothing is strange about it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._strange(scope, headers)
        if refused is not None:
            status, sentence = refused
            more = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
            await refusal(status, sentence, more)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _strange(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Status and sentence for who is not let in."""
        if _head_size(scope) > MOST_HEAD:
            return 431, f"the request's head has more than {MOST_HEAD:,} bytes: send less"
        host = headers.get("host", "")
        if self._known is not None and _name(f"//{host}") not in self._known:
            return 421, "this service does not go by that name: start it with --name NAME"
        path, changes = scope["path"], scope["method"] not in SAFE
        if (changes or path.startswith("/api/")) and self._from_elsewhere(headers, host):
            return 403, "another site's page asks for this: open the service's own page"
        name = self._sessions.who(headers)
        if name is None and path not in OPEN and not path.startswith(OPEN_FOLDER):
            return 401, "this needs the service's token"
        address = scope["client"][0] if scope.get("client") else ""
        scope["state"]["who"] = f"{name}@{address}" if name else address
        return None

    def _from_elsewhere(self, headers: Headers, host: str) -> bool:
        """Whether a browser says that a page of another origin asks."""
        if headers.get("sec-fetch-site", "") in _ELSEWHERE:
            return True
        origin = headers.get("origin")
        if origin is None:
            return False
        return _place(origin) != host.lower() and _name(origin) not in self._names


def _head_size(scope: Scope) -> int:
    lines = sum(len(name) + len(value) for name, value in scope["headers"])
    return lines + len(scope.get("raw_path") or b"") + len(scope["query_string"])


def _place(url: str) -> str:
    """Host and port of an origin, "" for none."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _name(url: str) -> str:
    """The host name of an origin, or of //HOST:PORT; "" for none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
