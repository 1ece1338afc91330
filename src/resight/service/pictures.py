"""Uploaded pictures: looked at before they are decoded."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastapi import HTTPException

from resight.errors import DataError
from resight.inference import Picture, to_pixels
from resight.inference.pictures import Pixels, size_of

MOST_SCANS = 50
"""Scans of a JPEG, each a pass over all of its pixels; cameras write 1, most others up to 10."""

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_SCAN, _END = 0xDA, 0xD9
_RUN_LENGTHS = (1, 2)


def check_picture(data: bytes, *, max_pixels: int) -> None:
    """Look at what the file's head tells; nothing is decoded.

    Raises HTTPException 415 for what is no JPEG, PNG, BMP or WebP file, or a run-length encoded
    BMP, which Pillow decodes byte by byte; 413 for too many pixels, and too many scans of a JPEG.
    """
    try:
        height, width = size_of(data)
    except Exception as error:  # Pillow's readers raise nearly anything on hostile bytes
        what = "is no JPEG, PNG, BMP or WebP file that can be read" if data else "is empty"
        raise HTTPException(415, f"an uploaded picture {what}") from error
    if height * width > max_pixels:
        raise HTTPException(
            413, f"a picture has {width} x {height} pixels, more than {max_pixels:,}: send less"
        )
    scans = _scans(data) if data.startswith(b"\xff\xd8") else 0
    if scans > MOST_SCANS:
        raise HTTPException(
            413, f"a picture has {scans:,} scans, more than {MOST_SCANS}: save it anew"
        )
    if data.startswith(b"BM") and int.from_bytes(data[30:34], "little") in _RUN_LENGTHS:
        raise HTTPException(415, "a picture is a run-length encoded BMP: save it as JPEG or PNG")


def _scans(data: bytes) -> int:
    """Scans of a JPEG; what lies inside other segments, or after its end, is none.

    Phones append films of megabytes, in which the bytes of a scan's head come up by chance.
    """
    found, marker = 0, _MARKER.search(data)
    while marker is not None and data[marker.end() - 1] != _END:
        found += data[marker.end() - 1] == _SCAN
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        marker = _MARKER.search(data, marker.end() + max(length, 2))
    return found


def decoded(pictures: Sequence[Picture], size: tuple[int, int]) -> Pixels:
    """(N, H, W, 3) pixels of checked pictures; raises HTTPException 415 for a broken one."""
    try:
        return to_pixels(pictures, size)
    except DataError as error:
        raise HTTPException(415, f"an uploaded {error}") from error
