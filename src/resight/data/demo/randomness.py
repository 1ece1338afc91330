"""Independent random streams: a picture depends on its own numbers and on nothing else."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a generator is for; part of its seed."""

    GROUP = 1
    IDENTITY = 2
    CAMERA = 3
    PLACE = 4
    SHOT = 5
    VISIT = 6
    GROUP_OF_PASSERS_BY = 7
    PASSER_BY = 8
    CLOTH = 9


def generator(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """Return the generator of (seed, stream, key); all numbers >= 0."""
    return np.random.default_rng([seed, stream, *key])
