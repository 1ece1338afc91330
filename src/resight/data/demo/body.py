"""Human bodies: a mean shape, eight components of variation, a rig with skin weights.

`body.npz` was baked from MakeHuman's base mesh, targets and rig, which are CC0. It holds four
surfaces that share one rig: the skin, and `tights`, `skirt` and `hair`, from which garments grow.

Canonical coordinates are those of the mean body at rest, scaled to feet at y = 0 and crown at
y = 1; x grows to the person's left, z to the front. They name a spot on the body (the belt is
near y = 0.56) whatever the shape and pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from resight.data.demo.skeleton import BONE, Doubles, Floats, unit_rows

SURFACES = ("skin", "tights", "skirt", "hair")
CORNERS = (0, 1, 2)

_ANKLE = 0.055
_INSTEP = 0.45
_CURL = np.radians(75)
_PALM = 0.35
_REACH = 0.108


@dataclass(frozen=True, eq=False)
class BodyModel:
    """The body data, ready to use. V vertices, B bones, S shape components."""

    mean: Floats  # (V + B, 3), metres; the joints come last
    components: Floats  # (S, V + B, 3)
    coefficients: Doubles  # (K, S) of sampled real proportions
    female: NDArray[np.bool_]  # (K,)
    weights: Floats  # (V, B), rows sum to 1
    parents: NDArray[np.int64]  # (B,)
    faces: dict[str, NDArray[np.int64]]  # per surface (F, 3)
    canonical: Floats  # (V, 3)
    canonical_joints: Floats  # (B, 3)
    arm: Floats  # (V,): 0 shoulder, 1 elbow, 2 wrist, 3 finger tips; -1 off the arms

    @property
    def n_vertices(self) -> int:
        """Number of vertices V."""
        return len(self.weights)


@lru_cache(maxsize=1)
def body_model() -> BodyModel:
    """Load the body model that ships with the package."""
    with (files("resight.data.demo") / "body.npz").open("rb") as file, np.load(file) as data:
        stored = {name: data[name] for name in data.files}
    weights = stored["W"].astype(np.float32)
    weights /= weights.sum(1, keepdims=True)
    n = len(weights)
    faces = {name: stored[f"F_{name}"].astype(np.int64) for name in SURFACES}
    mean = stored["mean"].astype(np.float32)
    low, height = _extent(mean, faces["skin"])
    canonical = ((mean - np.array([0, low, 0])) / height).astype(np.float32)
    arm = _along_arm(canonical[:n], canonical[n:], weights)
    mean[:n] += height * _shoes(canonical[:n])
    mean[:n] += height * _relaxed_hands(canonical[:n], canonical[n:], arm)
    return BodyModel(
        mean=mean,
        components=stored["pcs"].astype(np.float32),
        coefficients=stored["coef"].astype(np.float64),
        female=stored["pheno"][:, 0] > 0.5,
        weights=weights,
        parents=stored["parent"].astype(np.int64),
        faces=faces,
        canonical=canonical[:n],
        canonical_joints=canonical[n:],
        arm=arm,
    )


def shaped(model: BodyModel, shape: Doubles, height: float) -> tuple[Floats, Doubles]:
    """Vertices (V, 3) and joints (B, 3) in metres of a body at rest, `height` metres tall."""
    points = model.mean + np.tensordot(shape.astype(np.float32), model.components, 1)
    _, extent = _extent(points, model.faces["skin"])
    points *= height / extent
    points[:, 1] -= _extent(points, model.faces["skin"])[0]
    n = model.n_vertices
    return points[:n], points[n:].astype(np.float64)


def vertex_normals(vertices: Floats, faces: NDArray[np.int64]) -> Floats:
    """Unit normals (V, 3): the area-weighted mean of each vertex's triangles, 0 where none."""
    a, b, c = (vertices[faces[:, k]] for k in CORNERS)
    across = np.cross(b - a, c - a)  # (F, 3)
    normals = np.zeros_like(vertices)
    for axis in range(3):
        for k in CORNERS:
            normals[:, axis] += np.bincount(faces[:, k], across[:, axis], len(vertices))
    return unit_rows(normals)


def _extent(points: Floats, skin: NDArray[np.int64]) -> tuple[float, float]:
    height = points[np.unique(skin), 1]
    return float(height.min()), float(np.ptp(height))


