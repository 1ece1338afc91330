"""Uploaded pictures: looked at before they are decoded."""

from __future__ import annotations

import io
from collections.abc import Sequence

from fastapi import HTTPException
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from resight.errors import DataError
from resight.inference import Picture, to_pixels
from resight.inference.pictures import Pixels

_READERS: dict[bytes, type[ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"BM": BmpImageFile,
    b"RIFF": WebPImageFile,
}


def check_picture(data: bytes, *, max_pixels: int) -> None:
    """Look at what the file's head tells; nothing is decoded.

    Raises HTTPException 415 for what is no JPEG, PNG, BMP or WebP file, 413 for too many pixels.
    """
    try:
        reader = next(reader for first, reader in _READERS.items() if data.startswith(first))
        with reader(io.BytesIO(data)) as picture:
            width, height = picture.size
    except Exception as error:  # Pillow's readers raise nearly anything on hostile bytes
        what = "is no JPEG, PNG, BMP or WebP file that can be read" if data else "is empty"
        raise HTTPException(415, f"an uploaded picture {what}") from error
    if height * width > max_pixels:
        raise HTTPException(
            413, f"a picture has {width} x {height} pixels, more than {max_pixels:,}: send less"
        )


def decoded(pictures: Sequence[Picture], size: tuple[int, int]) -> Pixels:
    """(N, H, W, 3) pixels of checked pictures; raises HTTPException 415 for a broken one."""
    try:
        return to_pixels(pictures, size)
    except DataError as error:
        raise HTTPException(415, f"an uploaded {error}") from error
