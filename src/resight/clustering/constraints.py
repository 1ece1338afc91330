"""Clusters that obey what people know: pairs that must share a cluster, pairs that cannot.

The clusterer proposes, and only the clusters that contradict a pair are changed: must-links join
clusters, cannot-links cut them. A seed is what is certain: crops that are linked to each other, or
a single crop that is named by a cannot-link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from resight.clustering.numbering import by_first_member
from resight.errors import Contradiction
from resight.records import OUTLIER, BoolArray, FloatArray, IntArray

BLOCK = 4096
SHOWN = 12


class Links(NamedTuple):
    """Pairs of samples: must (M, 2) that share a cluster, cannot (C, 2) that do not; int64."""

    must: IntArray
    cannot: IntArray

    def __bool__(self) -> bool:
        """Whether there is any pair."""
        return bool(len(self.must) or len(self.cannot))


def constrain(labels: IntArray, vectors: FloatArray, must: IntArray, cannot: IntArray) -> IntArray:
    """The clusters, changed where they contradict a pair, and only there.

    Afterwards every must pair shares a label >= 0 and no cannot pair does:

    1. Clusters and outliers that must-links connect become one cluster.
    2. Where that, or the clusterer, puts a cannot pair into one cluster, the seeds in it are shared
       out to parts, those with the most cannot-links first: each joins the part with the highest
       mean cosine among those that hold none it is forbidden to be with, and a crop of a cluster
       that it has crops in, or opens a new one. Of a cluster whose seeds went to several parts,
       the other members follow the seed with the highest mean cosine.

    Outliers stay outliers unless a must pair names them. Equal similarities are decided for the
    seed or part that comes first. Labels that contradict no pair are returned as they are, others
    are numbered anew by their first members.

    labels: (N,) int64, -1 for outliers. vectors: (N, D) rows of length 1. must: (M, 2), cannot:
    (C, 2) rows. Raises Contradiction when must-links connect a cannot pair.
    """
    n = len(labels)
    if vectors.ndim != 2 or len(vectors) != n:
        raise ValueError(f"vectors has shape {vectors.shape}, expected ({n}, D)")
    for name, array in (("must", must), ("cannot", cannot)):
        _check_pairs(name, array, n)
    check(must, cannot)
    if not any(mask.any() for mask in violated(labels, must, cannot)):
        return labels
    return _constrain(labels, vectors, must, cannot)


def violated(labels: IntArray, must: IntArray, cannot: IntArray) -> tuple[BoolArray, BoolArray]:
    """Which must pairs (M,) share no cluster, and which cannot pairs (C,) share one."""
    joined, apart = labels[must], labels[cannot]
    return (
        (joined[:, 0] != joined[:, 1]) | (joined[:, 0] < 0),
        (apart[:, 0] == apart[:, 1]) & (apart[:, 0] >= 0),
    )


def check(must: IntArray, cannot: IntArray, names: Sequence[str] | None = None) -> None:
    """Raise Contradiction, naming the pair and what links it, when must-links connect a cannot one.

    must: (M, 2), cannot: (C, 2) int64. names: what to call each sample, by default its number.
    """
    samples, links = _numbered(must, cannot)
    component = _components(links.must, len(samples))
    ends = component[links.cannot]
    bad = np.flatnonzero(ends[:, 0] == ends[:, 1])
    if not len(bad):
        return
    chain = samples[_chain(links.must, len(samples), *links.cannot[bad[0]])]
    told = [repr(names[i]) if names is not None else str(i) for i in chain]
    shown = told if len(told) <= SHOWN else [*told[: SHOWN - 2], "…", told[-1]]
    more = f" (and {len(bad) - 1} more like these)" if len(bad) > 1 else ""
    raise Contradiction(
        f"{told[0]} and {told[-1]} are said to be different, but the same by other decisions "
        f"({' = '.join(shown)}): take one of these decisions back{more}"
    )


def among(links: Links, number: IntArray) -> Links:
    """What the pairs say, directly or through others, of some of the samples.

    A sample that is left out hands its pairs on to the first one that is linked to it.

    number: (N,) int64 the new number of each sample, -1 for those left out.
    """
    component = _components(links.must, len(number))
    kept = np.flatnonzero(number >= 0)
    found, first = np.unique(component[kept], return_index=True)
    stand_in = np.full(component.max(initial=-1) + 1, OUTLIER, np.int64)
    stand_in[found] = number[kept[first]]
    renumbered = np.where(number >= 0, number, stand_in[component])
    return Links(*(_distinct(renumbered[pairs]) for pairs in links))


def _check_pairs(name: str, pairs: IntArray, n: int) -> None:
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f"{name} has shape {pairs.shape}, expected (M, 2)")
    if pairs.size and not 0 <= pairs.min() <= pairs.max() < n:
        raise ValueError(f"{name} names rows {pairs.min()} … {pairs.max()}, expected 0 … {n - 1}")
    if (pairs[:, 0] == pairs[:, 1]).any():
        raise ValueError(f"{name} pairs a row with itself")


def _numbered(must: IntArray, cannot: IntArray) -> tuple[IntArray, Links]:
    """The samples that are named, ascending, and the pairs as numbers of these."""
    samples, number = np.unique(np.concatenate((must, cannot)), return_inverse=True)
    number = number.reshape(-1, 2)
    return samples, Links(number[: len(must)], number[len(must) :])


def _distinct(pairs: IntArray) -> IntArray:
    """The pairs of two different samples, each once, without those that lack one."""
    pairs = np.sort(pairs, axis=1)
    return np.unique(pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] < pairs[:, 1])], axis=0)


def _graph(pairs: IntArray, n: int) -> csr_array:
    return csr_array((np.ones(len(pairs), np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(n, n))


def _components(pairs: IntArray, n: int) -> IntArray:
    """(n,) which samples the pairs connect, numbered by first members."""
    return by_first_member(connected_components(_graph(pairs, n), directed=False)[1])


def _chain(pairs: IntArray, n: int, start: int, end: int) -> IntArray:
    """A shortest way from one sample to another over pairs that connect them."""
    _, before = breadth_first_order(_graph(pairs, n), start, directed=False)
    way = [end]
    while way[-1] != start:
        way.append(before[way[-1]])
    return np.array(way[::-1])


@dataclass(frozen=True, eq=False)
class _Seeds:
    """S seeds. rows: (R,) in the order of their seeds; starts: (S + 1,) where each begins.

    clusters: (R,) of the rows, -1 for outliers. forbidden: (F, 2) seeds that cannot be together.
    """

    rows: IntArray
    starts: IntArray
    clusters: IntArray
    forbidden: IntArray

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def of_rows(self) -> IntArray:
        """(R,) the seed of each row."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def homes(self) -> IntArray:
        """(H, 2) each cluster with a seed that has rows in it, ascending."""
        inside = self.clusters >= 0
        found: IntArray = np.unique(np.column_stack((self.clusters, self.of_rows))[inside], axis=0)
        return found

    def total(self, seed: int, vectors: FloatArray) -> tuple[npt.NDArray[np.float64], int]:
        """(D,) the sum of its vectors, and how many they are."""
        rows = self.rows[self.starts[seed] : self.starts[seed + 1]]
        return vectors[rows].sum(axis=0, dtype=np.float64), len(rows)


