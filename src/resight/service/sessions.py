"""Tokens, and the cookies that stand for them in a browser."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

LOGIN = "/api/session"
"""Where a token is exchanged for a cookie; open to all."""

HOURS = 12


@dataclass(frozen=True)
class Sessions:
    """Who may come in.

    tokens: by name. cookie: the cookie's name. A cookie holds the name, until when it is good, and
    an HMAC-SHA256 of both under the token: nothing is kept here, the token cannot be computed from
    it, and a changed token ends its sessions.
    """

    tokens: Mapping[str, str]
    cookie: str

    def named(self, token: str) -> str | None:
        """Whose token this is; takes as long for a near one as for any."""
        found = None
        for name, known in self.tokens.items():
            if secrets.compare_digest(known.encode(), token.encode("utf-8", "replace")):
                found = name
        return found

    def start(self, name: str, *, now: float | None = None) -> str:
        """The value of a cookie for this name, good for 12 hours."""
        until = int(time.time() if now is None else now) + HOURS * 3600
        told = base64.urlsafe_b64encode(name.encode()).decode()
        return f"{told}.{until}.{self._sign(name, until)}"

    def who(self, headers: Mapping[str, str], *, now: float | None = None) -> str | None:
        """The name of who asks, by token or cookie, None for strangers; "" where all may come."""
        if not self.tokens:
            return ""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.named(token.strip())
        return self._of_cookie(headers.get("cookie", ""), time.time() if now is None else now)

    def _of_cookie(self, header: str, now: float) -> str | None:
        try:
            morsel = SimpleCookie(header).get(self.cookie)
            told, until, signature = ("" if morsel is None else morsel.value).split(".")
            name = base64.urlsafe_b64decode(told.encode()).decode()
            end = int(until)
        except (CookieError, ValueError):
            return None
        if name not in self.tokens or end < now:
            return None
        good = secrets.compare_digest(self._sign(name, end).encode(), signature.encode())
        return name if good else None

    def _sign(self, name: str, until: int) -> str:
        token = self.tokens[name].encode()
        return hmac.digest(token, f"resight session {name} {until}".encode(), "sha256").hex()
