"""`resight gallery`: what a gallery holds, and what it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resight.api.searching import user, where_of
from resight.data import feedback
from resight.errors import GalleryError
from resight.evaluation.threshold import Threshold
from resight.gallery import Answer, Gallery, Query, Sighting, audit
from resight.gallery import sightings as sightings_of
from resight.gallery.individuals import Individuals
from resight.gallery.records import IndexState, Rows
from resight.gallery.searching import check_cameras
from resight.gallery.settings import Policy, Settings
from resight.gallery.telling import told_index, told_time, without_password

__all__ = [
    "Overview",
    "Rows",
    "Sighting",
    "change_gallery",
    "delete_crops",
    "expire_gallery",
    "individual",
    "list_gallery",
    "optimise_gallery",
    "show_gallery",
    "told_index",
    "told_time",
]

FOREVER = 0


@dataclass(frozen=True)
class Overview:
    """What a gallery holds. times: of the first and the last crop, None when none is known.

    address: of its store, without a password. clusters, decisions: how many. state: how it is
    searched.
    """

    settings: Settings
    address: str
    cameras: dict[str, int]
    times: tuple[float, float] | None
    threshold: Threshold | None
    clusters: int
    decisions: int
    state: IndexState


def show_gallery(gallery: str | Path) -> Overview:
    """What a gallery holds."""
    with Gallery.open(gallery) as opened:
        return Overview(
            settings=opened.settings,
            address=without_password(opened.settings.store),
            cameras=opened.store.cameras(),
            times=opened.store.times(),
            threshold=opened.threshold,
            clusters=len(Individuals.of(opened).sizes),
            decisions=len(feedback.read(opened.path)),
            state=opened.store.state(),
        )


def list_gallery(
    gallery: str | Path,
    *,
    camera: Sequence[str] = (),
    not_camera: Sequence[str] = (),
    since: float | str | None = None,
    until: float | str | None = None,
    after: int = -1,
    limit: int | None = 100,
) -> Rows:
    """Crops by ascending id, those after a given one; see `resight.search` for the filters."""
    where = where_of(camera=camera, not_camera=not_camera, since=since, until=until)
    with Gallery.open(gallery) as opened:
        check_cameras(opened, where)
        return opened.present(opened.store.select(where, after=after, limit=limit))


def individual(gallery: str | Path, crop_id: int) -> tuple[Sighting, ...]:
    """All sightings of a stored crop's individual; see `resight.gallery.sightings`.

    Galleries that log searches log this too.
    """
    with Gallery.open(gallery) as opened:
        found = sightings_of(opened, crop_id)
        if opened.settings.log_searches:
            hits = tuple(sighting.hit for sighting in found)
            audit.log(
                opened, Query(ids=(crop_id,)), Answer(hits, None, False, False, 0.0), by=user()
            )
        return found


def delete_crops(gallery: str | Path, ids: Sequence[int]) -> int:
    """Delete crops and all that is derived from them, from the disk too; how many there were.

    What is past the gallery's retention goes as well, and is not counted.
    """
    with Gallery.open(gallery) as opened, opened.writing():
        deleted = opened.delete(ids)
        opened.expire()
        opened.store.optimise()
        return deleted


def expire_gallery(gallery: str | Path) -> int:
    """Delete what is older than the gallery keeps; returns how many crops that were.

    Raises GalleryError for a gallery that keeps everything.
    """
    with Gallery.open(gallery) as opened:
        if opened.settings.retention_days is None:
            raise GalleryError(
                f"{gallery} keeps crops for ever: set a retention with "
                f"`resight gallery set {gallery} --keep-days N`"
            )
        return opened.expire()


def optimise_gallery(gallery: str | Path) -> IndexState:
    """Compact a gallery's store, and build its search index where it is large enough."""
    with Gallery.open(gallery) as opened:
        return opened.optimise()


def change_gallery(
    gallery: str | Path,
    *,
    thumbnails: Policy | None = None,
    keep_days: float | None = None,
    log_searches: bool | None = None,
) -> Settings:
    """Change what a gallery keeps; None leaves it. keep_days: 0 for ever. See `Gallery.change`."""
    with Gallery.open(gallery) as opened:
        now = opened.settings
        days = now.retention_days if keep_days is None else keep_days
        opened.change(
            thumbnails=now.thumbnails if thumbnails is None else thumbnails,
            retention_days=None if days == FOREVER else days,
            log_searches=now.log_searches if log_searches is None else log_searches,
        )
        return opened.settings
