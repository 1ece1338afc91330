"""Random crops and features whose float32 cosines are exact, so that ties are true ties."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from resight.records import Crops, Features


def exact_vectors(rng, n, dim=12, near=None):
    """(n, dim) unit rows with four entries of ±0.5: cosines are multiples of 0.25, with many ties.

    With `near` (n,), rows of one number resemble each other.
    """
    vectors = np.zeros((n, dim), np.float32)
    for row in range(n):
        here = np.random.default_rng(int(near[row]) + 100) if near is not None else rng
        columns = here.permutation(dim)[:4]
        vectors[row, columns] = rng.choice([-0.5, 0.5, 0.5, 0.5], 4)
    return vectors


def smooth_vectors(rng, n, dim=16):
    vectors = rng.standard_normal((n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_crops(identities=None, cameras=None, splits=None, n=None, tracks=None, times=None):
    n = len(identities) if n is None else n
    return Crops(
        root=Path("photos"),
        paths=tuple(f"{i:04d}.jpg" for i in range(n)),
        splits=np.array(["train"] * n if splits is None else splits),
        identities=None if identities is None else np.asarray(identities, np.int64),
        cameras=None if cameras is None else np.asarray(cameras, np.int64),
        tracks=None if tracks is None else np.asarray(tracks, np.int64),
        times=None if times is None else np.asarray(times, np.float64),
        camera_names=() if cameras is None else tuple("abcdefgh"[: max(cameras, default=0) + 1]),
    )


def random_crops(rng, n, *, n_ids=8, n_cameras=3, with_splits=False):
    """Junk, distractors, identities of one camera and unequal counts all occur."""
    splits = rng.choice(["train", "query", "gallery", "gallery"], n) if with_splits else None
    return make_crops(rng.integers(-1, n_ids, n), rng.integers(0, n_cameras, n), splits)


def features_of(crops, rng):
    return Features({"global": exact_vectors(rng, len(crops), near=crops.identities)})
