"""The values that the parts of resight hand to each other: frozen, and they validate themselves.

Folders of the same level do not import one another; they meet here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import scipy.sparse
    import torch

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Result = TypeVar("Result")

OUTLIER = -1
JUNK = -1
SPLITS = ("train", "query", "gallery")
GLOBAL = "global"


def _check_rows(name: str, array: npt.NDArray[np.generic] | None, n: int) -> None:
    if array is not None and array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}, expected ({n},)")


@dataclass(frozen=True, eq=False)
class Crops:
    """N image files, each showing one individual, with what is known about them.

    paths: file names relative to `root` (POSIX separators), in a fixed, sorted order.
    splits: (N,) each of "train", "query", "gallery".
    cameras: (N,) int64 index into `camera_names`, or None when nothing is known of cameras.
    identities: (N,) int64, or None without labels. -1 is junk or unlabelled: neither right nor
        wrong; 0 is a distractor (wrong for every query); others index `identity_names` - 1.
    times: (N,) float64 seconds, NaN where unknown, or None.
    tracks: (N,) int64 index of the track (tracklet of a video) that a crop belongs to, -1 unknown,
        or None.
    boxes: (N, 4) float32 left, top, width and height in pixels of the frame that the crop is cut
        from, or None for crops that are files of their own. Several crops may share a frame: a
        path is then the frame's, "#" and what tells them apart, as in "MOT17-02/img1/000001.jpg#7".
    """

    root: Path
    paths: tuple[str, ...]
    splits: npt.NDArray[np.str_]
    cameras: IntArray | None = None
    identities: IntArray | None = None
    times: npt.NDArray[np.float64] | None = None
    camera_names: tuple[str, ...] = ()
    identity_names: tuple[str, ...] = ()
    tracks: IntArray | None = None
    boxes: FloatArray | None = None

    def __post_init__(self) -> None:
        for name in ("splits", "cameras", "identities", "times", "tracks"):
            _check_rows(name, getattr(self, name), len(self.paths))
        if self.boxes is not None and self.boxes.shape != (len(self), 4):
            raise ValueError(f"boxes has shape {self.boxes.shape}, expected ({len(self)}, 4)")
        unknown = set(np.unique(self.splits)) - set(SPLITS)
        if unknown:
            raise ValueError(f"splits holds {sorted(unknown)}, expected only {SPLITS}")

    def __len__(self) -> int:
        return len(self.paths)

    def file(self, index: int) -> Path:
        """The full path of the image that crop `index` is, or is cut from."""
        path = self.paths[index]
        return self.root / (path if self.boxes is None else path.rpartition("#")[0] or path)

    def select(self, rows: IntArray | BoolArray) -> Crops:
        """The crops of these rows, in the order given: a mask (N,) or indices (M,)."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows

        return replace(
            self,
            paths=tuple(self.paths[i] for i in rows),
            splits=self.splits[rows],
            cameras=None if self.cameras is None else self.cameras[rows],
            identities=None if self.identities is None else self.identities[rows],
            times=None if self.times is None else self.times[rows],
            tracks=None if self.tracks is None else self.tracks[rows],
            boxes=None if self.boxes is None else self.boxes[rows],
        )


