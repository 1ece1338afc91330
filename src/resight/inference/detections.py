"""Boxes of a video frame to the pixels of crops."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from resight.data.decode import fit
from resight.errors import DataError
from resight.inference.pictures import Pixels, check_array


def crop_pixels(
    boxes: npt.NDArray[Any], frame: Pixels, size: tuple[int, int], *, rgb: bool = False
) -> Pixels:
    """The whole pixels of a frame that lie in each box, at `size`: (N, H, W, 3) uint8 RGB.

    boxes: (N, 4) left, top, right and bottom in pixels of the frame; what lies outside of it is cut
    off. frame: (h, w, 3) uint8, BGR as OpenCV and supervision have it, RGB with `rgb`; (h, w) is
    grey. Crops are those that the image store cuts from a frame's file.

    Raises DataError for another frame, and for a box that is not finite or without a pixel of the
    frame.
    """
    boxes = _checked(boxes)
    check_array(frame, "the frame")
    if frame.shape[2:] == (4,):
        raise DataError(f"the frame has shape {frame.shape}, expected (h, w, 3) without alpha")
    height, width = frame.shape[:2]
    corners = np.rint(boxes).clip(0, [width, height, width, height]).astype(np.int64)
    empty = (corners[:, 2] <= corners[:, 0]) | (corners[:, 3] <= corners[:, 1])
    if empty.any():
        row = int(empty.argmax())
        raise DataError(
            f"box {row} {_told(boxes[row])} holds no pixel of the frame, which is {width} wide and "
            f"{height} high: leave it out, or give the boxes in pixels of this frame"
        )
    pixels = np.empty((len(boxes), *size, 3), np.uint8)
    for row, (left, top, right, bottom) in enumerate(corners):
        part = frame[top:bottom, left:right]
        colours = part if rgb or part.ndim == 2 else part[..., ::-1]
        pixels[row] = np.asarray(fit(Image.fromarray(np.ascontiguousarray(colours)), size=size))
    return pixels


def _checked(boxes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Boxes as (N, 4) float64."""
    numbers = np.asarray(boxes, np.float64)
    if numbers.size == 0:
        return np.empty((0, 4))
    if numbers.ndim != 2 or numbers.shape[1] != 4:
        raise DataError(f"boxes have shape {numbers.shape}, expected (N, 4): x1, y1, x2, y2")
    broken = ~np.isfinite(numbers).all(axis=1)
    if broken.any():
        row = int(broken.argmax())
        raise DataError(f"box {row} {_told(numbers[row])} is not finite: leave it out")
    return numbers


def _told(box: npt.NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in box) + ")"
