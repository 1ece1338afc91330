"""What the stores on servers share: their addresses, filters, hits, recall."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import numpy as np

from resight.errors import ConfigError
from resight.gallery.records import NO_ROW, Filter, Hits
from resight.gallery.stores.checks import is_storable
from resight.records import FloatArray, IntArray

if TYPE_CHECKING:
    from resight.gallery.store import Store

NEAREST = 10
SAMPLE = 100
_SHOWN = 40
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,49}")

Found = tuple[IntArray, FloatArray]
Item = TypeVar("Item")

NOTHING: Found = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)


@dataclass(frozen=True, repr=False)
class Address:
    """Where a store is: `name`, of a table or collection, at `place`, which holds no credentials.

    url: the whole without the name. scheme, host (with its port) and database: of it.
    user, password: "" where there is none; never shown.
    """

    url: str
    scheme: str
    host: str
    database: str
    name: str
    user: str
    password: str

    @property
    def place(self) -> str:
        """Host, port and database, for messages."""
        return f"{self.host}/{self.database}"

    def __repr__(self) -> str:
        return f"Address({self.name!r} at {self.place})"

    @classmethod
    def parse(cls, address: str, *, option: str) -> Address:
        """Of "SCHEME://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=NAME"; other options stay in `url`.

        Raises ConfigError, without repeating the address, any part of which may be a password.
        """
        scheme = address.partition(":")[0]
        if _misquoted(address):
            raise ConfigError(
                f"the {scheme} address of the store is not of the form {scheme}://USER:PASSWORD@"
                f"HOST:PORT/DATABASE?{option}=NAME: write special characters of the user and the "
                "password as %XX, such as %40 for @"
            )
        parts = urlsplit(address)
        options = parts.query.split("&")
        names = [
            unquote(text[len(option) + 1 :]) for text in options if text.startswith(f"{option}=")
        ]
        if len(names) != 1 or not names[0]:
            raise ConfigError(
                f"the {scheme} address of the store names no {option}: end it with ?{option}=NAME"
            )
        if not _NAME.fullmatch(names[0]):
            raise ConfigError(
                f"{option}={names[0][:_SHOWN]!r} is no name for a store: use up to 50 of a-z, A-Z, "
                "0-9 and _, no digit first"
            )
        rest = "&".join(text for text in options if not text.startswith(f"{option}="))
        return cls(
            url=urlunsplit(parts._replace(query=rest)),
            scheme=scheme,
            host=parts.netloc.rpartition("@")[2],
            database=unquote(parts.path.strip("/")),
            name=names[0],
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )


def key(*texts: str) -> bytes:
    """16 bytes that stand for these texts, of any length and with any characters."""
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=16).digest()


def narrowed(where: Filter) -> Filter | None:
    """The filter less the names that no store can hold; None when no row at all can pass."""
    if any(bound is not None and math.isnan(bound) for bound in _bounds(where)):
        return None
    if where.source is not None and not is_storable(where.source):
        return None
    cameras = None if where.cameras is None else frozenset(filter(is_storable, where.cameras))
    if cameras is not None and not cameras:
        return None
    kept = frozenset(filter(is_storable, where.without_cameras))
    return replace(where, cameras=cameras, without_cameras=kept)


def parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Up to `size` items at once, in their order."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def hits(found: Sequence[Found], k: int, *, exact: bool) -> Hits:
    """Hits of up to k ids with their similarities for each query, padded to k."""
    ids = np.full((len(found), k), NO_ROW, dtype=np.int64)
    similarities = np.full((len(found), k), -np.inf, dtype=np.float32)
    for row, (best, values) in enumerate(found):
        ids[row, : len(best)], similarities[row, : len(best)] = best, values
    return Hits(ids, similarities, exact)


def recall(store: Store) -> tuple[float, int]:
    """Recall@10 of a store's search against its exact one, and on how many stored rows.

    Each row's own embedding is the query; that it finds itself does not count.
    """
    ids = store.select()
    ids = ids[np.unique(np.linspace(0, len(ids) - 1, min(SAMPLE, len(ids))).astype(np.int64))]
    queries = store.vectors(ids)
    near = store.search(queries, NEAREST + 1).ids
    best = store.search(queries, NEAREST + 1, exact=True).ids
    found = expected = 0
    for own, got, wanted in zip(ids, near, best, strict=True):
        true = wanted[(wanted != own) & (wanted != NO_ROW)][:NEAREST]
        found += len(np.intersect1d(true, got))
        expected += len(true)
    return found / max(expected, 1), len(ids)


def _misquoted(address: str) -> bool:
    """Whether parts of the user or password may be where other parts of an address belong."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return True
    strays = parts.netloc.count("@") > 1 or address.count("@") > parts.netloc.count("@")
    return strays or "#" in address or bool(re.search("%(?![0-9A-Fa-f]{2})", address))


def _bounds(where: Filter) -> tuple[float | None, ...]:
    return where.since, where.until, where.added_before
