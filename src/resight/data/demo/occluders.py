"""Things in front of people: passers-by, bushes and walls, posts."""

from __future__ import annotations

import numpy as np

from resight.data.demo.cameras import Camera, Light
from resight.data.demo.framing import Frame
from resight.data.demo.garments import Figure
from resight.data.demo.painting import paint, take_position
from resight.data.demo.palette import TOPS, linear, pick
from resight.data.demo.places import noise
from resight.data.demo.poses import walking_pose
from resight.data.demo.skeleton import Floats


def paint_passer_by(
    picture: Floats,
    figure: Figure,
    view: Camera,
    frame: Frame,
    light: Light,
    rng: np.random.Generator,
) -> None:
    """Let another person walk through the picture, half in front of the first."""
    side = rng.choice([-1.0, 1.0])
    pose, yaw = walking_pose(rng), rng.uniform(0, 2 * np.pi)
    offset = (side * rng.uniform(0.28, 0.5), rng.uniform(-0.35, 0.05))
    paint(picture, take_position(figure, pose, yaw, view, offset), view, frame, light, rng)


def paint_bush(picture: Floats, light: Light, rng: np.random.Generator) -> None:
    """Hide the lower part of one side behind a bush, a wall or a car."""
    rows, columns = picture.shape[:2]
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    side = rng.choice([-1, 1])
    wave = np.sin(x / columns * rng.uniform(2, 14) + rng.uniform(0, 2 * np.pi))
    edge = rng.uniform(0.5, 0.85) * rows + 0.05 * rows * wave
    if rng.random() < 0.5:
        edge = edge + 0.09 * rows * noise(rng, (rows, columns), 20, 2)
    end = columns / 2 + side * rng.uniform(-0.3, 0.45) * columns
    hidden = (y > edge) & (x * side > end * side)
    colour = linear(pick(rng, TOPS)) * (light.sky + 0.4 * light.sun)
    leaves = 1 + 0.3 * noise(rng, (rows, columns), 12, 3)
    picture[hidden] = leaves[hidden, None] * colour


def paint_post(picture: Floats, light: Light, rng: np.random.Generator) -> None:
    """Put a post in front."""
    rows, columns = picture.shape[:2]
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    half, centre = rng.uniform(0.05, 0.16) * columns, rng.uniform(0.15, 0.85) * columns
    away = np.abs(x - centre + (y - rows / 2) * rng.normal(0, 0.03))
    post = away < half
    colour = linear(pick(rng, TOPS)) * (light.sky + 0.4 * light.sun)
    picture[post] = (1.1 - 0.5 * away[post] / half)[:, None] * colour
