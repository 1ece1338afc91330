"""/api/crops: list, show, add and delete crops."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Annotated

import numpy as np
from fastapi import Depends, Form, HTTPException, Query
from fastapi.responses import Response

from resight.gallery import describe
from resight.gallery.describing import original_sizes
from resight.gallery.records import NO_TRACK
from resight.gallery.searching import check_cameras
from resight.service import answers, asks
from resight.service.desk import TheDesk, writable
from resight.service.errors import told
from resight.service.routes.common import api, content, errors

router = api("crops")

Listing = Annotated[asks.CropListing, Query()]
AskedForm = Annotated[asks.NewCrop, Form(media_type="multipart/form-data")]
THUMBNAIL = {"Cache-Control": "private, max-age=300"}


@router.get("/crops")
def list_crops(asked: Listing, desk: TheDesk) -> answers.Crops:
    """Crops by ascending id."""
    where = asked.where()
    with told(422):
        check_cameras(desk.gallery, where)
    ids = desk.gallery.store.select(where, after=asked.after, limit=asked.limit + 1)
    shown = ids[: asked.limit]
    more = int(shown[-1]) if len(ids) > len(shown) else None
    return answers.Crops(crops=desk.crops(desk.gallery.present(shown)), next=more)


@router.post("/crops", status_code=201, dependencies=[Depends(writable)],
             responses=errors(400, 408, 413, 415))  # fmt: skip
def add_crop(asked: AskedForm, desk: TheDesk) -> answers.Crop:
    """Embed and store a picture; one of the same source and path is replaced."""
    picture = desk.read(asked.image)
    rows = describe(
        asked.source,
        [asked.path or f"{blake2b(picture, digest_size=16).hexdigest()}"],
        cameras=asked.camera,
        times=math.nan if asked.time is None else asked.time,
        tracks=NO_TRACK if asked.track is None else asked.track,
    )
    pixels = desk.pixels([picture])
    vectors = desk.embed_pixels(pixels)
    ids = desk.gallery.add_embedded(vectors, rows, pixels, original_sizes([picture]))
    return desk.crops(desk.rows(ids.tolist()))[0]


@router.get("/crops/{crop_id}", responses=errors(404))
def show_crop(crop_id: asks.CropId, desk: TheDesk) -> answers.Crop:
    """A crop."""
    return desk.crops(desk.rows([crop_id]))[0]


@router.delete("/crops/{crop_id}", dependencies=[Depends(writable)], responses=errors(404))
def delete_crop(crop_id: asks.CropId, desk: TheDesk) -> answers.Deleted:
    """Delete a crop, with its thumbnail, the decisions on it and its label."""
    deleted = desk.gallery.delete(np.array([crop_id]))
    if not deleted:
        raise HTTPException(404, f"the gallery has no crop {crop_id}")
    desk.untidy.set()
    return answers.Deleted(deleted=deleted)


@router.get(
    "/crops/{crop_id}/thumbnail",
    response_class=Response,
    responses=content("image/jpeg", "A JPEG.") | errors(404),
)
def show_thumbnail(crop_id: asks.CropId, desk: TheDesk) -> Response:
    """A small picture of a crop."""
    picture = desk.gallery.thumbnail(crop_id)
    if picture is None:
        raise HTTPException(404, f"the gallery keeps no picture of crop {crop_id}")
    return Response(picture, media_type="image/jpeg", headers=THUMBNAIL)
