"""/api/decisions: which crops are the same individual, and which are not."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Query

from resight.gallery import decide
from resight.gallery import decisions as made
from resight.gallery.individuals import find_ids
from resight.service import answers, asks
from resight.service.desk import TheDesk, Who, writable
from resight.service.routes.common import api, errors

router = api("decisions")


@router.post("/decisions", dependencies=[Depends(writable)], responses=errors(400, 404, 409))
def add_decisions(asked: asks.NewDecisions, desk: TheDesk, who: Who) -> answers.Kept:
    """Keep decisions about pairs of crops, all or none."""
    told = [*asked.same, *asked.different, *asked.forget]
    itself = next((pair[0] for pair in told if pair[0] == pair[1]), None)
    if itself is not None:
        raise HTTPException(422, f"crop {itself} is paired with itself")
    desk.rows(list(dict.fromkeys(crop_id for pair in told for crop_id in pair)))
    kept = decide(
        desk.gallery,
        same=[(a, b) for a, b in asked.same],
        different=[(a, b) for a, b in asked.different],
        forget=[(a, b) for a, b in asked.forget],
        by=who,
    )
    return answers.Kept(kept=kept)


@router.get("/decisions")
def list_decisions(asked: Annotated[asks.Page, Query()], desk: TheDesk) -> answers.Decisions:
    """The decisions that count, newest first; `after` is a place in that list."""
    feedback = made.feedback  # type: ignore[attr-defined]
    told = feedback.latest(feedback.read(desk.gallery.path))[::-1]
    start = asked.after + 1
    shown = told[start : start + asked.limit]
    crops = [(crop.source, crop.path) for one in shown for crop in (one.a, one.b)]
    ids = [None if crop_id < 0 else crop_id for crop_id in find_ids(desk.gallery, crops).tolist()]
    pairs = zip(ids[::2], ids[1::2], shown, strict=True)
    listed = [
        answers.Decision(a=a, b=b, same=one.same, time=one.time, by=one.by) for a, b, one in pairs
    ]
    end = start + len(shown)
    return answers.Decisions(decisions=listed, next=end - 1 if end < len(told) else None)
