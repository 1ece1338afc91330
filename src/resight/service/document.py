"""What the description of the addresses tells machines of how to come in."""

from __future__ import annotations

from fastapi import FastAPI

from resight.service.guarding import OPEN
from resight.service.sessions import Sessions


def tell_who_may_come_in(app: FastAPI, sessions: Sessions) -> None:
    """Add to the OpenAPI document, which the application keeps, what its guard asks for."""
    if not sessions.tokens:
        return
    document = app.openapi()
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": sessions.cookie},
    }
    for path, methods in document["paths"].items():
        for told in methods.values() if path not in OPEN else ():
            told["security"] = [{"token": []}, {"session": []}]
