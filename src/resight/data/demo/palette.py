"""Colours of skin, hair, clothes and bags, as often as streets show them (sRGB, 0 to 255)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from resight.data.demo.skeleton import Doubles

Swatch = tuple[tuple[int, int, int], float]

TOPS: tuple[Swatch, ...] = (
    ((20, 20, 22), 20),
    ((52, 52, 56), 10),
    ((112, 112, 116), 9),
    ((180, 180, 182), 5),
    ((232, 232, 230), 14),
    ((26, 32, 62), 10),
    ((45, 80, 150), 6),
    ((150, 185, 222), 5),
    ((172, 30, 36), 6),
    ((96, 22, 34), 4),
    ((38, 92, 58), 3),
    ((92, 94, 58), 4),
    ((200, 178, 142), 5),
    ((98, 70, 50), 4),
    ((226, 140, 165), 4),
    ((228, 196, 60), 3),
    ((226, 112, 40), 2),
    ((102, 62, 130), 2),
    ((40, 130, 135), 2),
)
LEGS: tuple[Swatch, ...] = (
    ((20, 20, 24), 28),
    ((32, 40, 66), 20),
    ((62, 86, 126), 14),
    ((128, 152, 184), 7),
    ((96, 96, 100), 9),
    ((182, 164, 128), 8),
    ((226, 226, 222), 3),
    ((84, 62, 46), 4),
    ((84, 88, 62), 4),
    ((130, 30, 38), 2),
    ((60, 60, 62), 6),
)
SHOES: tuple[Swatch, ...] = (
    ((25, 25, 27), 40),
    ((225, 225, 222), 30),
    ((110, 75, 50), 10),
    ((120, 120, 124), 10),
    ((170, 40, 40), 4),
    ((40, 60, 120), 6),
)
BAGS: tuple[Swatch, ...] = (
    ((22, 22, 24), 30),
    ((40, 44, 70), 14),
    ((170, 40, 40), 10),
    ((225, 190, 50), 6),
    ((90, 110, 80), 8),
    ((130, 90, 60), 12),
    ((120, 122, 126), 12),
    ((50, 120, 170), 8),
)
SKINS: tuple[Swatch, ...] = (
    ((236, 200, 175), 25),
    ((222, 178, 148), 27),
    ((205, 155, 122), 20),
    ((175, 122, 90), 13),
    ((125, 84, 60), 10),
    ((84, 56, 42), 5),
)
HAIRS: tuple[Swatch, ...] = (
    ((22, 20, 20), 45),
    ((55, 38, 28), 25),
    ((105, 72, 45), 12),
    ((190, 155, 100), 8),
    ((150, 148, 146), 8),
    ((130, 60, 35), 2),
)


def pick(rng: np.random.Generator, swatches: Sequence[Swatch]) -> Doubles:
    """Draw a colour (3,) by its frequency."""
    shares = np.array([share for _, share in swatches])
    index = rng.choice(len(swatches), p=shares / shares.sum())
    return np.array(swatches[index][0], float)


def far_from(colour: Doubles, swatches: Sequence[Swatch], distance: float) -> list[Swatch]:
    """The swatches whose channels differ from `colour` by more than `distance` in sum."""
    return [s for s in swatches if np.abs(np.array(s[0]) - colour).sum() > distance]


def vary(rng: np.random.Generator, colour: Doubles, share: float) -> Doubles:
    """Change brightness by up to `share`, and the hue by a little."""
    hue = rng.normal(0, 255 * share * 0.12, 3)
    varied: Doubles = np.clip(colour * rng.uniform(1 - share, 1 + share) + hue, 6, 245)
    return varied


def linear(colour: object) -> Doubles:
    """Light intensity of an sRGB colour of any shape, 0 to 1."""
    return np.asarray((np.asarray(colour, float) / 255) ** 2.2)
