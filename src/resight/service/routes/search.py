"""POST /api/search, /api/search/stored: where else was this individual seen?"""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, HTTPException

from resight.gallery import Query, search
from resight.gallery.searching import check_cameras
from resight.service import answers, asks
from resight.service.desk import Desk, TheDesk, Who
from resight.service.errors import told
from resight.service.routes.common import api, errors

router = api("search")

AskedForm = Annotated[asks.PictureSearch, Form(media_type="multipart/form-data")]


@router.post("/search", responses=errors(400, 408, 409, 413, 415))
def search_pictures(asked: AskedForm, desk: TheDesk, who: Who) -> answers.Found:
    """Search for uploaded pictures of one individual."""
    query = Query(
        pictures=tuple(desk.read(upload) for upload in asked.image),
        k=asked.k,
        where=asked.where(),
        accepted_only=asked.accepted_only,
        rerank=asked.rerank,
    )
    return _answer(desk, query, who)


@router.post("/search/stored", responses=errors(400, 404, 409))
def search_stored(asked: asks.StoredSearch, desk: TheDesk, who: Who) -> answers.Found:
    """Search for stored crops of one individual; they are no answers themselves."""
    desk.rows(asked.ids)
    query = Query(
        ids=tuple(asked.ids),
        k=asked.k,
        where=asked.where(),
        same_camera=asked.same_camera,
        accepted_only=asked.accepted_only,
        rerank=asked.rerank,
    )
    return _answer(desk, query, who)


def _answer(desk: Desk, query: Query, who: str) -> answers.Found:
    gallery = desk.gallery
    with told(422):
        check_cameras(gallery, query.where)
    if query.accepted_only and gallery.threshold is None:
        raise HTTPException(422, "accepted_only: the gallery has no calibrated threshold")
    if not len(gallery.store.select(limit=1)):
        raise HTTPException(409, "the gallery holds no crops yet: add some")
    answer = search(gallery, query, by=who, embed=desk.embed)
    return answers.Found(
        hits=desk.shown(answer.hits, answers.Hit),
        unknown=answer.unknown,
        exact=answer.exact,
        reranked=answer.reranked,
        milliseconds=1000 * answer.seconds,
    )
