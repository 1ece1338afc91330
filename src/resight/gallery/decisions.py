"""What people decide about the crops of a gallery."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from resight.clustering.constraints import check
from resight.data import feedback
from resight.data.feedback import Crop, Decision
from resight.errors import GalleryError, MissingError
from resight.gallery.gallery import Gallery
from resight.gallery.individuals import Individuals, find_ids
from resight.gallery.searching import stored

Ids = tuple[int, int]


def decide(
    gallery: Gallery,
    *,
    same: Iterable[Ids] = (),
    different: Iterable[Ids] = (),
    forget: Iterable[Ids] = (),
    by: str = "",
) -> int:
    """Keep decisions about pairs of stored crops; they are on the disk when this returns.

    same, different: pairs of ids. forget: pairs of which nothing is said any more. by: who decides.
    The last word on a pair counts. Returns how many were kept: all, or none after an error.

    Raises Contradiction for what other decisions rule out, MissingError for an id that is not
    there, GalleryError for one that is paired with itself.
    """
    told = [(pair, True) for pair in same] + [(pair, False) for pair in different]
    return _keep(gallery, [*told, *((pair, None) for pair in forget)], by)


def decided(gallery: Gallery) -> tuple[Decision, ...]:
    """The decisions that count, newest first; read again only after their file changed.

    Crops are named by source and path: `find_ids` tells their ids. Raises DataError for a damaged
    file.
    """
    return gallery.remember(decided, (feedback.NAME,), _newest_first)


def merge(gallery: Gallery, labels: Sequence[int], *, by: str = "") -> int:
    """Decide that clusters show one individual; returns how many decisions that took.

    What was said before of crops in different ones of them, that they differ, is taken back.
    Raises MissingError for a cluster that is not there.
    """
    with gallery.writing():
        clusters = [_members(gallery, label) for label in dict.fromkeys(labels)]
        first = [members[0] for members in clusters]
        same = [(first[0], other) for other in first[1:]]
        forget = _said_across(gallery, clusters, same=False)
        return decide(gallery, same=same, forget=_without(forget, same), by=by)


def split(gallery: Gallery, label: int, ids: Sequence[int], *, by: str = "") -> int:
    """Decide that these crops of a cluster are one individual, and none of the others in it.

    Returns how many decisions that took. What was said before, that some of them are the same as
    some of the others, is taken back. Raises MissingError for a cluster that is not there,
    GalleryError for crops outside of it, and for none or all.
    """
    with gallery.writing():
        leaving, rest = _parted(_members(gallery, label), ids, label)
        different = [(leaving[0], other) for other in rest]
        forget = _said_across(gallery, [leaving, rest], same=True)
        return decide(
            gallery,
            same=[(leaving[0], other) for other in leaving[1:]],
            different=different,
            forget=_without(forget, different),
            by=by,
        )


def _newest_first(gallery: Gallery) -> tuple[Decision, ...]:
    return feedback.read(gallery.path)[::-1]


def _parted(members: Sequence[int], ids: Sequence[int], label: int) -> tuple[list[int], list[int]]:
    """The crops of a cluster that leave it, and the rest."""
    leaving, there = dict.fromkeys(ids), frozenset(members)
    strange = next((crop_id for crop_id in leaving if crop_id not in there), None)
    if strange is not None:
        raise GalleryError(f"crop {strange} is not in cluster {label}")
    rest = [crop_id for crop_id in members if crop_id not in leaving]
    if not leaving or not rest:
        raise GalleryError(f"give some of the {len(members)} crops of cluster {label}, not all")
    return list(leaving), rest


def _said_across(gallery: Gallery, groups: Sequence[Sequence[int]], *, same: bool) -> list[Ids]:
    """The pairs of crops in different groups that are said to be the same, or different."""
    ids = [crop_id for group in groups for crop_id in group]
    group_of = {crop_id: number for number, group in enumerate(groups) for crop_id in group}
    named = {crop: crop_id for crop_id, crop in _crops(gallery, ids).items()}
    found = []
    for decision in feedback.read(gallery.path):
        pair = [named[crop] for crop in decision.pair if crop in named]
        if decision.same is same and len(pair) == 2 and group_of[pair[0]] != group_of[pair[1]]:
            found.append((pair[0], pair[1]))
    return found


def _without(pairs: Sequence[Ids], others: Sequence[Ids]) -> list[Ids]:
    """The pairs that are not among the others, in either order."""
    known = set(map(frozenset, others))
    return [pair for pair in pairs if frozenset(pair) not in known]


def _keep(gallery: Gallery, told: Sequence[tuple[Ids, bool | None]], by: str) -> int:
    itself = next((a for (a, b), _ in told if a == b), None)
    if itself is not None:
        raise GalleryError(f"crop {itself} is paired with itself")
    now = time.time()
    with gallery.writing():  # or a crop that is being deleted could be named afterwards
        crops = _crops(gallery, [crop_id for pair, _ in told for crop_id in pair])
        new = [Decision(crops[a], crops[b], same, now, by) for (a, b), same in told]
        pairs = feedback.pairs([*feedback.read(gallery.path), *new])
        check(pairs.must, pairs.cannot, pairs.names)
        feedback.append(gallery.path / feedback.NAME, new)
    return len(new)


def _crops(gallery: Gallery, ids: Sequence[int]) -> dict[int, Crop]:
    rows, _ = stored(gallery, ids)
    named = zip(rows.sources, rows.paths, strict=True)
    return {crop_id: Crop(*name) for crop_id, name in zip(ids, named, strict=True)}


def _members(gallery: Gallery, label: int) -> list[int]:
    """The ids of a cluster's crops."""
    ids = find_ids(gallery, Individuals.of(gallery).members(label))
    there: list[int] = ids[ids >= 0].tolist()
    if not there:
        raise MissingError(f"{gallery.path} has no cluster {label}")
    return there
