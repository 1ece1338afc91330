"""Cameras: how they look at people, and the light that falls there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from resight.data.demo.optics import OPTICS, Optics
from resight.data.demo.randomness import Stream, generator
from resight.data.demo.skeleton import Doubles, Floats, X, Y, rotation
from resight.data.demo.world import World

MAX_CAMERAS = len(OPTICS)


@dataclass(frozen=True, eq=False)
class Light:
    """The light of one shot, in the frame of the street: x right, y up, z to the camera."""

    towards_sun: Doubles  # (3,), unit
    sun: float
    sky: float
    sky_colour: Doubles  # (3,)

    @property
    def on_ground(self) -> float:
        """Light that an open street throws back, relative to its albedo."""
        return 0.5 * self.sun + self.sky


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera of a world; its optics are scaled by the strengths of that world."""

    optics: Optics
    distance: float  # metres
    pitch: float  # degrees
    azimuth: float  # of the sun, radians
    elevation: float
    white: Doubles  # (3,)
    gamma: float
    saturation: float
    black: float
    gain: float

    def project(
        self, points: Floats, yaw: float, offset: tuple[float, float] = (0.0, 0.0)
    ) -> Floats:
        """Points (V, 3) of a person turned by `yaw` radians as x, y (up), depth in metres.

        x and y are measured on a plane through the person, moved by `offset` on it.
        """
        turn = rotation(X, float(np.radians(self.pitch))) @ rotation(Y, yaw)
        seen = points @ turn.T.astype(np.float32)
        centre = 0.85 * np.cos(np.radians(self.pitch))
        depth = self.distance - seen[:, 2]
        shrink = self.distance / depth
        x = seen[:, 0] * shrink + offset[0]
        y = (seen[:, 1] - centre) * shrink + centre + offset[1]
        return np.stack([x, y, depth], 1).astype(np.float32)

    @property
    def towards_camera(self) -> Doubles:
        """Unit vector (3,) in the frame of the street."""
        pitch = np.radians(self.pitch)
        return np.array([0, np.sin(pitch), np.cos(pitch)])


@lru_cache(maxsize=64)
def camera(world: World, seed: int, number: int) -> Camera:
    """Camera `number` (1 to 12) of a world."""
    rng = generator(seed, Stream.CAMERA, number)
    optics, strength = OPTICS[number - 1], world.camera
    return Camera(
        optics=optics,
        distance=rng.uniform(6, 14),
        pitch=optics.pitch * world.pitch,
        azimuth=rng.uniform(-np.pi, np.pi),
        elevation=np.radians(rng.uniform(25, 65)),
        white=np.array(optics.white) ** strength,
        gamma=1 + strength * optics.gamma,
        saturation=1 + strength * optics.saturation,
        black=strength * optics.black,
        gain=1.25 * 2 ** (strength * optics.exposure),
    )


def draw_light(view: Camera, strength: float, rng: np.random.Generator) -> Light:
    """Draw the light of one shot: sun or clouds, time of day."""
    azimuth = view.azimuth + rng.normal(0, 0.5 * strength)
    sun = view.optics.sun * 2 ** rng.normal(0, 0.45 * strength)
    clouded = rng.random() < 0.2 * strength
    flat = np.cos(view.elevation)
    return Light(
        towards_sun=np.array(
            [np.sin(azimuth) * flat, np.sin(view.elevation), np.cos(azimuth) * flat]
        ),
        sun=0.0 if clouded else sun,
        sky=view.optics.sky * 2 ** rng.normal(0, 0.25 * strength),
        sky_colour=np.array(view.optics.sky_colour),
    )
