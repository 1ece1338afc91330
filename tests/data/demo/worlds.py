"""The fixed small world of the reference pictures; run this file to draw them anew."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resight.data.demo import DIFFICULTIES, World, render_image

REFERENCE = Path(__file__).with_name("reference.png")
SEED = 7
SIZE = (64, 32)
SHOTS = list(product((1, 5), (1, 4), (0, 1)))  # identity, camera, shot


def contact_sheet() -> NDArray[np.uint8]:
    """One row per difficulty, one column per shot: (3 * 64, 8 * 32, 3)."""
    rows = []
    for name in DIFFICULTIES:
        world = World.named(name)
        rows.append(np.concatenate([render_image(world, SEED, *s, SIZE) for s in SHOTS], axis=1))
    return np.concatenate(rows)


if __name__ == "__main__":
    Image.fromarray(contact_sheet()).save(REFERENCE, optimize=True)
