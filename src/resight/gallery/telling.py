"""Words for people about what a gallery holds."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from urllib.parse import urlsplit

from resight.gallery.records import IndexState

DATES_FROM = 1e8
_NAMES = ("table=", "collection=")


def told_time(seconds: float) -> str:
    """A time for people: a date (UTC) where it can be one, else seconds; "" when unknown."""
    if math.isnan(seconds):
        return ""
    if seconds < DATES_FROM:
        return f"{seconds:g} s"
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g} s"
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def told_index(state: IndexState) -> str:
    """How a store searches, and how well."""
    if state.recall is None:
        return state.kind
    return f"{state.kind}, recall@10 {state.recall:.3f} on {state.queries:,} stored crops"


def without_password(address: str) -> str:
    """The address of a store as it may be shown: host, database and name, no part besides.

    Whatever is not written as an address should be is left out: any part may be a password.
    """
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return address.partition("://")[0] + "://…"
    if "@" in parts.path:
        return f"{parts.scheme}://…"
    names = [text for text in parts.query.split("&") if text.startswith(_NAMES)]
    return f"{place}?{'&'.join(names)}" if names else place
