"""Backgrounds: a ground, a wall behind it, and things that stand about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from resight.data.demo.cameras import camera
from resight.data.demo.palette import TOPS, pick
from resight.data.demo.randomness import Stream, generator
from resight.data.demo.skeleton import Floats
from resight.data.demo.world import World

WIDTH, HEIGHT = 960, 540

_THINGS = 10
_GREY = 128


@dataclass(frozen=True, eq=False)
class Place:
    """A scene without people."""

    picture: NDArray[np.uint8]  # (HEIGHT, WIDTH, 3), sRGB in even light
    horizon: int  # the row where the ground ends


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cells: float,
    octaves: int = 4,
    stretch: float = 1.0,
) -> Floats:
    """Smooth noise of `shape` (H, W) about 0, about ±1, with `cells` bumps from top to bottom.

    stretch > 1 makes bumps narrow, < 1 wide; each octave has twice the bumps at 0.6 the height.
    """
    height, width = shape
    half = (max(2, width // 2), max(2, height // 2))
    total = np.zeros(half[::-1], np.float32)
    for octave in range(octaves):
        rows = cells * 2**octave
        grid = (max(2, int(rows)), max(2, int(rows * stretch * width / height)))
        bumps = Image.fromarray(rng.random(grid, np.float32) - 0.5)
        total += 0.6**octave * np.asarray(bumps.resize(half, Image.Resampling.BICUBIC))
    full = Image.fromarray(total).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(full)


@lru_cache(maxsize=256)
def place(world: World, seed: int, number: int, index: int) -> Place:
    """Place `index` (from 0) of camera `number` (from 1)."""
    rng = generator(seed, Stream.PLACE, number, index)
    pitch = camera(world, seed, number).pitch
    horizon = int(HEIGHT * np.clip(0.42 - pitch / 90, 0.08, 0.40))
    wall_shape, ground_shape = (horizon, WIDTH), (HEIGHT - horizon, WIDTH)
    wall = _WALLS[rng.integers(len(_WALLS))](rng, wall_shape)
    ground = _GROUNDS[rng.integers(len(_GROUNDS))](rng, _Ground(rng, ground_shape))
    picture = np.concatenate([wall, ground])
    for _ in range(int(_THINGS * world.background)):
        _stand(picture, rng, horizon)
    picture *= 1 + 0.25 * noise(rng, (HEIGHT, WIDTH), 3, 2)[:, :, None]
    np.clip(picture, 2, 250, out=picture)
    picture = _GREY + (picture - _GREY) * np.float32(world.background)
    blurred = Image.fromarray(picture.astype(np.uint8)).filter(ImageFilter.BoxBlur(0.8))
    return Place(picture=np.asarray(blurred), horizon=horizon)


class _Ground:
    """The plane seen in perspective: coordinates across and away for each pixel."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int]):
        height, width = shape
        rows = np.arange(height, dtype=np.float32)[:, None] + 6
        columns = np.arange(width, dtype=np.float32)[None] - width / 2
        nearness = np.clip(rows / height, 0.02, 1)
        self.shape = shape
        self.across = columns / nearness / 90  # (H, W)
        self.away = 8 / nearness  # (H, 1)
        self.speckle = 1 + 0.35 * noise(rng, shape, 10, 5, 0.5)

    def plain(self, colour: tuple[int, int, int]) -> Floats:
        painted: Floats = np.array(colour, np.float32) * self.speckle[:, :, None]
        return painted


def _slabs(
    colour: tuple[int, int, int],
) -> Callable[[np.random.Generator, _Ground], Floats]:
    def paint(rng: np.random.Generator, ground: _Ground) -> Floats:
        size = 0.35 + 0.5 * rng.random()
        across, away = ground.across / size, ground.away / size
        joint = (across % 1 < 0.05) | (away % 1 < 0.05)
        tones = 0.9 + 0.2 * rng.random((64, 256), np.float32)
        tone = tones[away.astype(int) % 64, np.floor(across).astype(int) % 256]
        picture: Floats = ground.plain(colour) * np.where(joint, 0.75 * tone, tone)[:, :, None]
        return picture

    return paint


def _tufts(
    colour: tuple[int, int, int],
) -> Callable[[np.random.Generator, _Ground], Floats]:
    def paint(rng: np.random.Generator, ground: _Ground) -> Floats:
        picture = ground.plain(colour)
        picture[noise(rng, ground.shape, 60, 3) > 0.32] *= np.array([1.25, 1.05, 0.7], np.float32)
        picture *= 1 + 0.4 * noise(rng, ground.shape, 90, 2)[:, :, None]
        return picture

    return paint


def _asphalt(rng: np.random.Generator, ground: _Ground) -> Floats:
    picture = ground.plain((96, 98, 104))
    slant = rng.uniform(-0.8, 0.8)
    line = np.abs((ground.across + slant * ground.away) % 3 - 1.5) < 0.09
    picture[line] = (210, 205, 190)
    return picture


_GROUNDS: tuple[Callable[[np.random.Generator, _Ground], Floats], ...] = (
    _slabs((118, 116, 112)),
    _tufts((92, 110, 60)),
    _slabs((150, 140, 124)),
    _asphalt,
    _tufts((128, 104, 72)),
    _slabs((170, 168, 164)),
)


def _plaster(
    colour: tuple[int, int, int],
) -> Callable[[np.random.Generator, tuple[int, int]], Floats]:
    def paint(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
        tone = 1 + 0.3 * noise(rng, shape, 8, 5)[:, :, None]
        painted: Floats = np.array(colour, np.float32) * tone
        return painted

    return paint


def _bricks(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    picture = _plaster((150, 120, 100))(rng, shape)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    course = rows / 9
    joint = (course % 1 < 0.12) | ((columns + 9 * (np.floor(course) % 2)) / 18 % 1 < 0.06)
    picture[joint] *= 0.8
    return picture


def _hedge(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    leaves = 1 + 0.7 * noise(rng, shape, 50, 3)[:, :, None]
    return _plaster((70, 90, 55))(rng, shape) * leaves


_WALLS: tuple[Callable[[np.random.Generator, tuple[int, int]], Floats], ...] = (
    _bricks,
    _hedge,
    _plaster((190, 188, 180)),
    _plaster((120, 125, 130)),
    _plaster((88, 84, 80)),
    _plaster((205, 200, 190)),
)


def _stand(picture: Floats, rng: np.random.Generator, horizon: int) -> None:
    """Draw a window or sign, a post, or a car or bin, as a shaded rectangle."""
    kind, left = rng.random(), _draw(rng, 0, WIDTH)
    colour = pick(rng, TOPS) * rng.uniform(0.7, 1.1)
    if kind < 0.45:
        width, height = _draw(rng, 20, 110), _draw(rng, 20, max(22, horizon // 2))
        top = _draw(rng, 0, max(1, horizon - height))
    elif kind < 0.75:
        width, height = _draw(rng, 6, 14), _draw(rng, 80, 220)
        top = _draw(rng, max(0, horizon - 60), horizon + 60) - height // 2
    else:
        width, height = _draw(rng, 60, 150), _draw(rng, 40, 80)
        top = _draw(rng, horizon - 20, horizon + 90)
    top = max(0, top)
    area = picture[top : top + height, left : left + width]
    shade = np.linspace(1.15, 0.75, len(area))[:, None, None]
    area[:] = colour * shade * (1 + 0.1 * rng.normal(size=(1, area.shape[1], 1)))


def _draw(rng: np.random.Generator, low: int, high: int) -> int:
    return int(rng.integers(low, high))
