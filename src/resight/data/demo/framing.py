"""The person detector: boxes around people, a little off, as detectors are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resight.data.demo.skeleton import Floats

_CUT = 0.08
_FAR_OFF = 0.15


@dataclass(frozen=True)
class Frame:
    """A box on the picture plane, in metres, and the pixels it is rendered to."""

    x: float
    y: float
    width: float
    height: float
    columns: int
    rows: int

    def to_screen(self, points: Floats) -> Floats:
        """Points (V, 3) as x, y, depth in metres become column, row, depth."""
        column = (points[:, 0] - self.x) * (self.columns / self.width) + self.columns / 2 - 0.5
        row = (self.y - points[:, 1]) * (self.rows / self.height) + self.rows / 2 - 0.5
        return np.stack([column, row, points[:, 2]], 1).astype(np.float32)


def detect(points: Floats, size: tuple[int, int], jitter: float, rng: np.random.Generator) -> Frame:
    """Draw a box around the projected points (V, 3) for a rendering of `size` (rows, columns)."""
    rows, columns = size
    left, right = float(points[:, 0].min()), float(points[:, 0].max())
    bottom, top = float(points[:, 1].min()), float(points[:, 1].max())
    tall = top - bottom
    x = (left + right) / 2 + rng.normal(0, 0.035 * jitter) * tall
    y = (bottom + top) / 2 + rng.normal(0, 0.03 * jitter) * tall
    margin = 1.06 + rng.normal(0, 0.05 * jitter) + 0.08 * jitter * (rng.random() < _FAR_OFF)
    height = tall * max(0.7, margin)
    aspect = columns / rows * max(0.6, 1 + rng.normal(0, 0.06 * jitter))
    width = max(height * aspect, (right - left) * 0.8)
    if rng.random() < _CUT * jitter:
        legs = rng.uniform(0.1, 0.3) * height
        y, height = y + legs / 2, height - legs
    return Frame(x=x, y=y, width=width, height=height, columns=columns, rows=rows)
