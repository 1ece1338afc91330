"""A seeded selection of clusters to look at: large, middle, small, and outliers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from resight.records import OUTLIER, IntArray
from resight.reporting.run_files import EpochLabels
from resight.reporting.thumbnails import Box

OF_EACH = 4
CROPS = 12
OUTLIERS = 24


@dataclass(frozen=True)
class ClusterRow:
    """Some crops of one cluster; cameras: how many of all its crops each camera took.

    boxes: where each crop is cut from its frame, None for files of their own.
    """

    label: int
    size: int
    paths: tuple[str, ...]
    boxes: tuple[Box | None, ...]
    cameras: tuple[tuple[str, int], ...]

    @property
    def n_hidden(self) -> int:
        """Members that are not shown."""
        return self.size - len(self.paths)


@dataclass(frozen=True)
class ClusterSheet:
    """Clusters of similar size."""

    title: str
    rows: tuple[ClusterRow, ...]


def cluster_sheets(found: EpochLabels, *, seed: int) -> tuple[ClusterSheet, ...]:
    """Up to 4 clusters of each third by size, then outliers; the same for the same seed."""
    rng = np.random.default_rng(seed)
    members = _members(found.labels)
    order = sorted((label for label in members if label != OUTLIER), key=lambda k: -len(members[k]))
    sheets = []
    for name, third in zip(("Large", "Middle", "Small"), np.array_split(order, 3), strict=True):
        if not len(third):
            continue
        drawn = np.sort(rng.choice(len(third), size=min(OF_EACH, len(third)), replace=False))
        rows = [_row(found, int(third[i]), members[int(third[i])], CROPS, rng) for i in drawn]
        least, most = (len(members[int(third[i])]) for i in (-1, 0))
        sizes = f"{most} crops" if least == most else f"{least}–{most} crops"
        sheets.append(ClusterSheet(f"{name} clusters ({sizes})", tuple(rows)))
    if OUTLIER in members:
        row = _row(found, OUTLIER, members[OUTLIER], OUTLIERS, rng)
        sheets.append(ClusterSheet("Outliers (in no cluster)", (row,)))
    return tuple(sheets)


def _members(labels: IntArray) -> dict[int, IntArray]:
    """Rows of each label, ascending."""
    if not len(labels):
        return {}
    order = np.argsort(labels, kind="stable")
    values, starts = np.unique(labels[order], return_index=True)
    groups = np.split(order, starts[1:])
    return {int(value): group for value, group in zip(values, groups, strict=True)}


def _row(
    found: EpochLabels, label: int, members: IntArray, shown: int, rng: np.random.Generator
) -> ClusterRow:
    drawn = np.sort(rng.choice(members, size=min(shown, len(members)), replace=False))
    spread = Counter(found.cameras(members)).most_common()
    paths, boxes = tuple(found.paths(drawn)), tuple(found.boxes(drawn))
    return ClusterRow(label, len(members), paths, boxes, tuple(spread))
