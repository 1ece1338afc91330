"""Pictures of any kind to the pixels that encoders take, resized as the image store does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from resight.data.decode import MAX_PIXELS, decode, fit, read_file, reason_of, size_of
from resight.errors import DataError

__all__ = ["Picture", "Pixels", "check_array", "check_several", "size_of", "to_pixels"]

Pixels: TypeAlias = npt.NDArray[np.uint8]
Picture: TypeAlias = Image.Image | Pixels | str | Path | bytes


def to_pixels(pictures: Iterable[Picture], size: tuple[int, int]) -> Pixels:
    """Pictures at `size` = (H, W): (N, H, W, 3) uint8 RGB, the pixels that the image store has.

    A picture is an image file's path or bytes, a Pillow image, or an array (H, W, 3) of uint8 RGB;
    (H, W) is grey and (H, W, 4) RGBA. Transparent pixels are laid on white, and the EXIF
    orientation counts.

    Raises DataError for a picture that cannot be read or has too many pixels, and where a single
    one is given instead of several.
    """
    check_several(pictures)
    pixels = [_to_pixels(picture, row, size) for row, picture in enumerate(pictures)]
    return np.stack(pixels) if pixels else np.empty((0, *size, 3), np.uint8)


def check_several(pictures: Iterable[Picture]) -> None:
    """Raise DataError for a single picture, whose lines or letters would pass for pictures."""
    single: Any = pictures
    is_one = isinstance(single, (str, bytes, Path, Image.Image))
    if is_one or (isinstance(single, np.ndarray) and single.ndim != 4):
        raise DataError("a single picture is given where several are expected: put it in a list")


def check_array(array: npt.NDArray[Any], name: str) -> None:
    """Raise DataError, with its `name`, for an array that holds no picture."""
    channels = array.shape[2] if array.ndim == 3 else 3
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (3, 4):
        raise DataError(
            f"{name} is an array of shape {array.shape} and type {array.dtype}, "
            "expected (H, W, 3) uint8, RGB from 0 to 255"
        )
    if not array.size:
        raise DataError(f"{name} has no pixels, its shape is {array.shape}")


def _to_pixels(picture: Picture, row: int, size: tuple[int, int]) -> Pixels:
    name = str(picture) if isinstance(picture, str | Path) else f"picture {row}"
    try:
        return np.asarray(_resized(picture, name, size))
    except (DataError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on hostile bytes
        raise DataError(f"{name} cannot be read: {reason_of(error)}") from error


def _resized(picture: Picture, name: str, size: tuple[int, int]) -> Image.Image:
    if isinstance(picture, str | Path):
        picture = read_file(str(picture))
    if isinstance(picture, bytes):
        return decode(picture, size=size)[0]
    if isinstance(picture, np.ndarray):
        check_array(picture, name)
        image = Image.fromarray(np.ascontiguousarray(picture))
    elif isinstance(picture, Image.Image):
        image = picture
    else:
        raise DataError(
            f"{name} is of type {type(picture).__name__}: give a path, bytes, a Pillow image or an "
            "array"
        )
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
    return fit(image, size=size)
