"""What a layout or a table tells of crops, before names become numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

Box = tuple[float, float, float, float]

DISTRACTOR = "distractor"


@dataclass(frozen=True)
class Columns:
    """What is written about each of N crops, as text, before names become numbers.

    paths: relative to the data's root, or absolute. splits: None when all are "train".
    identities: None per crop without one. distractor: the identity that matches nobody.
    times: seconds, NaN where unknown. tracks: names, None per crop without one. boxes: left, top,
    width and height in pixels of the frame, for paths that end in "#" and a name.
    """

    paths: Sequence[str]
    splits: Sequence[str] | None = None
    cameras: Sequence[str] | None = None
    identities: Sequence[str | None] | None = None
    times: Sequence[float] | None = None
    distractor: str | None = None
    tracks: Sequence[str | None] | None = None
    boxes: Sequence[Box] | None = None


class Listed(NamedTuple):
    """One crop as a layout tells of it; `identity` may be `DISTRACTOR`."""

    path: str
    split: str
    camera: str
    identity: str | None
    time: float = math.nan
    track: str | None = None
    box: Box | None = None


def as_columns(rows: Sequence[Listed]) -> Columns:
    """The rows as columns; times, tracks and boxes are None where no row has any."""
    boxes = [row.box for row in rows if row.box is not None]
    return Columns(
        paths=[row.path for row in rows],
        splits=[row.split for row in rows],
        cameras=[row.camera for row in rows],
        identities=[row.identity for row in rows],
        times=None if all(math.isnan(row.time) for row in rows) else [row.time for row in rows],
        distractor=DISTRACTOR,
        tracks=None if all(row.track is None for row in rows) else [row.track for row in rows],
        boxes=boxes or None,
    )
