"""One picture: who, where, in which pose and light, and what stands in front."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from resight.data.demo import places
from resight.data.demo.cameras import MAX_CAMERAS, Camera, draw_light
from resight.data.demo.cameras import camera as camera_of
from resight.data.demo.framing import Frame, detect
from resight.data.demo.garments import Figure, Layer, build_figure
from resight.data.demo.identities import draw_identity, draw_passer_by
from resight.data.demo.occluders import paint_bush, paint_passer_by, paint_post
from resight.data.demo.painting import Posed, backdrop, cast_shadow, paint, take_position
from resight.data.demo.poses import walking_pose
from resight.data.demo.randomness import Stream, generator
from resight.data.demo.sensor import expose
from resight.data.demo.world import World
from resight.errors import DataError

VISIT = 2  # shots in a row at the same place
SMALLEST_SIDE = 16

_PASSER_BY, _BUSH = 0.45, 0.75
_BAG_COUNTS = 0.5


def place_of(world: World, seed: int, identity: int, number: int, shot: int) -> int:
    """The place (from 0) of camera `number` where a shot is taken: one per visit."""
    rng = generator(seed, Stream.VISIT, identity, number, shot // VISIT)
    return int(rng.integers(world.places))


def render_image(
    world: World,
    seed: int,
    identity: int,
    camera: int,
    shot: int,
    size: tuple[int, int] = (128, 64),
) -> NDArray[np.uint8]:
    """Render a picture (H, W, 3), uint8 sRGB, of one person.

    identity: from 1. camera: 1 to 12. shot: from 0. seed: >= 0. size: height and width in
    pixels, 16 or more. The picture depends on the arguments alone; the same person comes out in
    every size, though not the same noise.

    Raises DataError for a number outside its range.
    """
    _check(seed=(seed, 0), identity=(identity, 1), camera=(camera, 1), shot=(shot, 0))
    _check(height=(size[0], SMALLEST_SIDE), width=(size[1], SMALLEST_SIDE))
    if camera > MAX_CAMERAS:
        raise DataError(f"the demo has cameras 1 to {MAX_CAMERAS}, got {camera}")
    return _render(world, seed, identity, camera, shot, size)


def _check(**numbers: tuple[int, int]) -> None:
    for name, (value, least) in numbers.items():
        if value < least:
            raise DataError(f"the demo needs {name} >= {least}, got {value}")


def _render(
    world: World, seed: int, identity: int, number: int, shot: int, size: tuple[int, int]
) -> NDArray[np.uint8]:
    rng = generator(seed, Stream.SHOT, identity, number, shot)
    view, figure = camera_of(world, seed, number), _figure(world, seed, identity)
    posed = _posed(figure, view, world, rng)
    frame = _framed(posed, world, size, rng)
    light = draw_light(view, world.light, rng)
    place = places.place(world, seed, number, place_of(world, seed, identity, number, shot))
    picture = backdrop(_crop(place, posed, frame, rng), light)
    cast_shadow(picture, posed, view, frame, light)
    paint(picture, posed, view, frame, light, rng)
    if rng.random() < world.occlusion:
        draw = rng.random()
        if draw < _PASSER_BY:
            stranger = build_figure(draw_passer_by(world, seed, identity, number, shot))
            paint_passer_by(picture, stranger, view, frame, light, rng)
        elif draw < _BUSH:
            paint_bush(picture, light, rng)
        else:
            paint_post(picture, light, rng)
    return expose(picture, view, world, size, rng)


@lru_cache(maxsize=16)
def _figure(world: World, seed: int, identity: int) -> Figure:
    return build_figure(draw_identity(world, seed, identity))


def _posed(figure: Figure, view: Camera, world: World, rng: np.random.Generator) -> Posed:
    along = rng.normal(0, 75) if rng.random() < 0.75 else rng.uniform(0, 360)
    yaw = float(np.radians((view.optics.heading + along) * world.turn))
    return take_position(figure, walking_pose(rng, world.stride), yaw, view)


def _framed(posed: Posed, world: World, size: tuple[int, int], rng: np.random.Generator) -> Frame:
    points = posed.seen
    if rng.random() < _BAG_COUNTS:
        points = points[posed.figure.layer != Layer.BAG]
    rendered = (round(size[0] * world.supersampling), round(size[1] * world.supersampling))
    return detect(points, rendered, world.jitter, rng)


def _crop(
    place: places.Place, posed: Posed, frame: Frame, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The part of a place behind the frame, with the person's feet somewhere on the ground."""
    body = posed.seen[:, 1]
    scale = rng.uniform(150, 260) / float(np.ptp(body))
    x = rng.uniform(0.1, 0.9) * places.WIDTH
    depth = place.horizon + rng.uniform(0.35, 0.95) * (places.HEIGHT - place.horizon)
    feet = min(places.HEIGHT - 4, depth)
    top = feet - (frame.y + frame.height / 2 - float(body.min())) * scale
    left = x - frame.width * scale / 2
    rows = top + (np.arange(frame.rows) + 0.5) / frame.rows * frame.height * scale
    columns = left + (np.arange(frame.columns) + 0.5) / frame.columns * frame.width * scale
    rows = np.clip(rows.astype(int), 0, places.HEIGHT - 1)
    columns = np.clip(columns.astype(int), 0, places.WIDTH - 1)
    crop: NDArray[np.uint8] = place.picture[rows[:, None], columns]
    return crop
