"""Image files to small RGB images; run as a script, it decodes chunks for another process.

Only the standard library and Pillow are imported, so that a process starts at once.
"""

from __future__ import annotations

import io
import json
import math
import os
import signal
import stat
import sys
import warnings
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from PIL import ExifTags, Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

MAX_PIXELS = 100_000_000
MAX_REDUCED_PIXELS = 500_000_000
MAX_BYTES = 1 << 30

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FIRST_SIDEWAYS = 5
_ORIENTED_BY = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")


class Cut(NamedTuple):
    """A part of an image: left, top, width and height in its pixels, upright."""

    file: str
    box: tuple[float, float, float, float]


Source = str | Cut


class Row(NamedTuple):
    """What decoding told of one file: `reason` is empty when it went well.

    digest: hexadecimal blake2b of the file's bytes, of a cut with its box. height, width: of the
    original, upright; of a cut, of what lies within the image.
    """

    reason: str = ""
    digest: str = ""
    height: int = 0
    width: int = 0


def decode_chunk(files: Sequence[Source], *, size: tuple[int, int], to: io.FileIO) -> list[Row]:
    """Decode `files` and write the readable ones to an unbuffered file, one after the other.

    Each takes H * W * 3 bytes, from the file's position on. Cuts from one image that follow each
    other share its decoding. A broken file only says why in its row; raises OSError when `to`
    cannot be written.
    """
    rows = []
    frame: _Frame | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for source in files:
            if isinstance(source, str):
                row, pixels = _decode_file(source, size)
            else:
                if frame is None or frame.file != source.file:
                    frame = _decode_frame(source.file)
                row, pixels = _cut(frame, source.box, size)
            write_all(to, pixels)
            rows.append(row)
    return rows


def decode(data: bytes, *, size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]]:
    """Decode a JPEG, PNG, BMP or WebP file to RGB at `size` = (H, W), upright, bicubic.

    Returns the image and the original (height, width), turned as the EXIF orientation says.
    Large JPEGs are decoded at a reduced scale, at least twice `size` where they have it; 16-bit
    grey keeps its high byte, transparent pixels are laid on white, and of an animation the first
    frame is taken.

    Raises ValueError for other formats and for images of more than `MAX_PIXELS` pixels
    (`MAX_REDUCED_PIXELS` for a baseline JPEG); whatever Pillow raises for broken ones.
    """
    image = _open(data)
    _check_pixels(image)  # first: to look for an orientation, Pillow may decode a PNG
    sideways = _orientation(image) >= _FIRST_SIDEWAYS
    original = image.size if sideways else (image.height, image.width)
    _reduce(image, size if sideways else (size[1], size[0]))
    return fit(image, size=size), original


def size_of(data: bytes) -> tuple[int, int]:
    """(height, width) that the head of an image file tells, as stored; nothing is decoded.

    Raises ValueError for what is no JPEG, PNG, BMP or WebP file, and whatever Pillow raises for a
    broken one.
    """
    image = _open(data)
    return image.height, image.width


def upright_size(data: bytes) -> tuple[int, int]:
    """(height, width) of an image file, turned as the EXIF orientation says; raises as `decode`."""
    image = _open(data)
    _check_pixels(image)
    return image.size if _orientation(image) >= _FIRST_SIDEWAYS else image.size[::-1]


def fit(image: Image.Image, *, size: tuple[int, int]) -> Image.Image:
    """An opened image as RGB at `size` = (H, W), upright, bicubic, transparent pixels on white.

    Raises whatever Pillow raises for a broken one.
    """
    turn = _orientation(image)
    sideways = turn >= _FIRST_SIDEWAYS
    small = _eight_bit(image).resize(
        size if sideways else (size[1], size[0]), Image.Resampling.BICUBIC
    )
    if turn in _TURNS:
        small = small.transpose(_TURNS[turn])
    return _on_white(small)


def reason_of(error: Exception) -> str:
    """Why an image cannot be read, in the words of whoever raised it."""
    told = isinstance(error, OSError) and error.strerror
    return told or str(error) or type(error).__name__


def read_file(file: str) -> bytes:
    """The bytes of an image file; raises OSError or ValueError for what is none or too large."""
    status = os.stat(file)
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size > MAX_BYTES:
        raise ValueError(f"the file has {status.st_size:,} bytes, more than {MAX_BYTES:,}")
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb", buffering=0) as opened:
        return opened.read()


def name_of(source: Source) -> str:
    """The file that a source is, or is cut from."""
    return source if isinstance(source, str) else source.file


