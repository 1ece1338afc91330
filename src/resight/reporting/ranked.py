"""The ranked lists of an evaluation, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resight.errors import RunError

KINDS = {
    "best": "Best: the right answers come first",
    "typical": "Typical: average precision near the median",
    "worst": "Worst: the right answers come last",
}


@dataclass(frozen=True)
class Match:
    """One answer to a query."""

    path: str
    camera: str | None
    similarity: float
    right: bool


@dataclass(frozen=True)
class RankedList:
    """A query and its first answers, most similar first; `ap` in [0, 1]."""

    kind: str
    path: str
    camera: str | None
    identity: str | None
    ap: float
    matches: tuple[Match, ...]


def ranked_lists(evaluation: Mapping[str, Any], *, of_each: int) -> tuple[RankedList, ...]:
    """The first `of_each` lists of each kind, best first, then typical, then worst.

    Raises RunError when an entry lacks something.
    """
    entries = evaluation.get("ranked_lists") or []
    lists = [_ranked_list(number, entry) for number, entry in enumerate(entries, start=1)]
    return tuple(
        ranked for kind in KINDS for ranked in [one for one in lists if one.kind == kind][:of_each]
    )


def _ranked_list(number: int, entry: Mapping[str, Any]) -> RankedList:
    try:
        kind, query = entry["kind"], entry["query"]
        matches = tuple(
            Match(str(m["path"]), _name(m.get("camera")), float(m["similarity"]), bool(m["right"]))
            for m in entry["matches"]
        )
        found = RankedList(
            kind=str(kind),
            path=str(query["path"]),
            camera=_name(query.get("camera")),
            identity=_name(query.get("identity")),
            ap=float(entry["ap"]),
            matches=matches,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"ranked list {number} of the evaluation is damaged: {error!r}") from error
    if found.kind not in KINDS:
        raise RunError(f"ranked list {number} has kind {kind!r}, expected one of {list(KINDS)}")
    return found


def _name(value: object) -> str | None:
    return None if value is None else str(value)
