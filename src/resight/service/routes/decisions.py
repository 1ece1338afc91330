"""/api/decisions: which crops are the same individual, and which are not."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Query

from resight.gallery import decide
from resight.gallery.decisions import decided
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
def list_decisions(
    asked: Annotated[asks.DecisionListing, Query()], desk: TheDesk
) -> answers.Decisions:
    """The decisions that count, newest first.

    Places are counted from the oldest on, so that none is left out where newer ones come or go.
    """
    told = decided(desk.gallery)
    left = len(told) if asked.after is None else min(asked.after, len(told))
    shown = told[len(told) - left :][: asked.limit]
    crops = [(crop.source, crop.path) for one in shown for crop in (one.a, one.b)]
    ids = [None if crop_id < 0 else crop_id for crop_id in find_ids(desk.gallery, crops).tolist()]
    pairs = zip(ids[::2], ids[1::2], shown, strict=True)
    listed = [
        answers.Decision(a=a, b=b, same=one.same is True, time=one.time, by=one.by)
        for a, b, one in pairs
    ]
    return answers.Decisions(decisions=listed, next=(left - len(shown)) or None)
