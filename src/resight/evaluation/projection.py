"""A map of some individuals' crops: features in two dimensions, for pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.manifold import TSNE

from resight.records import Crops, Features, FloatArray, IntArray

Plane = npt.NDArray[np.float64]

CROPS_EACH = 25
PERPLEXITY = 30.0
FEWEST = 4
ITERATIONS = 1000
DIGITS = 4


@dataclass(frozen=True)
class Point:
    """A crop on the map; x and y in [0, 1], of one scale.

    identity: its individual's name, or "cluster K" on maps of clusters. box: left, top, width and
    height in the frame that the crop is cut from, None for a file of its own.
    """

    x: float
    y: float
    identity: str
    camera: str | None
    path: str
    box: tuple[float, float, float, float] | None = None


def projected(
    features: Features,
    crops: Crops,
    *,
    labels: IntArray | None = None,
    identities: int = 20,
    crops_each: int = CROPS_EACH,
    seed: int = 0,
) -> list[Point]:
    """A t-SNE map of the individuals with most crops, near where features are alike.

    features: of the N crops; the global view alone counts. labels: (N,) int64 clusters that stand
    in for identities, -1 for outliers; needed for crops without identities. identities: how many
    individuals at most, those with most crops, in ties the lower ones. crops_each: of each a random
    choice of so many crops. Junk and distractors are left out. Points are in the crops' order, the
    same for the same seed; with fewer than four there is no map and the list is empty.

    Van der Maaten and Hinton (JMLR 2008), perplexity 30 or a third of the points, started from the
    two principal components. Raises ValueError for numbers that do not fit together, and for crops
    with neither identities nor labels.
    """
    if min(identities, crops_each) < 1:
        raise ValueError(f"identities, crops_each are {identities, crops_each}, expected 1 or more")
    individuals, names = _individuals(crops, labels)
    if not len(features) == len(crops) == len(individuals):
        raise ValueError(
            f"{len(features)} features and {len(individuals)} labels for {len(crops)} crops"
        )
    rng = np.random.default_rng(seed)
    rows = _chosen(individuals, identities=identities, crops_each=crops_each, rng=rng)
    if len(rows) < FEWEST:
        return []
    places = _plane(features.vectors[rows], rng=rng, seed=seed)
    return [
        Point(x, y, names[who], _camera(crops, row), crops.paths[row], _box(crops, row))
        for row, who, (x, y) in zip(
            rows.tolist(), individuals[rows].tolist(), places.tolist(), strict=True
        )
    ]


def _individuals(crops: Crops, labels: IntArray | None) -> tuple[IntArray, Mapping[int, str]]:
    """(N,) who each crop shows, -1 for nobody, and their names."""
    if labels is not None:
        return labels, {k: f"cluster {k}" for k in np.unique(labels).tolist()}
    if crops.identities is None:
        raise ValueError("crops without identities need labels")
    return (
        np.where(crops.identities > 0, crops.identities, -1),
        dict(enumerate(crops.identity_names, start=1)),
    )


def _chosen(
    individuals: IntArray, *, identities: int, crops_each: int, rng: np.random.Generator
) -> IntArray:
    """Rows of the crops on the map, ascending."""
    found, counts = np.unique(individuals[individuals >= 0], return_counts=True)
    shown = np.sort(found[np.argsort(-counts, kind="stable")][:identities])
    order = rng.permutation(len(individuals))
    order = order[np.argsort(individuals[order], kind="stable")]
    starts = np.searchsorted(individuals[order], shown)
    ends = np.searchsorted(individuals[order], shown, side="right")
    parts = [
        order[start : min(start + crops_each, end)] for start, end in zip(starts, ends, strict=True)
    ]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)


def _plane(vectors: FloatArray, *, rng: np.random.Generator, seed: int) -> Plane:
    """(M, 2) in [0, 1], centred, one scale for both axes."""
    n = len(vectors)
    places = TSNE(
        perplexity=min(PERPLEXITY, (n - 1) / 3),
        init=_start(vectors, rng),
        learning_rate="auto",
        random_state=seed,
        max_iter=ITERATIONS,
    ).fit_transform(vectors)
    low, high = places.min(axis=0).astype(np.float64), places.max(axis=0).astype(np.float64)
    width = float((high - low).max()) or 1.0
    inside: Plane = 0.5 + (places - (low + high) / 2) / width
    return np.clip(inside, 0.0, 1.0).round(DIGITS)


def _start(vectors: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(M, 2) principal components, 1e-4 wide, with noise that parts equal crops."""
    centred = vectors - vectors.mean(axis=0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    start = np.zeros((len(vectors), 2))
    start[:, : min(2, len(scale))] = (left * scale)[:, :2]
    spread = float(start[:, 0].std())
    noise = rng.standard_normal(start.shape)
    return (1e-4 * (start / (spread or 1.0) + 1e-3 * noise)).astype(np.float32)


def _camera(crops: Crops, row: int) -> str | None:
    return None if crops.cameras is None else crops.camera_names[crops.cameras[row]]


def _box(crops: Crops, row: int) -> tuple[float, float, float, float] | None:
    if crops.boxes is None:
        return None
    left, top, width, height = crops.boxes[row].tolist()
    return left, top, width, height