def _constrain(labels: IntArray, vectors: FloatArray, must: IntArray, cannot: IntArray) -> IntArray:
    seeds = _seeds(labels, must, cannot)
    homes = seeds.homes()
    part = _parts(seeds, homes, vectors) + labels.max(initial=OUTLIER) + 1  # (S,) new labels
    number = np.arange(labels.max(initial=OUTLIER) + 2)
    number[-1] = OUTLIER
    number[homes[:, 0]] = part[homes[:, 1]]
    changed = number[labels]
    several = part[homes[:, 1]] != number[homes[:, 0]]
    for cluster, rows in _members(labels, np.unique(homes[several, 0])):
        start, end = np.searchsorted(homes[:, 0], (cluster, cluster + 1))
        present = homes[start:end, 1]
        changed[rows] = part[present[_nearest(rows, present, seeds, vectors)]]
    changed[seeds.rows] = part[seeds.of_rows]
    return by_first_member(changed)


def _seeds(labels: IntArray, must: IntArray, cannot: IntArray) -> _Seeds:
    """What is certain. An outlier that no must pair names stays one, and is no seed."""
    rows, links = _numbered(must, cannot)
    component = _components(links.must, len(rows))
    takes_part = (labels[rows] >= 0) | (np.bincount(component)[component] > 1)
    number = np.full(len(rows), OUTLIER, np.int64)
    number[takes_part] = by_first_member(component[takes_part])
    order = np.argsort(number, kind="stable")[np.count_nonzero(~takes_part) :]
    starts = np.append(0, np.cumsum(np.bincount(number[order])))
    return _Seeds(rows[order], starts, labels[rows[order]], _distinct(number[links.cannot]))