@dataclass(frozen=True, eq=False)
class Features:
    """L2-normalised embeddings of N crops, one (N, D) float32 array per view.

    Most encoders have the single view "global"; part-based ones add theirs. `crops`, when given,
    tells what is known of the rows: cameras for the graph, identities for reporting alone.
    `colour`, when given, are (N, E) colour histograms, rows of length 1, for graphs that use them.
    """

    views: Mapping[str, FloatArray]
    crops: Crops | None = None
    colour: FloatArray | None = None

    def __post_init__(self) -> None:
        if GLOBAL not in self.views:
            raise ValueError(f"views has {sorted(self.views)}, expected {GLOBAL!r} among them")
        shapes = {name: view.shape for name, view in self.views.items()}
        if any(len(s) != 2 or s[0] != len(self) for s in shapes.values()):
            raise ValueError(f"views have shapes {shapes}, expected (N, D) with one N")
        for name, other in (("crops", self.crops), ("colour histograms", self.colour)):
            if other is not None and len(other) != len(self):
                raise ValueError(f"{len(other)} {name} for {len(self)} rows of features")

    def __len__(self) -> int:
        return len(self.views[GLOBAL])

    @property
    def vectors(self) -> FloatArray:
        """(N, D) of the global view."""
        return self.views[GLOBAL]

    def select(self, rows: IntArray | BoolArray) -> Features:
        """The features of these rows: a mask (N,) or indices (M,)."""
        crops = None if self.crops is None else self.crops.select(rows)
        colour = None if self.colour is None else self.colour[rows]
        return Features({name: view[rows] for name, view in self.views.items()}, crops, colour)

    def only(self, view: str) -> Features:
        """The same rows with this view alone, as their global one."""
        return Features({GLOBAL: self.views[view]}, self.crops, self.colour)


class Distances(NamedTuple):
    """Some rows of a graph: the distances of M samples to all that share support with them.

    samples: (M,) int64. indptr: (M + 1,) int64. indices: (nnz,) int32 samples, in no order.
    values: (nnz,) float32 distances; each row holds its sample itself, at exactly 0. What a row
    does not hold is at distance 1.
    """

    samples: IntArray
    indptr: IntArray
    indices: npt.NDArray[np.int32]
    values: FloatArray


