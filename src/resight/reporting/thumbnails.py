"""Crops as small JPEGs inside the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageOps

QUALITIES = (82, 70, 55, 40, 25, 10)
MAX_BYTES = 8_000


@dataclass(frozen=True)
class Thumbnail:
    """A crop's picture: `uri` is None for a file that cannot be shown."""

    path: str
    uri: str | None
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Makes thumbnails of crops below `root`, each at most `width` × `height` pixels, and counts.

    A picture takes at most about 8 kB, so that pages of some hundred crops stay small.
    """

    root: Path
    width: int
    height: int
    missing: list[str] = field(default_factory=list)

    def __call__(self, path: str) -> Thumbnail:
        """The thumbnail of a crop; a file that cannot be read is added to `missing`."""
        picture = read_picture(self.root / path, self.width, self.height)
        if picture is None:
            self.missing.append(path)
            return Thumbnail(path, None, self.height // 2, self.height)
        data = base64.b64encode(_jpeg(picture)).decode("ascii")
        return Thumbnail(path, f"data:image/jpeg;base64,{data}", *picture.size)


def read_picture(file: Path, width: int, height: int) -> Image.Image | None:
    """The picture in RGB, upright, scaled to fit width × height; None when it cannot be read."""
    try:
        with Image.open(file) as image:
            image.draft("RGB", (2 * width, 2 * height))
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return ImageOps.contain(upright, (width, height), Image.Resampling.LANCZOS)


def _jpeg(picture: Image.Image) -> bytes:
    data = b""
    for quality in QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        data = buffer.getvalue()
        if len(data) <= MAX_BYTES:
            break
    return data
