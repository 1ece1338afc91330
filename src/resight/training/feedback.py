"""What people decided about pairs, as rows of the crops that are trained on."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resight.clustering.constraints import Links, among, check
from resight.data.feedback import Crop, Decision, Pairs, pairs
from resight.records import OUTLIER, Crops, IntArray

log = logging.getLogger(__name__)


def check_decisions(decisions: Sequence[Decision], crops: Crops) -> None:
    """Raise Contradiction when these, of `crops` or of others, cannot all be right."""
    found, _ = _numbered(decisions, crops)
    check(found.must, found.cannot, found.names)


def find_links(decisions: Sequence[Decision], crops: Crops, rows: IntArray) -> Links:
    """The decisions as pairs of the M crops of `rows`, with what they say through other crops.

    A crop is found by its source and path, as a file of the data. Where no decision is about a
    file of the data, as after a move, paths alone tell, but for those that several sources have.
    How many decisions are of use is logged.

    decisions: that `check_decisions` let pass. rows: (M,) of `crops`.
    """
    found, moved = _numbered(decisions, crops)
    times = Counter(crop.path for crop in found.crops)
    here = str(crops.root)
    number = {crops.paths[row]: place for place, row in enumerate(rows.tolist())}
    sure = (crop.source == here or (moved and times[crop.path] == 1) for crop in found.crops)
    places = np.array(
        [
            number.get(crop.path, OUTLIER) if is_sure else OUTLIER
            for crop, is_sure in zip(found.crops, sure, strict=True)
        ],
        dtype=np.int64,
    )
    links = among(Links(found.must, found.cannot), places)
    _tell(found, places, links, crops.root if moved else None)
    return links


def _numbered(decisions: Sequence[Decision], crops: Crops) -> tuple[Pairs, bool]:
    """What counts, with one name for each crop of `crops`; whether decisions are of none of them.

    Folders can have several names, and data can be a part of what was indexed, or the whole.
    """
    root = os.path.realpath(crops.root)
    sources = {crop.source for decision in decisions for crop in decision.pair}
    folders = {source: _folder(source) if source else root for source in sources}
    paths = {os.path.join(root, path): path for path in crops.paths}
    here = str(crops.root)

    def named(crop: Crop) -> Crop:
        path = paths.get(os.path.join(folders[crop.source], crop.path))
        return crop if path is None and crop.source else Crop(here, path or crop.path)

    told = [(named(decision.a), named(decision.b), decision) for decision in decisions]
    found = pairs(Decision(a, b, d.same, d.time, d.by) for a, b, d in told if a != b)
    ours = {Crop(here, path) for path in crops.paths}
    return found, ours.isdisjoint(found.crops)


def _folder(source: str) -> str:
    """The folder that a source is; sources need not be any, or be names that a file can have."""
    try:
        return os.path.realpath(source)
    except ValueError:
        return source


def _tell(found: Pairs, places: IntArray, links: Links, moved_to: Path | None) -> None:
    """Log how many decisions are of use."""
    total = len(found.must) + len(found.cannot)
    if not total:
        log.warning("feedback: no pair is decided yet")
        return
    ends = np.concatenate((found.must, found.cannot))
    lacking = int(np.count_nonzero((places[ends] < 0).any(axis=1)))
    line = (
        f"feedback: of {total} decided pairs, {total - lacking} are of training crops; with what "
        f"follows from the others, {len(links.must)} pairs must share a cluster and "
        f"{len(links.cannot)} cannot"
    )
    is_guess = moved_to is not None and bool(links)
    if is_guess:
        line += f"; none is about files below {moved_to}, so crops were found by their paths alone"
    log.log(logging.INFO if links and not is_guess else logging.WARNING, "%s", line)
