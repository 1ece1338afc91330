"""`resight search`."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from pathlib import Path

from resight.data.tables import seconds
from resight.errors import ConfigError
from resight.gallery import Answer, Filter, Gallery, Query
from resight.gallery import search as search_gallery
from resight.gallery.sheet import answer_sheet
from resight.inference import Picture
from resight.inference.pictures import check_several

__all__ = ["Answer", "search"]


def search(
    gallery: str | Path,
    images: Sequence[Picture] = (),
    *,
    id: Sequence[int] = (),
    k: int = 10,
    camera: Sequence[str] = (),
    not_camera: Sequence[str] = (),
    other_cameras: bool = False,
    since: float | str | None = None,
    until: float | str | None = None,
    accepted: bool = False,
    rerank: bool = False,
    exact: bool = False,
    sheet: str | Path | None = None,
    device: str = "auto",
) -> Answer:
    """Find where else an individual was seen.

    images, id: pictures of one individual, and ids of stored crops of it; see `Query`. camera,
    not_camera: names that answers come from, or do not. other_cameras: leave out the cameras of the
    stored crops. since, until: seconds, or ISO 8601 (UTC unless it says otherwise). accepted: only
    answers from the calibrated threshold on. sheet: where to write a picture of the answer (PNG).

    Crops that are past the gallery's retention are no answers. Raises ConfigError for a time that
    is none; see `resight.gallery.search`.
    """
    check_several(images)
    where = where_of(camera=camera, not_camera=not_camera, since=since, until=until)
    query = Query(
        pictures=tuple(images),
        ids=tuple(id),
        k=k,
        where=where,
        same_camera=not other_cameras,
        accepted_only=accepted,
        rerank=rerank,
        exact=exact,
    )
    with Gallery.open(gallery, device=device) as opened:
        answer = search_gallery(opened, query, by=user())
        if sheet is not None:
            answer_sheet(opened, query, answer, Path(sheet))
    return answer


def user() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def where_of(
    *,
    camera: Sequence[str] = (),
    not_camera: Sequence[str] = (),
    since: float | str | None = None,
    until: float | str | None = None,
) -> Filter:
    """The filter that these words ask for; raises ConfigError for times that are none."""
    first, last = _time(since, "since"), _time(until, "until")
    if first is not None and last is not None and first > last:
        raise ConfigError(f"no time is since {since} and until {until}: give the earlier one first")
    return Filter(
        cameras=frozenset(camera) if camera else None,
        without_cameras=frozenset(not_camera),
        since=first,
        until=last,
    )


def _time(told: float | str | None, name: str) -> float | None:
    if told is None:
        return None
    try:
        time = seconds(str(told))
    except ValueError as error:
        raise ConfigError(
            f"{name} is {told!r}, expected seconds or an ISO 8601 date such as 2024-05-01T12:30:00"
        ) from error
    if time != time:
        raise ConfigError(f"{name} is not a number: give seconds or an ISO 8601 date")
    return time
