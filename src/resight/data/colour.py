"""Colour histograms: features without learning."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from resight.records import FloatArray

STRIPES = 8
FOCUS = 0.13
HUES, SATURATIONS, VALUES = 12, 2, 3
GREYS = 8
N_BINS = GREYS + HUES * SATURATIONS * VALUES
GREY_SATURATION, DARK_VALUE = 0.15, 0.15
LEVEL_BITS = 5
BLOCK_PIXELS = 2**22


def colour_histogram(images: npt.NDArray[np.uint8], *, stripes: int = STRIPES) -> FloatArray:
    """Colour histograms in horizontal stripes of images (N, H, W, 3) uint8 RGB: (N, stripes × 80).

    Each stripe has a joint HSV histogram: 12 hues × 2 saturations × 3 values for colours, and 8
    values for greys and dark pixels, whose hue means nothing. Square roots of the stripe's shares
    (Hellinger) over sqrt(stripes) have unit length, so the cosine of two images is the mean
    Bhattacharyya coefficient of their stripes. Pixels count by a Gaussian of their distance from
    the middle column, with a deviation of 0.13 widths, because crops show the background at the
    sides. Images may be a memory map; a block of about 4
    million pixels is read at a time. Raises ValueError for other shapes or types, and for images
    of fewer rows than stripes.
    """
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise ValueError(
            f"images have shape {images.shape} and dtype {images.dtype}, "
            "expected (N, H, W, 3) uint8"
        )
    n, height, width, _ = images.shape
    if not 1 <= stripes <= height or not width:
        raise ValueError(
            f"stripes={stripes} for images of {height} × {width} pixels, expected 1 … H"
        )
    step = max(1, BLOCK_PIXELS // (height * width))
    histograms = np.empty((n, stripes * N_BINS), dtype=np.float32)
    for start in range(0, n, step):
        histograms[start : start + step] = _histograms(images[start : start + step], stripes)
    return histograms


def _histograms(images: npt.NDArray[np.uint8], stripes: int) -> FloatArray:
    n, height, width, _ = images.shape
    levels = (images >> (8 - LEVEL_BITS)).astype(np.uint16)
    codes = (levels[..., 0] << 2 * LEVEL_BITS) | (levels[..., 1] << LEVEL_BITS) | levels[..., 2]
    stripe = np.arange(height) * stripes // height  # (H,)
    offset = (np.arange(n)[:, None] * stripes + stripe) * N_BINS  # (N, H)
    bins = _bin_of_code()[codes] + offset[:, :, None]  # (N, H, W)
    weights = np.broadcast_to(_focus(width), bins.shape)
    counts = np.bincount(bins.ravel(), weights.ravel(), minlength=n * stripes * N_BINS)
    pixels = np.bincount(stripe, minlength=stripes)  # (stripes,)
    shares = counts.reshape(n, stripes, N_BINS) / (pixels[:, None] * stripes)
    roots: FloatArray = np.sqrt(shares).astype(np.float32)
    return roots.reshape(n, -1)


def _focus(width: int) -> npt.NDArray[np.float64]:
    """(W,) weights of the columns, which sum to 1."""
    off_centre = (np.arange(width) - (width - 1) / 2) / width
    weights: npt.NDArray[np.float64] = np.exp(-((off_centre / FOCUS) ** 2) / 2)
    weights /= weights.sum()
    return weights


@cache
def _bin_of_code() -> npt.NDArray[np.int64]:
    """(2^15,) histogram bin of each colour, red, green and blue quantised to 5 bits each."""
    size = 2**LEVEL_BITS
    codes = np.arange(size**3)
    sector, saturation, value = _hsv(
        np.stack([codes // size**2, codes // size % size, codes % size])
    )
    top = size - 1
    grey = (saturation < GREY_SATURATION) | (value / top < DARK_VALUE)
    cell = _level(sector, 6, HUES) * SATURATIONS + _level(saturation, 1, SATURATIONS)
    coloured = GREYS + cell * VALUES + _level(value, top, VALUES)
    bins = np.where(grey, _level(value, top, GREYS), coloured)
    bins.setflags(write=False)
    return bins


def _hsv(channels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(3, M) red, green, blue levels to (3, M): hue in [0, 6), saturation in [0, 1], value."""
    red, green, blue = channels
    value = channels.max(axis=0)
    span = value - channels.min(axis=0)
    divisor = np.maximum(span, 1)
    sector = np.select(
        [value == red, value == green],
        [(green - blue) / divisor % 6, (blue - red) / divisor + 2],
        (red - green) / divisor + 4,
    )
    return np.stack([sector, span / np.maximum(value, 1), value])


def _level(values: npt.NDArray[np.float64], top: int, n: int) -> npt.NDArray[np.int64]:
    """Values in [0, top] to equal steps 0 … n-1."""
    return np.minimum((values * n / top).astype(np.int64), n - 1)
