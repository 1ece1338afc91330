"""Search: where else was this individual seen?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from resight.data.tables import suggestion
from resight.errors import BusyError, ConfigError, GalleryError, MissingError
from resight.gallery import audit
from resight.gallery.gallery import Gallery
from resight.gallery.records import ALL, NO_ROW, NO_TRACK, Filter, Rows
from resight.records import FloatArray, IntArray

if TYPE_CHECKING:
    from resight.inference import Picture

CANDIDATES = 100
_MANY = 10_000
_ATTEMPTS = 3
_SHOWN = 6

Made = TypeVar("Made")
Embed = Callable[[Sequence["Picture"]], FloatArray]


@dataclass(frozen=True)
class Query:
    """What to search for, and among what.

    pictures, ids: pictures of one individual, and stored crops of it; of several, the mean of their
    embeddings is searched for, and stored ones are no answers. k: answers at most. where: which
    rows can be answers. same_camera: False leaves out the cameras of the stored crops.
    accepted_only: no answers below the calibrated threshold. rerank: k-reciprocal re-ranking of the
    first 100. exact: do not use the approximate index.

    Raises ConfigError without anything to search for, and for k below 1.
    """

    pictures: tuple[Picture, ...] = ()
    ids: tuple[int, ...] = ()
    k: int = 10
    where: Filter = ALL
    same_camera: bool = True
    accepted_only: bool = False
    rerank: bool = False
    exact: bool = False

    def __post_init__(self) -> None:
        if not self.pictures and not self.ids:
            raise ConfigError("there is nothing to search for: give a picture or a stored crop")
        if self.k < 1:
            raise ConfigError(f"k is {self.k}, expected 1 or more answers")


@dataclass(frozen=True)
class Hit:
    """A stored crop as an answer; similarity: cosine to the query.

    accepted: whether that reaches the calibrated threshold, None without one. time: seconds, NaN
    unknown. camera: "" unknown. track: -1 unknown.
    """

    id: int
    similarity: float
    accepted: bool | None
    source: str
    path: str
    camera: str
    time: float
    track: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an unknown time or track is None."""
        known_time = None if np.isnan(self.time) else self.time
        known_track = None if self.track == NO_TRACK else self.track
        return asdict(self) | {"time": known_time, "track": known_track}


@dataclass(frozen=True)
class Answer:
    """Hits, best first.

    unknown: whether no crop that could be an answer is accepted; None without a threshold. exact:
    whether no better one can have been missed. reranked: hits are in the order of k-reciprocal
    re-ranking instead of that of their similarity. seconds: what it took.
    """

    hits: tuple[Hit, ...]
    unknown: bool | None
    exact: bool
    reranked: bool
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"hits": [hit.as_dict() for hit in self.hits]}


def search(gallery: Gallery, query: Query, *, by: str = "", embed: Embed | None = None) -> Answer:
    """The stored crops that are most similar to a query.

    by: who asks, for galleries that log searches. embed: pictures to (N, D) unit rows, by default
    the gallery's encoder.

    Raises MissingError for a stored crop that it does not have, GalleryError for an empty gallery,
    an unknown camera, and accepted_only without a threshold; DataError for a picture that cannot be
    read.
    """
    started = time.perf_counter()
    _check(gallery, query)
    vector = _vector(gallery, query, embed)
    where = _where(gallery, query)
    answer = settled(gallery, lambda: _answer(gallery, query, vector, where))
    answer = replace(answer, seconds=time.perf_counter() - started)
    if gallery.settings.log_searches:
        audit.log(gallery, query, answer, by=by)
    return answer


def settled(gallery: Gallery, find: Callable[[], Made]) -> Made:
    """`find()`, again where a crop was deleted between its being found and being read."""
    for _ in range(_ATTEMPTS):
        with suppress(KeyError):
            return find()
    raise BusyError(f"{gallery.path} changes faster than it can be searched: try again")


def hits_of(gallery: Gallery, rows: Rows, similarities: FloatArray) -> tuple[Hit, ...]:
    """Stored rows with their similarities (N,), as hits in the same order."""
    threshold = gallery.threshold
    accepted = None if threshold is None else threshold.accepts(similarities).tolist()
    return tuple(
        Hit(
            id=int(rows.ids[place]),
            similarity=float(similarities[place]),
            accepted=None if accepted is None else accepted[place],
            source=rows.sources[place],
            path=rows.paths[place],
            camera=rows.cameras[place],
            time=float(rows.times[place]),
            track=int(rows.tracks[place]),
        )
        for place in range(len(rows))
    )