def _along_arm(canonical: Floats, joints: Floats, weights: Floats) -> Floats:
    along = np.full(len(canonical), -1, np.float32)
    for side in "LR":
        bones = [BONE[f"{name}.{side}"] for name in ("upper_arm", "forearm", "hand")]
        shoulder, elbow, wrist = joints[bones]
        tips = wrist + 0.7 * (wrist - elbow)
        t: list[Floats] = []
        for start, end in ((shoulder, elbow), (elbow, wrist), (wrist, tips)):
            bone = end - start
            t.append(len(t) + (canonical - start) @ bone / (bone @ bone))
        lower = np.where(t[1] < 2, np.maximum(t[1], 1), np.maximum(t[2], 2))
        value = np.where(t[0] < 1, t[0], lower)
        mine = weights[:, bones].sum(1) > 0.25
        along[mine] = np.maximum(value[mine], -1)
    return along


def _shoes(canonical: Floats) -> Floats:
    """Offsets that press the front of each foot into a shoe, canonical units (V, 3).

    A shoe is a rounded box: superellipsoid of exponent 3 with the foot's length and width,
    lower towards the tip.
    """
    offsets = np.zeros_like(canonical)
    x, y, _ = canonical.T
    for sign in (-1, 1):
        foot = (y < _ANKLE) & (x * sign > 0)
        points = canonical[foot].astype(np.float64)
        flat = points[:, [0, 2]]
        along = np.linalg.svd(flat - flat.mean(0), full_matrices=False)[2][0]
        along *= np.sign(along[1])
        beside = np.array([along[1], -along[0]])
        forward, lateral = flat @ along, flat @ beside
        start, length = forward.min(), np.ptp(forward)
        t = (forward - start) / length
        middle = (lateral.min() + lateral.max()) / 2
        width = np.ptp(lateral) / 2
        height = 0.046 - 0.018 * t
        unit = np.stack(
            [
                (t - _INSTEP) / (1 - _INSTEP),
                (lateral - middle) / width,
                2 * points[:, 1] / height - 1,
            ],
            axis=1,
        )
        radius = (np.abs(unit) ** 3).sum(1, keepdims=True) ** (1 / 3)
        shoe = unit / radius
        new_t = _INSTEP + shoe[:, 0] * (1 - _INSTEP)
        new_flat = np.outer(start + new_t * length, along)
        new_flat += np.outer(middle + shoe[:, 1] * width, beside)
        new_y = (shoe[:, 2] + 1) / 2 * height
        pressed = np.stack([new_flat[:, 0], new_y, new_flat[:, 1]], axis=1)
        share = np.clip((t - _INSTEP) / 0.12, 0, 1)[:, None]
        offsets[foot] = share * (pressed - points)
    return offsets


def _relaxed_hands(canonical: Floats, joints: Floats, arm: Floats) -> Floats:
    """Offsets that close splayed fingers into a loose curl, canonical units (V, 3)."""
    offsets = np.zeros_like(canonical)
    for side, sign in (("L", 1), ("R", -1)):
        hand = (arm > 2) & (canonical[:, 0] * sign > 0)
        wrist = joints[BONE[f"hand.{side}"]]
        forward = wrist - joints[BONE[f"forearm.{side}"]]
        forward = forward / np.linalg.norm(forward)
        local = canonical[hand] - wrist
        across = local - np.outer(local @ forward, forward)
        spread = np.linalg.svd(across - across.mean(0), full_matrices=False)[2][0]
        palm = np.cross(forward, spread)
        palm *= -np.sign(palm[0]) * sign
        t = np.clip(local @ forward / _REACH, 0, None)
        finger = np.clip((t - _PALM) / (1 - _PALM), 0, 1)
        angle = finger * _CURL
        length = (1 - _PALM) * _REACH / _CURL
        along = np.where(finger > 0, _PALM * _REACH + length * np.sin(angle), t * _REACH)
        bend = length * (1 - np.cos(angle))
        deep = local @ palm
        side_way = (local @ spread) * (1 - 0.62 * finger)
        moved = np.outer(along - deep * np.sin(angle), forward) + np.outer(side_way, spread)
        moved += np.outer(bend + deep * np.cos(angle), palm)
        offsets[hand] = np.where((finger > 0)[:, None], moved - local, 0)
    return offsets.astype(np.float32)
