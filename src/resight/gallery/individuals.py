"""Who is who in a gallery: the run's clusters, as people's decisions changed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from resight.clustering.constraints import Links, among, constrain
from resight.data import feedback
from resight.gallery.clusters import FILE as CLUSTERS
from resight.gallery.clusters import read_clusters
from resight.gallery.gallery import Gallery
from resight.gallery.records import NO_ROW
from resight.records import OUTLIER, BoolArray, IntArray

Named = tuple[str, str]
"""Source and path of a crop."""


@dataclass(frozen=True, eq=False)
class Individuals:
    """N crops that a run clustered or that people decided about.

    crops: source and path of each. labels: (N,) int64 the cluster of each after decisions, -1 for
    none; a cluster keeps its number as far as it keeps its members. links: the pairs that people
    said to be the same, and to be different, as rows of `crops`.
    """

    crops: tuple[Named, ...]
    labels: IntArray
    links: Links

    @classmethod
    def of(cls, gallery: Gallery) -> Individuals:
        """Those of a gallery, read again only after clusters or decisions changed.

        Raises GalleryError and DataError for damaged files, Contradiction for decisions that cannot
        all be right.
        """
        return gallery.remember(cls, (feedback.NAME, CLUSTERS), _read)

    @cached_property
    def rows(self) -> dict[Named, int]:
        """The row of each crop."""
        return {crop: row for row, crop in enumerate(self.crops)}

    @cached_property
    def sizes(self) -> dict[int, int]:
        """How many crops each cluster has, by label, ascending."""
        labels, counts = np.unique(self.labels[self.labels != OUTLIER], return_counts=True)
        return dict(zip(labels.tolist(), counts.tolist(), strict=True))

    def label(self, crop: Named) -> int | None:
        """The cluster of a crop, None without one."""
        row = self.rows.get(crop)
        return None if row is None or self.labels[row] == OUTLIER else int(self.labels[row])

    def members(self, label: int) -> tuple[Named, ...]:
        """The crops of a cluster, none for a label that does not exist."""
        start, end = np.searchsorted(self.labels[self._by_label], (label, label + 1))
        return self._named(np.sort(self._by_label[start:end]))

    def confirmed(self, crop: Named) -> tuple[Named, ...]:
        """The crops, this one among them, that people said to be the same, also through others."""
        row = self.rows.get(crop)
        if row is None:
            return (crop,)
        return self._named(np.flatnonzero(self._same == self._same[row]))

    def rejected(self, crop: Named) -> tuple[Named, ...]:
        """The crops that people said to be different from this one, also through others."""
        row = self.rows.get(crop)
        if row is None:
            return ()
        ends = self._same[self.links.cannot]  # (C, 2)
        others = np.unique(ends[:, ::-1][ends == self._same[row]])
        return self._named(np.flatnonzero(np.isin(self._same, others)))

    @cached_property
    def _by_label(self) -> IntArray:
        return np.argsort(self.labels, kind="stable")

    @cached_property
    def _same(self) -> IntArray:
        """(N,) which crops people's decisions connect."""
        must, n = self.links.must, len(self.crops)
        graph = csr_array((np.ones(len(must), np.int8), (must[:, 0], must[:, 1])), shape=(n, n))
        components: IntArray = connected_components(graph, directed=False)[1]
        return components

    def _named(self, rows: IntArray) -> tuple[Named, ...]:
        return tuple(self.crops[row] for row in rows)


def find_ids(gallery: Gallery, crops: Sequence[Named]) -> IntArray:
    """(N,) the ids of these crops, -1 for those that are not in the gallery."""
    ids = np.full(len(crops), NO_ROW)
    sources = np.array([source for source, _ in crops], dtype=object)
    for source in dict.fromkeys(sources.tolist()):
        rows = np.flatnonzero(sources == source)
        ids[rows] = gallery.store.find(source, tuple(crops[row][1] for row in rows.tolist()))
    return ids


def _read(gallery: Gallery) -> Individuals:
    clusters = read_clusters(gallery.path)
    pairs = feedback.pairs(feedback.read(gallery.path))
    decided = [(crop.source, crop.path) for crop in pairs.crops]
    crops = tuple(dict.fromkeys([*clusters.crops, *decided]))
    labels = np.full(len(crops), OUTLIER)
    labels[: len(clusters.labels)] = clusters.labels
    row = {crop: number for number, crop in enumerate(crops)}
    numbers = np.array([row[crop] for crop in decided], dtype=np.int64)
    links = Links(numbers[pairs.must], numbers[pairs.cannot])
    return Individuals(crops, _constrained(gallery, crops, labels, links), links)


def _constrained(
    gallery: Gallery, crops: Sequence[Named], labels: IntArray, links: Links
) -> IntArray:
    """The labels after decisions; only clusters of crops that these name are looked at."""
    if not links:
        return labels
    named = np.unique(np.concatenate(links))
    reached = np.isin(labels, np.setdiff1d(labels[named], [OUTLIER]))
    reached[named] = True
    rows = np.flatnonzero(reached)
    ids = find_ids(gallery, [crops[row] for row in rows.tolist()])
    rows, ids = rows[ids != NO_ROW], ids[ids != NO_ROW]
    number = np.full(len(labels), OUTLIER)
    number[rows] = np.arange(len(rows))
    left = among(links, number)
    changed = constrain(labels[rows], gallery.store.vectors(ids), left.must, left.cannot)
    result = labels.copy()
    result[rows] = _renamed(labels[rows], changed, labels.max(initial=OUTLIER) + 1)
    return result


def _renamed(before: IntArray, after: IntArray, free: int) -> IntArray:
    """The clusters of `after` under the labels that most of their members had `before`.

    Large clusters choose first; one whose label is taken gets the first free one, from `free` on.
    """
    result = np.full(len(after), OUTLIER)
    labels, counts = np.unique(after[after != OUTLIER], return_counts=True)
    taken: set[int] = set()
    for label in labels[np.argsort(-counts, kind="stable")]:
        members: BoolArray = after == label
        name = next(iter(_by_frequency(before[members].tolist(), taken)), free)
        free += name == free
        taken.add(name)
        result[members] = name
    return result


def _by_frequency(labels: Iterable[int], taken: set[int]) -> list[int]:
    counts = Counter(label for label in labels if label != OUTLIER and label not in taken)
    return [label for label, _ in counts.most_common()]