def check_cameras(gallery: Gallery, where: Filter) -> None:
    """Raise GalleryError for a camera that the gallery does not have, with near ones."""
    asked = (where.cameras or frozenset()) | where.without_cameras
    if not asked:
        return
    known = list(gallery.store.cameras())
    for name in sorted(asked):
        if name not in known:
            shown = ", ".join(map(repr, known[:_SHOWN])) + (", …" if len(known) > _SHOWN else "")
            near = suggestion(name, known) or f": it has {shown or 'none'}"
            raise GalleryError(f"{gallery.path} has no camera {name!r}{near}")


def stored(gallery: Gallery, ids: Sequence[int]) -> tuple[Rows, FloatArray]:
    """Rows and embeddings (N, D) of stored crops; raises MissingError for one that is not there."""
    try:
        wanted = np.array(ids, dtype=np.int64)
        return gallery.store.rows(wanted), gallery.store.vectors(wanted)
    except (KeyError, OverflowError) as error:
        missing = next((crop_id for crop_id in ids if not gallery.has(crop_id)), ids[0])
        raise MissingError(f"{gallery.path} has no crop {missing}") from error


def _check(gallery: Gallery, query: Query) -> None:
    if query.accepted_only and gallery.threshold is None:
        raise GalleryError(
            f"{gallery.path} has no threshold that could tell accepted answers: run "
            "`resight calibrate RUN`, then `resight index RUN DATA` into it again"
        )
    check_cameras(gallery, query.where)
    if not len(gallery.store.select(limit=1)):
        raise GalleryError(
            f"{gallery.path} holds no crops: fill it with "
            f"`resight index RUN DATA --gallery {gallery.path}`"
        )


def _vector(gallery: Gallery, query: Query, embed: Embed | None) -> FloatArray:
    """(1, D) the mean embedding of what is searched for, of length 1."""
    parts = []
    if query.ids:
        parts.append(stored(gallery, query.ids)[1])
    if query.pictures:
        parts.append((embed or gallery.embedder.embed)(query.pictures))
    mean = np.concatenate(parts).mean(axis=0, keepdims=True)
    length = np.linalg.norm(mean)
    if not length > 0:
        raise GalleryError("the pictures of the query have opposite embeddings: search for fewer")
    unit: FloatArray = (mean / length).astype(np.float32)
    return unit


def _where(gallery: Gallery, query: Query) -> Filter:
    """The query's filter, less what its stored crops rule out and what is past the retention."""
    without = query.where.without | frozenset(query.ids) | frozenset(gallery.past().tolist())
    where = replace(query.where, without=without)
    if query.same_camera or not query.ids:
        return where
    seen_by = frozenset(stored(gallery, query.ids)[0].cameras) - {""}
    return replace(where, without_cameras=where.without_cameras | seen_by)


def _answer(gallery: Gallery, query: Query, vector: FloatArray, where: Filter) -> Answer:
    depth = max(query.k, CANDIDATES) if query.rerank else query.k
    if depth > _MANY:  # stores make room for as many as they are asked for
        depth = max(1, min(depth, gallery.store.count(where)))
    found = gallery.store.search(vector, depth, where, exact=query.exact)
    there = found.ids[0] != NO_ROW
    ids, similarities = found.ids[0][there], found.similarities[0][there]
    threshold = gallery.threshold
    unknown = None if threshold is None else not bool(threshold.accepts(similarities).any())
    order = np.arange(len(ids))
    if query.rerank:
        order[:CANDIDATES] = _reranked(gallery, vector, ids[:CANDIDATES])
    if query.accepted_only and threshold is not None:
        order = order[threshold.accepts(similarities[order])]
    order = order[: query.k]
    rows = gallery.store.rows(ids[order])
    hits = hits_of(gallery, rows, similarities[order])
    return Answer(hits, unknown, found.exact, query.rerank, 0.0)


def _reranked(gallery: Gallery, vector: FloatArray, ids: IntArray) -> IntArray:
    """The order of candidates after k-reciprocal re-ranking among themselves and the query."""
    from resight.evaluation.reranking import Reranked
    from resight.records import GLOBAL, Features

    if len(ids) < 2:
        return np.arange(len(ids))
    candidates = Features({GLOBAL: gallery.store.vectors(ids)})
    blocks = Reranked()(Features({GLOBAL: vector}), candidates, np.arange(1))
    scores = np.concatenate([block.copy() for _, block in blocks])[0]
    return np.argsort(-scores, kind="stable")
