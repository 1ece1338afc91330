"""The service: a gallery over HTTP, with its web page. Needs the packages of `resight[serve]`."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resight.service.app import create_app
    from resight.service.server import run
    from resight.service.settings import ServiceSettings, read_tokens

_HOMES = {
    "ServiceSettings": "settings",
    "create_app": "app",
    "read_tokens": "settings",
    "run": "server",
}

__all__ = ["ServiceSettings", "create_app", "read_tokens", "run"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'resight.service' has no attribute {name!r}")
    return getattr(importlib.import_module(f"resight.service.{_HOMES[name]}"), name)
