"""When clustering goes wrong: what is wrong, and an eps chosen from the data without labels."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import scipy.sparse

from resight.clustering.density import core_distances, dbscan
from resight.clustering.quality import label_free
from resight.clustering.silhouettes import feature_silhouette, silhouette
from resight.records import FloatArray, Graph, IntArray, PseudoLabels

log = logging.getLogger(__name__)

WORTH_TELLING = 0.5
MOSTLY_OUTLIERS = 0.95
GIANT_SHARE = 0.5
GIANT_RATIO = 5.0
GRID = tuple(round(0.025 * step, 3) for step in range(12, 33))
LOW_GRID = tuple(round(0.025 * step, 3) for step in range(2, 12))
SCORED = 8192
DOMINANT = 0.5
CANDIDATES = ((8, 4), (12, 6), (16, 6), (20, 6), (30, 6))


class Trouble(StrEnum):
    """The ways in which pseudo-labels are of no use for training."""

    NO_CLUSTER = "no cluster"
    ONE_CLUSTER = "one cluster"
    MOSTLY_OUTLIERS = "nearly all outliers"
    GIANT_CLUSTER = "one giant cluster"


@dataclass(frozen=True)
class Problem:
    """What is wrong with pseudo-labels, and by how much."""

    kind: Trouble
    detail: str

    def __str__(self) -> str:
        return f"{self.kind.value} ({self.detail})"


def diagnose(labels: PseudoLabels) -> Problem | None:
    """What keeps these labels from being of use, or None.

    No cluster; one cluster; more than 95% outliers; or a cluster with more than half of the
    clustered samples that is also more than 5 times as large as the others are on average (two
    individuals of 12 and 8 crops are no problem).
    """
    n, clusters, outliers = len(labels.labels), labels.n_clusters, labels.n_outliers
    if clusters == 0:
        return Problem(Trouble.NO_CLUSTER, f"all {n} samples are outliers")
    if clusters == 1:
        return Problem(Trouble.ONE_CLUSTER, f"{n - outliers} of {n} samples in it")
    if outliers > MOSTLY_OUTLIERS * n:
        return Problem(Trouble.MOSTLY_OUTLIERS, f"{outliers} of {n} samples, {clusters} clusters")
    largest, clustered = int(labels.sizes.max()), n - outliers
    others = (clustered - largest) / (clusters - 1)
    if largest > GIANT_SHARE * clustered and largest > GIANT_RATIO * others:
        return Problem(Trouble.GIANT_CLUSTER, f"{largest} of {n} samples, {clusters} clusters")
    return None


class SweepRow(NamedTuple):
    """What DBSCAN finds at one eps.

    score: the mean silhouette over all samples, outliers counted as 0, so that it falls both when
    clusters touch and when samples are left out: that of the features (`feature_silhouette`) when
    they are given, else that of the graph. across_cameras: share of the clusters that span
    cameras, NaN where those are not known. problem: as `diagnose` sees it.
    """

    eps: float
    clusters: int
    outliers: int
    largest_share: float
    score: float
    across_cameras: float
    problem: Problem | None


def sweep(
    graph: Graph,
    eps_values: Sequence[float] = GRID,
    *,
    min_samples: int = 4,
    features: FloatArray | None = None,
    cameras: IntArray | None = None,
) -> tuple[SweepRow, ...]:
    """What DBSCAN finds at each eps; the near pairs are computed once, at the largest.

    eps_values: at least one, each 0 <= eps < 1. features: (N, D) float32, L2-normalised.
    cameras: (N,) int64, looked at with features only. Without features, the silhouettes take one
    pass over the rows of the graph per eps.
    """
    judge = _Judge.of(graph, features, cameras)
    return _sweep(graph.near(max(eps_values)), eps_values, min_samples, judge)


@dataclass(frozen=True)
class Proposal:
    """An eps for one graph, and what it was chosen from.

    reach: the 10%, 50% and 90% quantile of each sample's distance to its `min_samples`-th nearest,
    itself included: at an eps above it, the sample is a core sample. 1 stands for out of sight.
    """

    eps: float
    score: float
    reason: str
    sweep: tuple[SweepRow, ...]
    reach: tuple[float, float, float]

    def explain(self) -> str:
        """The choice and the distances that it rests on, in two sentences."""
        low, middle, high = self.reach
        return (
            f"{self.reason}. Half of the crops have the neighbours that a cluster takes within "
            f"{middle:.2f}, a tenth within {low:.2f}, nine tenths within {high:.2f}"
        )


def propose_eps(
    graph: Graph,
    *,
    min_samples: int = 4,
    features: FloatArray | None = None,
    cameras: IntArray | None = None,
) -> Proposal | None:
    """An eps for DBSCAN on this graph, chosen without labels; None when none is of use.

    The eps of the highest score (see `SweepRow`) among 0.3, 0.325 … 0.8 whose labels have no
    problem; among 0.05 … 0.275 when all of those have one, as with many near-duplicates.

    features: (N, D) float32, L2-normalised, the ones that the graph was made of. They are faster,
    and needed with k1 < 20: the distances of a small k1 favour an eps that splits individuals.
    cameras: (N,) int64, looked at with features only, and when there are two or more.
    """
    near = graph.near(GRID[-1])
    judge = _Judge.of(graph, features, cameras)
    rows: tuple[SweepRow, ...] = ()
    for grid in (GRID, LOW_GRID):
        rows += _sweep(near, grid, min_samples, judge)
        usable = [row for row in rows if row.problem is None]
        if usable:
            best = max(usable, key=lambda row: row.score)
            reason = (
                f"of {len(rows)} values, eps {best.eps:g} separates the crops best: "
                f"{best.clusters} clusters, {best.outliers} outliers, silhouette {best.score:.2f}"
            )
            return Proposal(best.eps, best.score, reason, rows, _reach(near, min_samples))
    return None


@dataclass(frozen=True)
class GraphProposal:
    """k1, k2 and eps together; `tried` holds the proposal of each (k1, k2) that gave one."""

    k1: int
    k2: int
    eps: float
    tried: Mapping[tuple[int, int], Proposal]

    def explain(self) -> str:
        """The choice and the distances that it rests on, in two sentences."""
        scores = ", ".join(f"k1 {k1}: {found.score:.2f}" for (k1, _), found in self.tried.items())
        return f"best silhouettes {scores}; {self.tried[self.k1, self.k2].explain()}"


def propose_k1(
    features: FloatArray,
    build: Callable[[int, int], Graph],
    *,
    cameras: IntArray | None = None,
    candidates: Sequence[tuple[int, int]] = CANDIDATES,
    min_samples: int = 4,
) -> GraphProposal | None:
    """k1, k2 and eps chosen together without labels; None when no eps is of use with any k1.

    Lists of k1 = 30 reach across individuals who have fewer crops than that. The silhouettes of
    the features are what makes graphs of different k1 comparable; see `propose_eps`.

    features: (N, D) float32, L2-normalised. build: the graph of these features with (k1, k2).
    cameras: (N,) int64, or None. Candidates with more neighbours than there are samples are left
    out. Costs one graph and 21 silhouettes per candidate.
    """
    tried = {}
    for k1, k2 in candidates:
        if k1 <= len(features):
            found = propose_eps(
                build(k1, k2), min_samples=min_samples, features=features, cameras=cameras
            )
            if found is not None:
                tried[k1, k2] = found
    if not tried:
        return None
    k1, k2 = max(tried, key=lambda pair: tried[pair].score)
    return GraphProposal(k1, k2, tried[k1, k2].eps, tried)


def _sweep(
    near: scipy.sparse.csr_array,
    eps_values: Sequence[float],
    min_samples: int,
    judge: _Judge,
) -> tuple[SweepRow, ...]:
    rows: list[SweepRow] = []
    started = time.perf_counter()
    for eps in eps_values:
        if len(rows) == 1 and time.perf_counter() - started > WORTH_TELLING:
            seconds = time.perf_counter() - started
            log.info("sweep: %d values of eps, about %.0f s each", len(eps_values), seconds)
        found = dbscan(_within(near, eps), min_samples=min_samples)
        rows.append(
            SweepRow(
                eps=eps,
                clusters=found.n_clusters,
                outliers=found.n_outliers,
                largest_share=float(found.sizes.max(initial=0)) / max(1, near.shape[0]),
                score=judge.score(found.labels),
                across_cameras=judge.across_cameras(found),
                problem=diagnose(found),
            )
        )
    return tuple(rows)


def _within(near: scipy.sparse.csr_array, eps: float) -> scipy.sparse.csr_array:
    kept = near.data <= np.float32(eps)
    before = np.concatenate(([0], np.cumsum(kept)))
    return scipy.sparse.csr_array(
        (near.data[kept], near.indices[kept], before[near.indptr]), shape=near.shape
    )


@dataclass(frozen=True, eq=False)
class _Judge:
    """What a sweep looks at beside the labels; silhouettes of features are those of a sample."""

    graph: Graph
    features: FloatArray | None
    cameras: IntArray | None
    sample: IntArray

    @classmethod
    def of(cls, graph: Graph, features: FloatArray | None, cameras: IntArray | None) -> _Judge:
        several = cameras if cameras is not None and len(np.unique(cameras)) > 1 else None
        n = len(graph)
        sample = np.unique(np.linspace(0, max(0, n - 1), min(n, SCORED)).astype(np.int64))
        return cls(graph, features, several, sample)

    def score(self, labels: IntArray) -> float:
        if self.features is None:
            values = silhouette(self.graph, labels)
        else:
            values = feature_silhouette(
                self.features, labels, cameras=self.cameras, wanted=self.sample
            )
        return float(np.nansum(values, dtype=np.float64)) / max(1, len(values))

    def across_cameras(self, labels: PseudoLabels) -> float:
        if self.cameras is None:
            return float("nan")
        return label_free(labels.labels, cameras=self.cameras)["across_cameras"]


@dataclass(frozen=True)
class CameraMix:
    """How much cameras decide who is whose neighbour.

    across: share of all nearest neighbours that another camera saw. expected: the same, were
    neighbours blind to cameras.
    """

    across: float
    expected: float

    @property
    def cameras_dominate(self) -> bool:
        """Whether fewer than half as many neighbours as expected are from other cameras."""
        return self.across < DOMINANT * self.expected

    def explain(self, *, centred: bool = False) -> str:
        """The shares and what follows, in a sentence or two.

        centred: whether the features are centred per camera already.
        """
        told = (
            f"{self.across:.0%} of the nearest neighbours are from another camera, "
            f"{self.expected:.0%} would be if cameras made no difference"
        )
        if self.cameras_dominate and centred:
            told += ". Cameras dominate although the features are centred: balance the neighbours "
            told += "over the cameras (graph.balance_cameras)"
        elif self.cameras_dominate:
            told += ". Cameras dominate: centre the features per camera (graph.centre_cameras)"
        return told


def camera_mix(graph: Graph, cameras: IntArray) -> CameraMix:
    """Whether the graph's neighbours cross cameras (N,) as often as they would by chance."""
    links = graph.nearest().tocoo()
    across = cameras[links.row] != cameras[links.col]
    sizes = np.bincount(np.unique(cameras, return_inverse=True)[1])
    shares = sizes / max(1, len(cameras))
    return CameraMix(float(across.mean()) if len(across) else 0.0, float(1 - (shares**2).sum()))


def _reach(near: scipy.sparse.csr_array, min_samples: int) -> tuple[float, float, float]:
    low, middle, high = np.quantile(core_distances(near, min_samples), (0.1, 0.5, 0.9))
    return float(low), float(middle), float(high)
