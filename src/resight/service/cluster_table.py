"""The clusters of a gallery as they are listed: sizes, cameras, times and covers."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from resight.gallery import Gallery, Individuals
from resight.gallery.individuals import find_ids
from resight.gallery.records import NO_ROW
from resight.records import OUTLIER, IntArray
from resight.service import answers

COVER = 4

Order = Literal["size", "cameras"]
Key = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ClusterTable:
    """N crops that are in the gallery and in a cluster, cluster by cluster, by id in each.

    known: what they were read from. newest: the largest id in the gallery then. labels: (C,) of the
    clusters. starts: (C + 1,) where each begins. ids, cameras (numbers of `names`), times (NaN
    unknown): (N,) of the crops.
    """

    known: Individuals
    newest: int
    labels: IntArray
    starts: IntArray
    ids: IntArray
    cameras: IntArray
    names: tuple[str, ...]
    times: npt.NDArray[np.float64]

    @classmethod
    def read(cls, gallery: Gallery) -> ClusterTable:
        """The clusters of a gallery as they are now."""
        newest = int(gallery.store.select().max(initial=NO_ROW))
        known = Individuals.of(gallery)
        clustered = np.flatnonzero(known.labels != OUTLIER)
        ids = find_ids(gallery, [known.crops[row] for row in clustered.tolist()])
        label_of = dict(zip(ids.tolist(), known.labels[clustered].tolist(), strict=True))
        rows = gallery.present(np.unique(ids[ids >= 0]))
        of = np.array([label_of[crop_id] for crop_id in rows.ids.tolist()], dtype=np.int64)
        order = np.argsort(of, kind="stable")
        rows, of = rows.select(order), of[order]
        labels, starts = np.unique(of, return_index=True)
        names, cameras = np.unique(np.array(rows.cameras, dtype=object), return_inverse=True)
        return cls(
            known,
            newest,
            labels,
            np.append(starts, len(of)),
            rows.ids,
            cameras.astype(np.int64),
            tuple(names.tolist()),
            rows.times,
        )

    def is_of(self, gallery: Gallery) -> bool:
        """Whether these are its clusters still: a crop that goes is taken out of what is known."""
        if self.known is not Individuals.of(gallery):
            return False
        return not len(gallery.store.select(after=self.newest, limit=1))

    def page(self, order: Order, after: str, limit: int) -> answers.Clusters:
        """Clusters in this order, those after a cursor; raises ValueError for what is no cursor."""
        keys, places = self._ordered(order)
        start = bisect_right(keys, _key(after, len(keys[0]) if keys else 0)) if after else 0
        end = min(start + limit, len(keys))
        shown = [self._cluster(place) for place in places[start:end]]
        more = "_".join(map(str, keys[end - 1])) if end < len(keys) else None
        return answers.Clusters(clusters=shown, next=more)

    def _ordered(self, order: Order) -> tuple[list[Key], list[int]]:
        """Keys in ascending order, and the places of their clusters."""
        sizes = np.diff(self.starts)
        pairs = np.stack([np.repeat(self.labels, sizes), self.cameras], axis=1)
        _, seen_by = np.unique(np.unique(pairs, axis=0)[:, 0], return_counts=True)
        columns = [-sizes, self.labels] if order == "size" else [-seen_by, -sizes, self.labels]
        places = np.lexsort(columns[::-1])
        table = np.stack(columns, axis=1)[places]
        return [tuple(key) for key in table.tolist()], places.tolist()

    def _cluster(self, place: int) -> answers.Cluster:
        part = slice(self.starts[place], self.starts[place + 1])
        ids, cameras, times = self.ids[part], self.cameras[part], self.times[part]
        numbers, firsts, counts = np.unique(cameras, return_index=True, return_counts=True)
        others = np.setdiff1d(np.arange(len(ids)), firsts)
        told = times[~np.isnan(times)]
        return answers.Cluster(
            label=int(self.labels[place]),
            size=len(ids),
            cameras={
                self.names[n]: c for n, c in zip(numbers.tolist(), counts.tolist(), strict=True)
            },
            cover=ids[np.append(firsts, others)[:COVER]].tolist(),
            first=float(told.min()) if len(told) else None,
            last=float(told.max()) if len(told) else None,
        )


def _key(cursor: str, length: int) -> Key:
    key = tuple(int(part) for part in cursor.split("_"))
    if len(key) != length and length:
        raise ValueError(f"{cursor!r} has {len(key)} parts, expected {length}")
    return key
