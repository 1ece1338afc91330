"""The 19 bones, rotations, and how local rotations become one transform per bone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from resight.data.demo.compiled import compiled

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_LIMBS = ("clavicle", "upper_arm", "forearm", "hand", "thigh", "shin", "foot")
BONES = (
    *("pelvis", "spine", "chest", "neck", "head"),
    *(f"{limb}.L" for limb in _LIMBS),
    *(f"{limb}.R" for limb in _LIMBS),
)
BONE = {name: index for index, name in enumerate(BONES)}

X, Y, Z = np.eye(3)


@compiled
def rotation(axis: Doubles, angle: float) -> Doubles:
    """Rotation matrix (3, 3) about `axis` (3,) of any length, by `angle` radians (Rodrigues)."""
    length = math.sqrt(axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2)
    x, y, z = axis[0] / length, axis[1] / length, axis[2] / length
    c, s = math.cos(angle), math.sin(angle)
    d = 1.0 - c
    return np.array(
        [
            [c + d * x * x, d * x * y - s * z, d * x * z + s * y],
            [d * x * y + s * z, c + d * y * y, d * y * z - s * x],
            [d * x * z - s * y, d * y * z + s * x, c + d * z * z],
        ]
    )


@compiled
def unit_rows(vectors: Floats) -> Floats:
    """Vectors (N, 3) scaled to length 1; zero vectors stay zero."""
    out = np.empty_like(vectors)
    for i in range(len(vectors)):
        x, y, z = vectors[i]
        scale = np.float32(1) / (math.sqrt(x * x + y * y + z * z) + np.float32(1e-9))
        out[i, 0], out[i, 1], out[i, 2] = x * scale, y * scale, z * scale
    return out


@compiled
def bone_transforms(joints: Doubles, parents: NDArray[np.int64], local: Doubles) -> Doubles:
    """Affine transforms (B, 3, 4) from the rest pose to the pose of `local` rotations (B, 3, 3).

    Bone b turns about its joint (row b of `joints`, (B, 3), metres) and follows its parent,
    which comes before it; the root has parent -1.
    """
    transforms = np.empty((len(joints), 3, 4))
    for b in range(len(joints)):
        turn = local[b]
        shift = joints[b] - turn @ joints[b]
        if parents[b] >= 0:
            parent = transforms[parents[b]]
            base = np.ascontiguousarray(parent[:, :3])
            shift = base @ shift + parent[:, 3]
            turn = base @ turn
        transforms[b, :, :3] = turn
        transforms[b, :, 3] = shift
    return transforms
