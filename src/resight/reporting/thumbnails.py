"""Crops as small JPEGs inside the page."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

QUALITIES = (82, 70, 55, 40, 25, 10)
MAX_BYTES = 8_000
FORMATS = ("JPEG", "PNG", "BMP", "WEBP")  # those that crops are read from

Box = tuple[float, float, float, float]


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

    def __call__(self, path: str, box: Box | None = None) -> Thumbnail:
        """The thumbnail of a crop; one that cannot be read is added to `missing`.

        box: left, top, width and height in the frame that the crop is cut from; see `crop_file`.
        """
        picture = read_picture(crop_file(self.root, path, box), self.width, self.height, box=box)
        if picture is None:
            self.missing.append(path)
            return Thumbnail(path, None, self.height // 2, self.height)
        data = base64.b64encode(_jpeg(picture)).decode("ascii")
        return Thumbnail(path, f"data:image/jpeg;base64,{data}", *picture.size)


def crop_file(root: Path, path: str, box: Box | None) -> Path:
    """The image of a crop: of one with a box the frame, whose name ends where the last "#" is."""
    return root / (path if box is None else path.rpartition("#")[0] or path)


def box_of(entry: Mapping[str, Any]) -> Box | None:
    """The box under "box", None where there is none.

    Raises ValueError or TypeError for anything but four finite numbers.
    """
    if entry.get("box") is None:
        return None
    left, top, width, height = (float(number) for number in entry["box"])
    if not all(map(math.isfinite, (left, top, width, height))):
        raise ValueError(f"a box is {entry['box']}")
    return left, top, width, height


def read_picture(
    file: Path, width: int, height: int, *, box: Box | None = None
) -> Image.Image | None:
    """The picture in RGB, upright, cut to `box`, scaled to fit width × height.

    None when it cannot be read, or when the box lies outside of it.
    """
    if not file.is_file():
        return None
    try:
        with Image.open(file, formats=FORMATS) as image:
            if box is None:
                image.draft("RGB", (2 * width, 2 * height))
            upright = _rgb(ImageOps.exif_transpose(image))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    part = upright if box is None else _cut(upright, box)
    return part and _fit(part, width, height)


def _rgb(image: Image.Image) -> Image.Image:
    """As encoders see it: of 16-bit grey the high byte, transparent pixels on white."""
    if image.mode.startswith("I"):
        image = image.point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _fit(picture: Image.Image, width: int, height: int) -> Image.Image:
    """As large as fits width × height, and a pixel at least: cut crops may be thin as a line."""
    scale = min(width / picture.width, height / picture.height)
    size = (max(1, round(scale * picture.width)), max(1, round(scale * picture.height)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _cut(frame: Image.Image, box: Box) -> Image.Image | None:
    """The whole pixels of the frame that lie in the box, None where there are none."""
    left, top = max(round(box[0]), 0), max(round(box[1]), 0)
    right = min(round(box[0] + box[2]), frame.width)
    bottom = min(round(box[1] + box[3]), frame.height)
    return frame.crop((left, top, right, bottom)) if left < right and top < bottom else None


def _jpeg(picture: Image.Image) -> bytes:
    data = b""
    for quality in QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        data = buffer.getvalue()
        if len(data) <= MAX_BYTES:
            break
    return data
