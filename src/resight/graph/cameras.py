"""Features without what a camera does to all that it sees."""

from __future__ import annotations

import numpy as np

from resight.records import FloatArray, IntArray

VANISHED = 1e-3


def centre_cameras(features: FloatArray, cameras: IntArray | None) -> FloatArray:
    """Take each camera's mean feature from its samples, and normalise them again.

    The illumination, pose and background of a camera shift all of its features alike, so that
    clusters split by camera; their mean holds that shift, as long as a camera sees many
    individuals.

    features: (N, D) float32, L2-normalised. cameras: (N,) int, or None, which leaves features as
    they are. Returns (N, D) float32, L2-normalised. A sample that is no more than its camera's
    mean (the only one of a camera, or all alike) has nothing left to compare and is left as it is.
    """
    if cameras is None:
        return features
    if cameras.shape != (len(features),):
        raise ValueError(f"cameras have shape {cameras.shape}, expected ({len(features)},)")
    centred = features.copy()
    for camera in np.unique(cameras):
        rows = np.flatnonzero(cameras == camera)
        centred[rows] -= features[rows].mean(axis=0, dtype=np.float64).astype(np.float32)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    kept = lengths[:, 0] > VANISHED
    centred[kept] /= lengths[kept]
    centred[~kept] = features[~kept]
    return centred
