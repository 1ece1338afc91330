"""All sightings of an individual, and how it is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from resight.gallery.gallery import Gallery
from resight.gallery.individuals import Individuals, Named, find_ids
from resight.gallery.records import NO_ROW, Filter, Rows
from resight.gallery.searching import Hit, hits_of, settled, stored
from resight.records import FloatArray

Why: TypeAlias = Literal["query", "confirmed", "cluster", "found"]

MOST_FOUND = 500


@dataclass(frozen=True)
class Sighting:
    """A crop of the same individual as another one; hit.similarity: cosine to that one.

    why: it is that crop ("query"), people said that it is the same ("confirmed"), it is in the same
    cluster after decisions ("cluster"), or its similarity reaches the threshold ("found").
    """

    hit: Hit
    why: Why


def sightings(gallery: Gallery, crop_id: int) -> tuple[Sighting, ...]:
    """What is known and believed to show the individual of a stored crop, by time, then by id.

    Crops of unknown time come last, those past the retention not at all. Of those that only the
    threshold tells, the 500 most similar are taken, without those that people said to be different.
    Raises MissingError when there is no such crop.
    """
    return settled(gallery, lambda: _sightings(gallery, crop_id))


def delete_individual(gallery: Gallery, crop_id: int) -> int:
    """Delete all sightings of a stored crop's individual, and all that is derived from them.

    Rows, embeddings, thumbnails, decisions and labels of clusters go, also those past the
    retention, and the store is compacted, so that nothing is left on the disk of the gallery.
    Returns how many crops were deleted; raises MissingError when there is no such crop.
    """
    with gallery.writing():
        row, vector = stored(gallery, [crop_id])
        deleted = gallery.delete(list(_reasons(gallery, row, vector)))
        gallery.store.optimise()
    return deleted


def _sightings(gallery: Gallery, crop_id: int) -> tuple[Sighting, ...]:
    row, vector = stored(gallery, [crop_id])
    why = _reasons(gallery, row, vector)
    shown = np.setdiff1d(np.array(list(why), dtype=np.int64), gallery.past())
    rows = gallery.present(shown)
    similarities = gallery.store.vectors(rows.ids) @ vector[0]
    found = [Sighting(hit, why[hit.id]) for hit in hits_of(gallery, rows, similarities)]
    return tuple(sorted(found, key=_by_time))


def _reasons(gallery: Gallery, row: Rows, vector: FloatArray) -> dict[int, Why]:
    """The ids of all sightings, and why each is one. row, vector: (1, D) of the crop."""
    crop = (row.sources[0], row.paths[0])
    why = _known(gallery, crop)
    threshold = gallery.threshold
    if threshold is not None:
        apart = find_ids(gallery, Individuals.of(gallery).rejected(crop))
        without = frozenset(why) | frozenset(apart.tolist())
        found = gallery.store.search(vector, MOST_FOUND, Filter(without=without))
        accepted = threshold.accepts(found.similarities[0]) & (found.ids[0] != NO_ROW)
        why |= dict.fromkeys(found.ids[0][accepted].tolist(), "found")
    return why


def _known(gallery: Gallery, crop: Named) -> dict[int, Why]:
    """The ids that people or clusters say to be the same, and why."""
    known = Individuals.of(gallery)
    label = known.label(crop)
    apart = set(known.rejected(crop))
    members = () if label is None else known.members(label)
    reasons: dict[Named, Why] = {}
    reasons |= {other: "cluster" for other in members if other not in apart}
    reasons |= dict.fromkeys(known.confirmed(crop), "confirmed")
    reasons[crop] = "query"
    ids = find_ids(gallery, list(reasons)).tolist()
    pairs = zip(ids, reasons.values(), strict=True)
    return {crop_id: why for crop_id, why in pairs if crop_id != NO_ROW}


def _by_time(sighting: Sighting) -> tuple[bool, float, int]:
    unknown = bool(np.isnan(sighting.hit.time))
    return unknown, 0.0 if unknown else sighting.hit.time, sighting.hit.id