class Graph(Protocol):
    """Distances in [0, 1] between N crops, symmetric, zero on the diagonal, never a dense table.

    Pairs that share no support are at distance 1.
    """

    def __len__(self) -> int:
        """N."""
        ...

    def near(self, cut: float) -> scipy.sparse.csr_array:
        """All pairs with distance <= `cut` (< 1): (N, N) float32, sorted rows, symmetric.

        The zeros of the diagonal are stored. A cut of 1 gives all pairs that share support.
        """
        ...

    def rows(self, samples: IntArray) -> Distances:
        """The distances of these samples to all that share support with them."""
        ...

    def reduce(self, kernel: Callable[[Distances], Result]) -> list[Result]:
        """`kernel` of all rows, in blocks in their order; the blocks are made on all cores.

        kernel: runs in several threads at once, and should release the interpreter's lock.
        """
        ...

    def select(self, samples: IntArray) -> Graph:
        """The same distances among these samples alone."""
        ...

    def nearest(self) -> scipy.sparse.csr_array:
        """(N, N) float32 cosines to the nearest neighbours that the graph was made of.

        k1 entries a row or more, the sample itself not among them. Of views, the first one's.
        """
        ...


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """What a clusterer found: labels 0 … C-1 without gaps, -1 for outliers.

    labels: (N,) int64. core: (N,) bool, True for core samples, or None.
    confidence: (N,) float32 per sample, or None when all count alike.
    """

    labels: IntArray
    core: BoolArray | None = None
    confidence: FloatArray | None = None

    def __post_init__(self) -> None:
        n = len(self.labels)
        _check_rows("core", self.core, n)
        _check_rows("confidence", self.confidence, n)
        found = np.unique(self.labels[self.labels >= 0])
        if n and (self.labels.min() < OUTLIER or not np.array_equal(found, np.arange(len(found)))):
            raise ValueError("labels must be -1 or 0 … C-1 without gaps")

    @property
    def n_clusters(self) -> int:
        """C."""
        return int(self.labels.max(initial=-1)) + 1

    @property
    def n_outliers(self) -> int:
        """How many samples belong to no cluster."""
        return int(np.count_nonzero(self.labels == OUTLIER))

    @property
    def sizes(self) -> IntArray:
        """(C,) number of members of each cluster."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.n_clusters)

    def without_small(self, min_size: int) -> PseudoLabels:
        """Clusters of fewer than `min_size` members become outliers; the rest are renumbered."""
        keep = self.sizes >= min_size
        number = np.append(np.where(keep, np.cumsum(keep) - 1, OUTLIER), OUTLIER)
        return replace(self, labels=number[self.labels])

    def at_most(self, max_size: int, rng: np.random.Generator) -> PseudoLabels:
        """Of larger clusters `max_size` random members stay, the others become outliers."""
        order = rng.permutation(len(self.labels))
        order = order[np.argsort(self.labels[order], kind="stable")][self.n_outliers :]
        starts = np.cumsum(self.sizes) - self.sizes
        rank = np.arange(len(order)) - starts[self.labels[order]]
        labels = self.labels.copy()
        labels[order[rank >= max_size]] = OUTLIER
        return replace(self, labels=labels)


@dataclass(frozen=True, eq=False)
class Clustered:
    """What the batches of an epoch start from: N crops, on the training device.

    features: {view: (N, D)} L2-normalised. labels: {view: (N,)} int64 pseudo-labels, -1 for
    outliers; the views share them unless each view has its own. anchors: {view: (N,)} the labels of
    those members that their cluster's vector is made of, -1 for all others. cameras: (N,), or None.
    """

    features: Mapping[str, torch.Tensor]
    labels: Mapping[str, torch.Tensor]
    anchors: Mapping[str, torch.Tensor]
    cameras: torch.Tensor | None = None
    _made: dict[tuple[object, ...], object] = field(default_factory=dict, repr=False)

    def once(self, make: Callable[[Clustered, str], Result], view: str) -> Result:
        """`make(self, view)`, made when it is first asked for and kept for the epoch."""
        key = (make, view)
        if key not in self._made:
            self._made[key] = make(self, view)
        return cast("Result", self._made[key])


@dataclass(frozen=True, eq=False)
class Batch:
    """B crops of one training step, on the training device.

    indices: (B,) int64 rows of the epoch's features. images: (B, 3, H, W) float, normalised.
    labels: (B,) int64 pseudo-labels, those of the global view. cameras: (B,) int64, or None.
    view_labels: {view: (B,)} of the other views, where each view has its own; -1 for an outlier.
    """

    indices: torch.Tensor
    images: torch.Tensor
    labels: torch.Tensor
    cameras: torch.Tensor | None = None
    view_labels: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def labels_of(self, view: str) -> torch.Tensor:
        """(B,) the pseudo-labels of a view."""
        return self.view_labels.get(view, self.labels)


class Instances(NamedTuple):
    """What an instance memory holds: {view: (M, D)} vectors and {view: (M,)} their labels."""

    vectors: Mapping[str, torch.Tensor]
    labels: Mapping[str, torch.Tensor]


class Network(NamedTuple):
    """The encoder in training, for losses that make images of their own.

    embed: images (B, 3, H, W) to {view: (B, D)}, with gradients, the batch's own statistics in
    BatchNorm and its running statistics left as they are. low, high: (1, 3, 1, 1) the smallest and
    the largest value that a normalised pixel can have.
    """

    embed: Callable[[torch.Tensor], Mapping[str, torch.Tensor]]
    low: torch.Tensor
    high: torch.Tensor


@dataclass(frozen=True, eq=False)
class Step:
    """What a loss, a target or a weight may look at: one batch, encoded.

    embeddings: {view: (B, D)} L2-normalised. prototypes: {view: (C, D)} the memory's vectors.
    clustered: what the epoch started from. instances: of a memory that has them. teacher:
    {view: (B, D)} the teacher's embeddings, L2-normalised, without gradient. network: the encoder
    itself. generator: for random choices, on the CPU.
    """

    batch: Batch
    embeddings: Mapping[str, torch.Tensor]
    prototypes: Mapping[str, torch.Tensor] = field(default_factory=dict)
    clustered: Clustered | None = None
    instances: Instances | None = None
    teacher: Mapping[str, torch.Tensor] | None = None
    network: Network | None = None
    generator: torch.Generator | None = None
