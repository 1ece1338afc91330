"""A gallery's encoder and its store's search, shared by requests that run at the same time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np

from resight.errors import StoreError
from resight.gallery.records import ALL, NO_ROW, Filter, Hits
from resight.gallery.store import Store
from resight.inference import Embedder
from resight.inference.pictures import Pixels
from resight.records import FloatArray, IntArray
from resight.service.batching import Together

MOST_PICTURES = 16
MOST_QUERIES = 16
MOST_LEFT_OUT = 32


class JointEncoder:
    """An encoder that embeds the pictures of several requests in one pass."""

    def __init__(self, open_: Callable[[], Embedder], *, told: Callable[[int], None]) -> None:
        self._open = open_
        self._together: Together[Pixels, FloatArray] = Together(
            self._embed, most=MOST_PICTURES, name="encoder", told=told
        )

    def __call__(self, pixels: Pixels) -> FloatArray:
        """(N, D) embeddings of (N, H, W, 3) pixels of the encoder's size."""
        return self._together(None, pixels)

    def close(self) -> None:
        """Embed nothing more."""
        self._together.close()

    def _embed(self, key: Hashable, parts: list[Pixels]) -> Sequence[FloatArray]:
        vectors = self._open().embed_pixels(np.concatenate(parts))
        return np.split(vectors, np.cumsum([len(part) for part in parts])[:-1])


class _Wish(NamedTuple):
    vector: FloatArray  # (1, D)
    k: int
    without: IntArray


class _Kind(NamedTuple):
    depth: int
    where: Filter
    exact: bool


class JointStore:
    """A store whose searches of equal filter are made together; in all else the store itself.

    Queries leave out the crops that they are made of, each another one: those few are searched for
    with the others and left out afterwards, which comes to the same answer.
    """

    def __init__(self, store: Store, *, lanes: int, told: Callable[[int], None]) -> None:
        self._store = store
        self._together: Together[_Wish, Hits] = Together(
            self._search,
            most=MOST_QUERIES,
            lanes=lanes,
            name="search",
            told=told,
            shared=(StoreError,),
        )

    def search(
        self, queries: FloatArray, k: int, where: Filter = ALL, *, exact: bool = False
    ) -> Hits:
        """As the store does; a single query shares a call with others."""
        if len(queries) != 1 or len(where.without) > MOST_LEFT_OUT:
            return self._store.search(queries, k, where, exact=exact)
        without = np.array(sorted(where.without), dtype=np.int64)
        depth = 1 << (k + len(without) - 1).bit_length()  # few kinds of depth, so that more meet
        kind = _Kind(depth, replace(where, without=frozenset()), exact)
        return self._together(kind, _Wish(queries, k, without))

    def stop(self) -> None:
        """Search nothing more; the store stays open."""
        self._together.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _search(self, key: Hashable, wishes: list[_Wish]) -> Sequence[Hits]:
        kind = cast("_Kind", key)
        vectors = np.concatenate([wish.vector for wish in wishes])
        found = self._store.search(vectors, kind.depth, kind.where, exact=kind.exact)
        return [
            _without(found.ids[row], found.similarities[row], wish, found.exact)
            for row, wish in enumerate(wishes)
        ]


def _without(ids: IntArray, similarities: FloatArray, wish: _Wish, exact: bool) -> Hits:
    """The k best that the query does not leave out, as a store answers them."""
    kept = np.flatnonzero((ids != NO_ROW) & ~np.isin(ids, wish.without))[: wish.k]
    shown = np.full((1, wish.k), NO_ROW)
    scores = np.full((1, wish.k), -np.inf, np.float32)
    shown[0, : len(kept)], scores[0, : len(kept)] = ids[kept], similarities[kept]
    return Hits(shown, scores, exact)
