"""Which published data set a copy is, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from resight.data.layouts.market import is_distractor_path
from resight.data.published import PUBLISHED, Benchmark
from resight.records import Crops

# Anybody's data may lie in this layout: it is a data set's that it differs from by less.
_GENERAL = "market1501"
_NEAR = 0.1
_SINGLE = {"images": "image", "identities": "identity", "cameras": "camera"}


@dataclass(frozen=True)
class Recognised:
    """The data set that a copy is, or is nearest to.

    name: with what the copy adds, as distractors. complete: whether all counts are the published
    ones. differences: a sentence each. source: of the published counts.
    """

    name: str
    complete: bool
    differences: tuple[str, ...]
    source: str


def recognise(
    crops: Crops, layout: str, *, benchmarks: Sequence[Benchmark] = PUBLISHED
) -> Recognised | None:
    """The published data set that these crops are a copy of, None where none is near.

    layout: as it was read; the part after a colon does not matter. In a data set's own layout it
    is expected, however much is missing; "market1501" may hold anything. The pack of distractors
    of Market-1501 is counted by itself. Needs identities and cameras.
    """
    if crops.identities is None or crops.cameras is None:
        return None
    base = layout.partition(":")[0]
    known = [benchmark for benchmark in benchmarks if base in benchmark.layouts]
    extra = np.array([base == _GENERAL and is_distractor_path(path) for path in crops.paths])
    own = crops.select(~extra) if extra.any() else crops
    folders = {path.split("/", 1)[0].lower() for path in own.paths}
    fitting = [one for one in known if not one.named or folders & set(one.named)]
    if not fitting:
        return None
    nearest = min(fitting, key=lambda one: (_distance(own, one), not one.named))
    if base == _GENERAL and _distance(own, nearest) > _NEAR:
        return None
    differences = tuple(_differences(own, nearest))
    name = nearest.name
    if extra.any():
        name += f" with {int(extra.sum()):,} distractors"
    return Recognised(name, not differences, differences, nearest.source)


def _distance(crops: Crops, benchmark: Benchmark) -> float:
    """The largest relative difference of the counts of any split."""
    differences = [0.0]
    for split, count in benchmark.splits.items():
        images, identities = _counted(crops, split)
        if count.images is not None:
            differences.append(abs(images - count.images) / count.images)
        differences.append(abs(identities - count.identities) / count.identities)
    return max(differences)


def _differences(crops: Crops, benchmark: Benchmark) -> Iterator[str]:
    name = benchmark.name
    for split, count in benchmark.splits.items():
        images, identities = _counted(crops, split)
        place = _place(crops, split)
        if count.images is not None and images != count.images:
            yield _sentence(place, images, "images", name, count.images)
        if identities != count.identities:
            yield _sentence(place, identities, "identities", name, count.identities)
    cameras = 0 if crops.cameras is None else len(np.unique(crops.cameras))
    if cameras != benchmark.cameras:
        yield _sentence("the copy", cameras, "cameras", name, benchmark.cameras)


def _sentence(place: str, found: int, what: str, name: str, published: int) -> str:
    gap = published - found
    verb = "is" if abs(gap) == 1 else "are"
    told = f"{gap:,} {verb} missing" if gap > 0 else f"{-gap:,} {verb} too many"
    noun = what if found != 1 else _SINGLE[what]
    return f"{place} has {found:,} {noun}, {name} has {published:,}: {told}"


def _counted(crops: Crops, split: str) -> tuple[int, int]:
    """Images and identities of a split."""
    rows = crops.splits == split
    identities = np.unique(crops.identities[rows]) if crops.identities is not None else np.empty(0)
    return int(np.count_nonzero(rows)), int(np.count_nonzero(identities > 0))


def _place(crops: Crops, split: str) -> str:
    """The folder that a split lies in, or the split's name."""
    rows = np.flatnonzero(crops.splits == split)
    folders = {crops.paths[row].split("/", 1)[0] for row in rows}
    others = {crops.paths[row].split("/", 1)[0] for row in np.flatnonzero(crops.splits != split)}
    return folders.pop() if len(folders) == 1 and not folders & others else f"the split {split}"