def _parts(seeds: _Seeds, homes: IntArray, vectors: FloatArray) -> IntArray:
    """(S,) which seeds will be together: those that hang together, less what is forbidden."""
    n = len(seeds)
    touched, place = np.unique(homes[:, 0], return_inverse=True)
    edges = np.column_stack((homes[:, 1], n + place))
    group = _components(edges, n + len(touched))[:n]
    ends = group[seeds.forbidden]
    conflicts = ends[:, 0] == ends[:, 1]
    if conflicts.any():
        torn = np.isin(group, ends[conflicts, 0])
        shared = _shared_out(torn, seeds.forbidden[conflicts], seeds, homes, vectors)
        group[torn] = group.max() + 1 + shared
    return group


def _shared_out(
    torn: BoolArray, forbidden: IntArray, seeds: _Seeds, homes: IntArray, vectors: FloatArray
) -> IntArray:
    """(T,) the part of each seed that is `torn` (S,), 0, 1, …: greedy colouring by similarity."""
    enemies, clusters = _neighbours(forbidden, forbidden[:, ::-1]), _neighbours(homes[:, ::-1])
    chosen = sorted(np.flatnonzero(torn).tolist(), key=lambda seed: -len(enemies.get(seed, ())))
    part: dict[int, int] = {}
    sums: list[npt.NDArray[np.float64]] = []
    counts: list[int] = []
    parts_in: dict[int, set[int]] = {}
    for seed in chosen:
        total, count = seeds.total(seed, vectors)
        near = {found for cluster in clusters[seed] for found in parts_in.get(cluster, ())}
        allowed = sorted(near - {part.get(enemy, OUTLIER) for enemy in enemies.get(seed, ())})
        if allowed:
            similar = [sums[found] @ total / counts[found] for found in allowed]
            joined = allowed[int(np.argmax(similar))]
            sums[joined] += total
            counts[joined] += count
        else:
            joined = len(sums)
            sums.append(total)
            counts.append(count)
        part[seed] = joined
        for cluster in clusters[seed]:
            parts_in.setdefault(cluster, set()).add(joined)
    return np.array([part[seed] for seed in sorted(chosen)], dtype=np.int64)


def _neighbours(*pairs: IntArray) -> dict[int, set[int]]:
    """For each first of the pairs (M, 2) the seconds."""
    found: dict[int, set[int]] = {}
    for one, other in np.concatenate(pairs).tolist():
        found.setdefault(one, set()).add(other)
    return found


def _members(labels: IntArray, clusters: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Each of these clusters, ascending, with its rows."""
    chosen = np.zeros(labels.max(initial=OUTLIER) + 2, np.bool_)
    chosen[clusters] = True
    rows = np.flatnonzero(chosen[labels])
    rows = rows[np.argsort(labels[rows], kind="stable")]
    ends = np.searchsorted(labels[rows], clusters, side="right")
    starts = np.append(0, ends)
    for cluster, start, end in zip(clusters.tolist(), starts[:-1], ends, strict=True):
        yield cluster, rows[start:end]


def _nearest(rows: IntArray, present: IntArray, seeds: _Seeds, vectors: FloatArray) -> IntArray:
    """(M,) for each row the position in `present` of the seed with the highest mean cosine."""
    totals = [seeds.total(seed, vectors) for seed in present.tolist()]
    sums = np.array([total for total, _ in totals], np.float32)
    counts = np.array([count for _, count in totals], np.float32)
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    return np.concatenate([np.argmax(vectors[b] @ sums.T / counts, axis=1) for b in blocks])
