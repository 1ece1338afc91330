"""/api/crops/{id}/sightings, …/individual: all that shows the individual of a crop."""

from __future__ import annotations

from fastapi import Depends

from resight.gallery import Answer, Individuals, Query, audit, delete_individual, sightings
from resight.service import answers, asks
from resight.service.desk import Desk, TheDesk, Who, writable
from resight.service.routes.common import api, errors

router = api("individuals")


@router.get("/crops/{crop_id}/sightings", responses=errors(404))
def show_sightings(crop_id: asks.CropId, desk: TheDesk, who: Who) -> answers.Sightings:
    """What is known and believed to show the individual of a crop, by time."""
    row = desk.rows([crop_id])
    found = sightings(desk.gallery, crop_id)
    hits = tuple(sighting.hit for sighting in found)
    _log(desk, Query(ids=(crop_id,)), Answer(hits, None, False, False, 0.0), who)
    label = Individuals.of(desk.gallery).label((row.sources[0], row.paths[0]))
    reasons = [{"why": sighting.why} for sighting in found]
    return answers.Sightings(label=label, crops=desk.shown(hits, answers.Sighting, reasons))


@router.delete(
    "/crops/{crop_id}/individual", dependencies=[Depends(writable)], responses=errors(404)
)
def delete_whole_individual(crop_id: asks.CropId, desk: TheDesk) -> answers.Deleted:
    """Delete all sightings of a crop's individual and all that is derived from them."""
    desk.rows([crop_id])
    deleted = delete_individual(desk.gallery, crop_id)
    return answers.Deleted(deleted=deleted)


def _log(desk: Desk, query: Query, answer: Answer, who: str) -> None:
    """Looking for sightings is searching, and logged where searches are."""
    if desk.gallery.settings.log_searches:
        audit.log(desk.gallery, query, answer, by=who)
