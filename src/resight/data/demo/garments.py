"""Figures: a body with its garments, hair and bag as layers of one mesh at rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from resight.data.demo.body import BodyModel, body_model, shaped, vertex_normals
from resight.data.demo.outfits import Bag, Hair, Hat, Identity, Legs, Top
from resight.data.demo.skeleton import BONE, BONES, Doubles, Floats, bone_transforms

HANGING = len(BONES)
ATTRIBUTES = 7  # canonical x, y, z; arm coordinate; place on a box u, v, w


class Layer(IntEnum):
    """What a piece of surface is."""

    SKIN = 1
    LEGS = 2
    TOP = 3
    SKIRT = 4
    HAIR = 5
    BAG = 6
    HAT = 7
    TAIL = 8


CLOTH = (Layer.LEGS, Layer.TOP, Layer.SKIRT, Layer.TAIL)


@dataclass(frozen=True, eq=False)
class Figure:
    """A person at rest, in metres. V vertices, F triangles, 20 bones with the hanging one."""

    identity: Identity
    joints: Doubles  # (19, 3)
    anchor: Doubles | None  # (3,): where a bag hangs from the hand
    vertices: Floats  # (V, 3)
    normals: Floats  # (V, 3)
    weights: Floats  # (V, 20)
    attributes: Floats  # (V, 7)
    keep: Floats  # (V,): surface is cut away where negative
    layer: NDArray[np.int8]  # (V,)
    faces: NDArray[np.int64]  # (F, 3)
    face_layer: NDArray[np.int8]  # (F,)
    two_sided: NDArray[np.bool_]  # (F,)
    casters: NDArray[np.int64]  # (C, 3): the triangles that cast shadows

    def posed(self, local: Doubles) -> tuple[Floats, Floats]:
        """Vertices and normals (V, 3) in the pose of `local` rotations, feet on y = 0."""
        bones = bone_transforms(self.joints, body_model().parents, local)
        bones = np.concatenate([bones, self._hanging(bones)[None]]).astype(np.float32)
        blend = (self.weights @ bones.reshape(len(bones), 12)).reshape(-1, 3, 4)
        turn = blend[:, :, :3]
        vertices = np.einsum("nij,nj->ni", turn, self.vertices) + blend[:, :, 3]
        vertices[:, 1] -= vertices[self.layer == Layer.SKIN, 1].min()
        return vertices, np.einsum("nij,nj->ni", turn, self.normals)

    def _hanging(self, bones: Doubles) -> Doubles:
        """The bone of a bag in the hand: it follows the hand and turns with the pelvis only."""
        turn = bones[BONE["pelvis"], :, :3]
        if self.anchor is None or self.identity.bag is None:
            return np.asarray(bones[BONE["pelvis"]])
        hand = bones[BONE["hand.L" if self.identity.bag.side > 0 else "hand.R"]]
        shift = hand[:, :3] @ self.anchor + hand[:, 3] - turn @ self.anchor
        hanging: Doubles = np.concatenate([turn, shift[:, None]], axis=1)
        return hanging


@dataclass(eq=False)
class _Sewing:
    """The layers sewn so far."""

    model: BodyModel
    body: Floats  # (V, 3) the shaped body at rest
    joints: Doubles
    height: float
    normals: dict[str, Floats] = field(init=False)
    pieces: list[tuple[NDArray[np.generic], ...]] = field(default_factory=list)
    faces: list[NDArray[np.int64]] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        faces = self.model.faces
        self.normals = {name: vertex_normals(self.body, faces[name]) for name in faces}

    def grow(
        self, layer: Layer, surface: str, inflate: Floats | float, keep: Floats | float
    ) -> None:
        """Add a surface of the body, moved outwards by `inflate` metres, cut to `keep` >= 0."""
        model, n = self.model, self.model.n_vertices
        outwards = np.broadcast_to(np.asarray(inflate, np.float32), n)[:, None]
        off_box = np.zeros((n, 3), np.float32)
        self._add(
            layer,
            self.body + self.normals[surface] * outwards,
            model.faces[surface],
            np.pad(model.weights, ((0, 0), (0, 1))),
            np.concatenate([model.canonical, model.arm[:, None], off_box], axis=1),
            np.broadcast_to(np.asarray(keep, np.float32), n),
        )

    def box(self, layer: Layer, half: Doubles, centre: Doubles, bone: int) -> None:
        """Add a rounded box fixed to one bone."""
        unit, faces = rounded_box()
        n = len(unit)
        weights = np.zeros((n, HANGING + 1))
        weights[:, bone] = 1
        vertices = unit * half + centre
        attributes = np.concatenate([vertices / self.height, np.full((n, 1), -1), unit], axis=1)
        self._add(layer, vertices, faces, weights, attributes, np.ones(n))

    def _add(
        self,
        layer: Layer,
        vertices: NDArray[np.floating],
        faces: NDArray[np.int64],
        weights: NDArray[np.floating],
        attributes: NDArray[np.floating],
        keep: NDArray[np.floating],
    ) -> None:
        faces = faces[(keep[faces] > 0).any(1)]
        used, renumbered = np.unique(faces, return_inverse=True)
        self.faces.append(renumbered.reshape(-1, 3) + self.count)
        self.count += len(used)
        floats = (
            values[used].astype(np.float32) for values in (vertices, weights, attributes, keep)
        )
        self.pieces.append((*floats, np.full(len(used), layer, np.int8)))


def build_figure(identity: Identity) -> Figure:
    """Dress the body of an identity."""
    model = body_model()
    body, joints = shaped(model, identity.shape, identity.height)
    sewing = _Sewing(model, body, joints, identity.height)
    _skin(sewing)
    _legs(sewing, identity.legs)
    _top(sewing, identity.top)
    _hair(sewing, identity.hair)
    if identity.hat is not None:
        _hat(sewing, identity.hat)
    anchor = None
    if identity.bag is not None:
        anchor = _bag(sewing, identity.bag, identity.top.loose)
    columns = [np.concatenate(column) for column in zip(*sewing.pieces, strict=True)]
    vertices, weights, attributes, keep, layer = columns
    faces = np.concatenate(sewing.faces)
    face_layer = layer[faces[:, 0]]
    return Figure(
        identity=identity,
        joints=joints,
        anchor=anchor,
        vertices=vertices,
        normals=vertex_normals(vertices, faces),
        weights=weights,
        attributes=attributes,
        keep=keep,
        layer=layer,
        faces=faces,
        face_layer=face_layer,
        two_sided=np.isin(face_layer, (Layer.SKIRT, Layer.TAIL)),
        casters=faces[~np.isin(face_layer, (Layer.LEGS, Layer.TOP))],
    )


def rounded_box() -> tuple[Floats, NDArray[np.int64]]:
    """A box with corners (±1, ±1, ±1), rounded: vertices (150, 3), triangles (192, 3)."""
    u = np.linspace(-1, 1, 5)
    a, b = np.meshgrid(u, u, indexing="ij")
    i, j = (g.ravel() for g in np.meshgrid(np.arange(4), np.arange(4), indexing="ij"))
    k = i * 5 + j
    square = np.concatenate([np.stack([k, k + 5, k + 6], 1), np.stack([k, k + 6, k + 1], 1)])
    points: list[Doubles] = []
    faces: list[NDArray[np.int64]] = []
    for axis in range(3):
        for sign in (-1, 1):
            side = np.empty((25, 3))
            side[:, axis] = sign
            side[:, (axis + 1) % 3], side[:, (axis + 2) % 3] = a.ravel(), b.ravel()
            faces.append((square if sign > 0 else square[:, ::-1]) + 25 * len(points))
            points.append(side)
    cube = np.concatenate(points)
    sphere = (np.abs(cube) ** 5).sum(1, keepdims=True) ** 0.2
    return (cube / sphere).astype(np.float32), np.concatenate(faces)


def _ramp(start: float, y: Floats, length: float) -> Floats:
    """0 above `start`, 1 from `length` below it."""
    ramp: Floats = np.clip((start - y) / length, 0, 1)
    return ramp


def _skin(sewing: _Sewing) -> None:
    """Skin, drawn in a little under clothes, with the feet grown into shoes."""
    y, arm = sewing.model.canonical[:, 1], sewing.model.arm
    covered = (y < 0.84) & (arm < 1.9) & (y > 0.05)
    inflate = np.where(covered, -0.006, np.where(y < 0.05, 0.008, 0))
    sewing.grow(Layer.SKIN, "skin", inflate.astype(np.float32), 1.0)


def _legs(sewing: _Sewing, legs: Legs) -> None:
    y, z = sewing.model.canonical[:, 1], sewing.model.canonical[:, 2]
    body = sewing.model.arm < 0
    if legs.kind == "skirt":
        if legs.stockings is not None:
            keep = np.where(body, np.minimum(0.6 - y, y - 0.035), -1)
            sewing.grow(Layer.LEGS, "tights", 0.003, keep)
        flare = legs.flare * _ramp(0.53, y, 0.25)
        sewing.grow(Layer.SKIRT, "skirt", 0.012 + flare, y - legs.hem)
        return
    inflate = 0.004 + legs.loose * _ramp(0.50, y, 0.2) + legs.flare * _ramp(0.25, y, 0.2)
    off_toes = np.where(y < 0.07, 0.062 - z, 1)
    keep = np.minimum(np.minimum(0.62 - y, y - legs.hem), off_toes)
    sewing.grow(Layer.LEGS, "tights", inflate, np.where(body, keep, -1))


def _top(sewing: _Sewing, top: Top) -> None:
    y, arm = sewing.model.canonical[:, 1], sewing.model.arm
    body = arm < 0
    trunk = 0.010 + top.loose * (0.5 + np.clip((0.75 - y) / 0.2, 0, 0.7))
    inflate = np.where(body, trunk, 0.008 + top.loose * 0.7)
    keep = np.where(body, np.minimum(y - top.hem, 0.862 - y), (top.sleeve - arm) * 0.15)
    sewing.grow(Layer.TOP, "tights", inflate.astype(np.float32), keep)
    if top.tail is not None:
        inflate = 0.022 + top.loose + 0.04 * _ramp(0.5, y, 0.2)
        sewing.grow(Layer.TAIL, "skirt", inflate, y - top.tail)
    if top.hood:
        scale = sewing.height / 1.75
        centre = sewing.joints[BONE["neck"]] + np.array((0, -0.02, -0.055)) * sewing.height
        half = np.array((0.10, 0.075, 0.055)) * scale
        sewing.box(Layer.TOP, half, centre, BONE["chest"])


def _hair(sewing: _Sewing, hair: Hair) -> None:
    if hair.kind == "bald":
        return
    x, y, z = sewing.model.canonical.T
    head = sewing.model.weights[:, BONE["head"]] > 0.3
    line = 0.945 - 0.085 * _ramp(0.06, z, 0.07)
    parting = 0.02 * ((np.abs(x) < 0.03) & (z > 0.06))
    sewing.grow(Layer.HAIR, "skin", hair.volume, np.where(head, y - line - parting, -1))
    if hair.kind == "long":
        face = (z > 0.045) & (np.abs(x) < 0.06) & (y < 0.965)
        sewing.grow(Layer.HAIR, "hair", 0.004, np.where(face, -0.06, y - hair.length))
    elif hair.kind in ("bun", "tail"):
        bun = hair.kind == "bun"
        spot = np.array((0, 0.975, -0.04) if bun else (0, 0.895, -0.055))
        half = np.array((0.045, 0.05, 0.045) if bun else (0.03, 0.11, 0.03))
        from_joint = (spot - sewing.model.canonical_joints[BONE["head"]]) * sewing.height
        centre = sewing.joints[BONE["head"]] + from_joint
        sewing.box(Layer.HAIR, half * sewing.height / 1.75, centre, BONE["head"])


def _hat(sewing: _Sewing, hat: Hat) -> None:
    y = sewing.model.canonical[:, 1]
    head = sewing.model.weights[:, BONE["head"]] > 0.3
    sewing.grow(Layer.HAT, "skin", 0.024, np.where(head, y - 0.952, -1))
    if hat.peak:
        centre = sewing.joints[BONE["head"]] + np.array((0, 0.045, 0.10)) * sewing.height
        sewing.box(Layer.HAT, np.array((0.085, 0.012, 0.075)), centre, BONE["head"])


def _bag(sewing: _Sewing, bag: Bag, loose: float) -> Doubles | None:
    """Add the bag; returns the point it hangs from if it hangs from the hand."""
    half, height = bag.size / 2, sewing.height
    x, y, _ = sewing.model.canonical.T
    body = sewing.model.arm < 0
    if bag.kind == "backpack":
        spine = body & (np.abs(x) < 0.05) & (np.abs(y - 0.72) < 0.05)
        back = sewing.body[spine, 2].min() - half[2] - loose - 0.012
        centre = np.array([0, 0.80 * height - half[1], back])
        sewing.box(Layer.BAG, half, centre, BONE["chest"])
        return None
    if bag.kind == "shoulder":
        hips = np.unique(sewing.model.faces["tights"])
        hips = hips[body[hips] & (np.abs(y[hips] - 0.53) < 0.03)]
        hip = sewing.body[hips, 0].max()
        beside = bag.side * (hip + half[0] + loose)
        centre = np.array([beside, 0.50 * height, -0.02 * height])
        sewing.box(Layer.BAG, half, centre, BONE["pelvis"])
        return None
    side = "L" if bag.side > 0 else "R"
    wrist = sewing.joints[BONE[f"hand.{side}"]]
    anchor: Doubles = wrist + (wrist - sewing.joints[BONE[f"forearm.{side}"]]) * 0.36
    sewing.box(Layer.BAG, half, anchor - np.array([0, half[1] * 1.02, 0]), HANGING)
    return anchor
