"""The ranked lists of an evaluation, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from resight.errors import RunError
from resight.reporting.thumbnails import Box, box_of

MOST_DROPPED = 4

KINDS = {
    "best": "Best: the right answers come first",
    "typical": "Typical: average precision near the median",
    "worst": "Worst: the right answers come last",
}


@dataclass(frozen=True)
class Match:
    """One answer to a query.

    dropped: the query's individual, but left out by the protocol, as in the query's own camera;
    such an answer is neither right nor wrong. box: where it is cut from its frame, if it is.
    """

    path: str
    camera: str | None
    similarity: float
    right: bool
    dropped: bool = False
    box: Box | None = None

    @property
    def kind(self) -> Literal["right", "wrong", "dropped"]:
        """What the answer is."""
        return "dropped" if self.dropped else "right" if self.right else "wrong"


@dataclass(frozen=True)
class RankedList:
    """A query and its first answers, most similar first; `ap` in [0, 1]."""

    kind: str
    path: str
    camera: str | None
    identity: str | None
    ap: float
    matches: tuple[Match, ...]
    box: Box | None = None

    def first(self, answers: int) -> tuple[Match, ...]:
        """The first answers that count, so many, and up to four dropped ones before the last."""
        counted = dropped = 0
        found = []
        for match in self.matches:
            if counted == answers:
                break
            counted, dropped = counted + (not match.dropped), dropped + match.dropped
            if not match.dropped or dropped <= MOST_DROPPED:
                found.append(match)
        return tuple(found)


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
        found = RankedList(
            kind=str(kind),
            path=str(query["path"]),
            camera=_name(query.get("camera")),
            identity=_name(query.get("identity")),
            ap=float(entry["ap"]),
            matches=tuple(_match(match) for match in entry["matches"]),
            box=box_of(query),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"ranked list {number} of the evaluation is damaged: {error!r}") from error
    if found.kind not in KINDS:
        raise RunError(f"ranked list {number} has kind {kind!r}, expected one of {list(KINDS)}")
    return found


def _match(entry: Mapping[str, Any]) -> Match:
    return Match(
        path=str(entry["path"]),
        camera=_name(entry.get("camera")),
        similarity=float(entry["similarity"]),
        right=bool(entry["right"]),
        dropped=bool(entry.get("dropped", False)),
        box=box_of(entry),
    )


def _name(value: object) -> str | None:
    return None if value is None else str(value)
