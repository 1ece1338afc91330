"""Painting a figure into a picture: visible surface, light and shadow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from resight.data.demo.cameras import Camera, Light
from resight.data.demo.cloth import albedo, ripples
from resight.data.demo.framing import Frame
from resight.data.demo.garments import ATTRIBUTES, CLOTH, Figure, Layer
from resight.data.demo.palette import linear
from resight.data.demo.raster import Fragments, interpolate, rasterise
from resight.data.demo.skeleton import Doubles, Floats, Y, rotation, unit_rows

_SHADOW_MAP = 96
_SHADOW_BIAS = 0.03  # metres
_GROUND_STEP = 4
_GLOSSY = (Layer.HAIR, Layer.BAG, Layer.SKIN)
_SUN_COLOUR = np.array([1.05, 1.0, 0.92], np.float32)
_FOLDS = 0.82
_LINEAR = linear(np.arange(256)).astype(np.float32)
_BOX, _BILINEAR = Image.Resampling.BOX, Image.Resampling.BILINEAR


@dataclass(frozen=True, eq=False)
class Posed:
    """A figure in one pose before one camera."""

    figure: Figure
    vertices: Floats  # (V, 3), metres, in the frame of the body
    normals: Floats  # (V, 3)
    seen: Floats  # (V, 3): x, y and depth on the picture, metres
    yaw: float  # radians

    def into_body(self, direction: Doubles) -> Floats:
        """A direction (3,) of the street in the frame of the vertices."""
        return (direction @ rotation(Y, self.yaw)).astype(np.float32)


def take_position(
    figure: Figure, local: Doubles, yaw: float, view: Camera, offset: tuple[float, float] = (0, 0)
) -> Posed:
    """Pose a figure with `local` bone rotations, turned by `yaw`, `offset` on the picture."""
    vertices, normals = figure.posed(local)
    return Posed(figure, vertices, normals, view.project(vertices, yaw, offset), yaw)


def paint(
    picture: Floats,
    posed: Posed,
    view: Camera,
    frame: Frame,
    light: Light,
    rng: np.random.Generator,
) -> None:
    """Paint a person over `picture` (rows, columns, 3), linear light, in place."""
    figure = posed.figure
    screen = frame.to_screen(posed.seen)
    fragments = rasterise(
        screen, figure.faces, figure.keep, figure.two_sided, frame.rows, frame.columns
    )
    folds = int(rng.integers(1 << 30))
    if not len(fragments.pixel):
        return
    values = np.concatenate([figure.attributes, posed.normals, posed.vertices], axis=1)
    surface = interpolate(values, figure.faces, fragments)
    attributes, normal, position = np.split(surface, (ATTRIBUTES, ATTRIBUTES + 3), axis=1)
    layer = figure.face_layer[fragments.face]
    normal = _folded(normal, layer, attributes, np.random.default_rng(folds))
    towards_sun = posed.into_body(light.towards_sun)
    towards_camera = posed.into_body(view.towards_camera)
    normal[normal @ towards_camera < -0.15] *= -1
    sunny = _sunlit(posed, position, towards_sun) if light.sun > 0 else np.float32(0)
    sun = np.clip(normal @ towards_sun, 0, None) * sunny * light.sun
    sky = light.sky * (0.72 + 0.28 * normal[:, 1])
    lit = sun[:, None] * _SUN_COLOUR + sky[:, None] * light.sky_colour.astype(np.float32)
    lit *= _openness(fragments, position, frame)[:, None]
    half = towards_sun + towards_camera
    half /= np.linalg.norm(half)
    gloss = (np.isin(layer, _GLOSSY) * 0.07 + 0.015) * sunny * light.sun
    highlight = np.clip(normal @ half, 0, 1)
    for _ in range(4):
        highlight *= highlight  # to the power of 16
    shine = gloss * highlight
    colour = _LINEAR[albedo(figure.identity, layer, attributes).astype(np.uint8)]
    picture.reshape(-1, 3)[fragments.pixel] = colour * lit + shine[:, None]


def cast_shadow(picture: Floats, posed: Posed, view: Camera, frame: Frame, light: Light) -> None:
    """Darken the ground of `picture` (rows, columns, 3) where the person keeps the sun off."""
    if light.sun == 0:
        return
    figure, towards_sun = posed.figure, posed.into_body(light.towards_sun)
    fall = posed.vertices[:, 1:2] / towards_sun[1] * towards_sun
    screen = frame.to_screen(view.project(posed.vertices - fall, posed.yaw))
    screen[:, :2] = (screen[:, :2] + 0.5) / _GROUND_STEP - 0.5
    rows, columns = (max(1, n // _GROUND_STEP) for n in (frame.rows, frame.columns))
    both = np.ones(len(figure.casters), bool)
    covered = np.zeros(rows * columns, np.uint8)
    covered[rasterise(screen, figure.casters, figure.keep, both, rows, columns).pixel] = 255
    mask = Image.fromarray(covered.reshape(rows, columns)).filter(ImageFilter.BoxBlur(1))
    soft = np.asarray(mask.resize((frame.columns, frame.rows), _BILINEAR), np.float32) / 255
    picture *= (1 - 0.62 * light.sun / (light.sun + light.sky) * soft)[:, :, None]


def backdrop(albedo_crop: NDArray[np.uint8], light: Light) -> Floats:
    """Linear light (H, W, 3) of a crop (H, W, 3) of a place."""
    return (_LINEAR * np.float32(light.on_ground))[albedo_crop]


def _folded(
    normal: Floats, layer: NDArray[np.int8], attributes: Floats, rng: np.random.Generator
) -> Floats:
    """Unit normals (P, 3), bent on cloth as folds bend them."""
    cloth = np.flatnonzero(np.isin(layer, CLOTH))
    spots = attributes[cloth, :3] * np.array([1, 0.55, 1], np.float32)
    normal = unit_rows(normal)
    normal[cloth] += _FOLDS * ripples(rng, spots, 6, 8, 18, channels=3)
    return unit_rows(normal)


def _sunlit(posed: Posed, position: Floats, towards_sun: Floats) -> Floats:
    """Share (P,) of the sun that reaches positions (P, 3), 0 to 1, from a shadow map."""
    figure = posed.figure
    side = np.array([towards_sun[2], 0, -towards_sun[0]], np.float32)
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(towards_sun, side), -towards_sun], 1)  # (3, 3)
    seen = posed.vertices @ axes
    low = np.array([seen[:, 0].min(), seen[:, 1].min()])
    scale = (_SHADOW_MAP - 4) / max(np.ptp(seen[:, 0]), np.ptp(seen[:, 1]))
    seen[:, :2] = (seen[:, :2] - low) * scale + 1.5
    both = np.ones(len(figure.casters), bool)
    n = _SHADOW_MAP
    fragments = rasterise(seen, figure.casters, figure.keep, both, n, n)
    nearest = np.full(n * n, np.inf, np.float32)
    nearest[fragments.pixel] = fragments.depth
    here = position @ axes
    column, row = ((here[:, :2] - low) * scale + 1.5).T
    lit: Floats = np.zeros(len(position), np.float32)
    for dx, dy in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        x, y = (column + dx).astype(np.int64), (row + dy).astype(np.int64)
        lit += nearest[y * n + x] > here[:, 2] - _SHADOW_BIAS
    return lit / np.float32(4)


def _openness(fragments: Fragments, position: Floats, frame: Frame) -> Floats:
    """Share (P,) of the sky that is not hidden: less behind and below other surface."""
    rows, columns = frame.rows, frame.columns
    depth = np.full(rows * columns, np.median(fragments.depth) + 0.3, np.float32)
    depth[fragments.pixel] = fragments.depth
    coarse = Image.fromarray(depth.reshape(rows, columns))
    coarse = coarse.resize((max(1, columns // 12), max(1, rows // 12)), _BOX)
    around = np.asarray(coarse.resize((columns, rows), _BILINEAR)).ravel()[fragments.pixel]
    behind = np.clip(fragments.depth - around - 0.01, 0, 0.25)
    above = 0.75 + 0.25 * np.clip(position[:, 1] / 0.5, 0, 1)
    return np.asarray(np.clip(1 - 2.2 * behind, 0.45, 1) * above, np.float32)