def count_readable(rows: Sequence[Row]) -> int:
    """How many of the files could be decoded."""
    return sum(not row.reason for row in rows)


def write_all(file: io.FileIO, data: bytes) -> None:
    """Write all of `data` to an unbuffered file, however many calls that takes."""
    written = file.write(data)
    while written < len(data):
        written += file.write(memoryview(data)[written:])


def serve() -> None:
    """Decode chunks for another process, until it closes stdin or ends.

    Arguments: the file to write to, height, width. A line of stdin is a JSON list of a byte
    position and the files to decode, a cut as a list of a file and a box. The answer is a line of
    JSON on stdout: the rows, or an error number when the pixels cannot be written.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    size = (int(sys.argv[2]), int(sys.argv[3]))
    with open(sys.argv[1], "r+b", buffering=0) as images:
        for line in sys.stdin:
            at, *files = json.loads(line)
            sources = [f if isinstance(f, str) else Cut(f[0], tuple(f[1])) for f in files]
            try:
                images.seek(at)
                answer: object = decode_chunk(sources, size=size, to=images)
            except OSError as error:
                answer = error.errno
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


class _Frame(NamedTuple):
    """An image to cut from, at its full size; `reason` says why there is none."""

    file: str
    reason: str = ""
    digest: str = ""
    image: Image.Image | None = None


def _decode_file(file: str, size: tuple[int, int]) -> tuple[Row, bytes]:
    try:
        data = read_file(file)
        image, original = decode(data, size=size)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on hostile bytes
        return Row(reason_of(error)), b""
    return Row("", blake2b(data, digest_size=16).hexdigest(), *original), image.tobytes()


def _decode_frame(file: str) -> _Frame:
    try:
        data = read_file(file)
        image = _open(data)
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
        turn = _orientation(image)
        whole = _on_white(_eight_bit(image))
        upright = whole.transpose(_TURNS[turn]) if turn in _TURNS else whole
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on hostile bytes
        return _Frame(file, reason_of(error))
    return _Frame(file, "", blake2b(data, digest_size=16).hexdigest(), upright)


def _cut(
    frame: _Frame, box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[Row, bytes]:
    """The whole pixels of the frame that lie in the box, at `size`."""
    if frame.image is None:
        return Row(frame.reason), b""
    if not all(map(math.isfinite, box)):
        return Row("the box is not finite"), b""
    left, top = max(round(box[0]), 0), max(round(box[1]), 0)
    right = min(round(box[0] + box[2]), frame.image.width)
    bottom = min(round(box[1] + box[3]), frame.image.height)
    if right <= left or bottom <= top:
        return Row("the box lies outside the image"), b""
    part = frame.image.crop((left, top, right, bottom))
    small = part.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    digest = blake2b(f"{frame.digest} {box}".encode(), digest_size=16).hexdigest()
    return Row("", digest, bottom - top, right - left), small.tobytes()


def _open(data: bytes) -> ImageFile.ImageFile:
    """The reader of the format that the first bytes tell, so that no other is ever tried."""
    stream = io.BytesIO(data)
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile(stream)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile(stream)
    if data.startswith(b"BM"):
        return BmpImageFile(stream)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile(stream)
    if not data:
        raise ValueError("the file is empty")
    raise ValueError("not a JPEG, PNG, BMP or WebP image")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where it is missing or unreadable."""
    if not any(name in image.info for name in _ORIENTED_BY):
        return 1
    try:
        turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a broken note about the image does not break the image
        return 1
    return turn if turn in _TURNS else 1


def _check_pixels(image: ImageFile.ImageFile) -> None:
    """Refuse what would take too much memory at any scale."""
    reducible = isinstance(image, JpegImageFile) and not image.info.get("progressive")
    limit = MAX_REDUCED_PIXELS if reducible else MAX_PIXELS
    if image.width * image.height > limit:
        raise ValueError(f"{image.width} x {image.height} pixels, more than {limit:,}")


def _reduce(image: ImageFile.ImageFile, target: tuple[int, int]) -> None:
    """Set a JPEG to decode at a reduced scale; refuse what would still take too much memory."""
    width, height = image.size
    image.draft(None, (2 * target[0], 2 * target[1]))
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels, more than {MAX_PIXELS:,}")


def _eight_bit(image: Image.Image) -> Image.Image:
    """The image in one of the modes L, RGB and RGBA."""
    if image.mode.startswith("I"):
        return image.point(lambda value: value / 256).convert("L")
    if image.mode == "1":
        return image.convert("L")
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


if __name__ == "__main__":
    serve()
