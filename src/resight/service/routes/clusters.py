"""/api/clusters: browse, merge and split clusters."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import Depends, HTTPException, Query

from resight.gallery import Individuals, merge, split
from resight.gallery.individuals import find_ids
from resight.records import IntArray
from resight.service import answers, asks
from resight.service.desk import Desk, TheDesk, Who, writable
from resight.service.errors import told
from resight.service.routes.common import api, errors

router = api("clusters")


@router.get("/clusters")
def list_clusters(
    asked: Annotated[asks.ClusterListing, Query()], desk: TheDesk
) -> answers.Clusters:
    """The clusters of the run, as decisions changed them."""
    try:
        return desk.clusters().page(asked.order, asked.after, asked.limit)
    except ValueError as error:
        raise HTTPException(422, "after: give what `next` was, with the same order") from error


@router.get("/clusters/{label}", responses=errors(404))
def show_cluster(
    label: asks.Label, asked: Annotated[asks.Page, Query()], desk: TheDesk
) -> answers.Crops:
    """The crops of a cluster, by ascending id."""
    ids = _members(desk, label)
    left = ids[ids > asked.after]
    shown = left[: asked.limit]
    more = int(shown[-1]) if len(left) > len(shown) else None
    return answers.Crops(crops=desk.crops(desk.gallery.present(shown)), next=more)


@router.post("/clusters/merge", dependencies=[Depends(writable)], responses=errors(400, 404, 409))
def merge_clusters(asked: asks.Merge, desk: TheDesk, who: Who) -> answers.Kept:
    """Decide that clusters show one individual."""
    for label in asked.labels:
        _members(desk, label)
    return answers.Kept(kept=merge(desk.gallery, asked.labels, by=who))


@router.post(
    "/clusters/{label}/split", dependencies=[Depends(writable)], responses=errors(400, 404, 409)
)
def split_cluster(label: asks.Label, asked: asks.Split, desk: TheDesk, who: Who) -> answers.Kept:
    """Decide that these crops of a cluster are one individual, and its others are not."""
    _members(desk, label)
    with told(422):
        return answers.Kept(kept=split(desk.gallery, label, asked.ids, by=who))


def _members(desk: Desk, label: int) -> IntArray:
    """Ascending ids of a cluster's crops; raises HTTPException 404 without any."""
    ids = find_ids(desk.gallery, Individuals.of(desk.gallery).members(label))
    ids = np.unique(ids[ids >= 0])
    if not len(ids):
        raise HTTPException(404, f"the gallery has no cluster {label}")
    return ids
