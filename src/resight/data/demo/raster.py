"""A z-buffer: which triangle is seen in each pixel, and what lies there."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resight.data.demo.compiled import compiled
from resight.data.demo.skeleton import Floats

_SMALLEST_AREA = 1e-6


class Fragments(NamedTuple):
    """The visible surface, one row per covered pixel, in the order of pixels."""

    pixel: NDArray[np.int64]  # (P,): row * width + column
    face: NDArray[np.int64]  # (P,)
    weight: Floats  # (P, 3): barycentric coordinates
    depth: Floats  # (P,)


def rasterise(
    screen: Floats,
    faces: NDArray[np.int64],
    keep: Floats,
    two_sided: NDArray[np.bool_],
    height: int,
    width: int,
) -> Fragments:
    """Find the nearest surface in each pixel of a picture.

    screen: (V, 3) vertices as column, row, depth; the centre of pixel (0, 0) is (0, 0).
    faces: (F, 3) vertex numbers. Only triangles that turn counter-clockwise as seen (rows grow
    downwards) are drawn, and all of those marked in two_sided (F,).
    keep: (V,) a field; surface is cut away where its interpolated value is negative.
    """
    return Fragments(*_rasterise(screen, faces, keep, two_sided, height, width))


def interpolate(values: Floats, faces: NDArray[np.int64], fragments: Fragments) -> Floats:
    """Values (P, C) at the fragments, from vertex values (V, C)."""
    return _interpolate(values, faces, fragments.face, fragments.weight)


@compiled
def _rasterise(
    screen: Floats,
    faces: NDArray[np.int64],
    keep: Floats,
    two_sided: NDArray[np.bool_],
    height: int,
    width: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    nearest = np.full(height * width, np.inf)
    owner = np.full(height * width, -1, np.int64)
    first = np.empty(height * width)
    second = np.empty(height * width)
    for f in range(len(faces)):
        i, j, k = faces[f]
        ax, ay = float(screen[i, 0]), float(screen[i, 1])
        bx, by = float(screen[j, 0]), float(screen[j, 1])
        cx, cy = float(screen[k, 0]), float(screen[k, 1])
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if not (area < -_SMALLEST_AREA or (two_sided[f] and area > _SMALLEST_AREA)):
            continue
        scale = 1 / area
        left, right = (
            max(math.ceil(min(ax, bx, cx)), 0),
            min(math.floor(max(ax, bx, cx)), width - 1),
        )
        top, bottom = (
            max(math.ceil(min(ay, by, cy)), 0),
            min(math.floor(max(ay, by, cy)), height - 1),
        )
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                v = ((cy - ay) * (x - ax) - (cx - ax) * (y - ay)) * scale
                w = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) * scale
                u = 1 - v - w
                if u < 0 or v < 0 or w < 0 or u * keep[i] + v * keep[j] + w * keep[k] < 0:
                    continue
                depth = u * screen[i, 2] + v * screen[j, 2] + w * screen[k, 2]
                pixel = y * width + x
                if depth < nearest[pixel]:
                    nearest[pixel], owner[pixel] = depth, f
                    first[pixel], second[pixel] = u, v
    seen = np.nonzero(owner >= 0)[0]
    weight = np.empty((len(seen), 3), np.float32)
    weight[:, 0], weight[:, 1] = first[seen], second[seen]
    weight[:, 2] = 1 - first[seen] - second[seen]
    return seen, owner[seen], weight, nearest[seen].astype(np.float32)


@compiled
def _interpolate(
    values: Floats, faces: NDArray[np.int64], face: NDArray[np.int64], weight: Floats
) -> Floats:
    out = np.empty((len(face), values.shape[1]), np.float32)
    for p in range(len(face)):
        i, j, k = faces[face[p]]
        u, v, w = weight[p]
        for c in range(values.shape[1]):
            out[p, c] = u * values[i, c] + v * values[j, c] + w * values[k, c]
    return out
