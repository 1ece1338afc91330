"""Small pictures of a gallery's crops, made of the pixels that the encoder saw."""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from resight.errors import GalleryError
from resight.gallery.settings import Policy
from resight.records import IntArray

FOLDER = "thumbnails"
HEIGHT, WIDEST = 128, 384
BLURRED_HEIGHT = 8
SUFFIX = ".jpg"
QUALITY = 85
_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Thumbnails:
    """JPEG files below `folder`, named after source and path of their crop.

    A name does not depend on the row's id, so that pictures can be written before their rows are:
    whenever the work is killed, no row lacks its picture. policy: "keep"; "blur" for no more
    detail than 8 lines of pixels have, which hides faces; "none" for no pictures at all.
    """

    folder: Path
    policy: Policy

    def write(
        self,
        crops: Sequence[tuple[str, str]],
        pixels: npt.NDArray[np.uint8],
        sizes: IntArray,
    ) -> None:
        """Write the pictures of N crops, each a source and a path.

        pixels: (N, H, W, 3) RGB as the encoder sees them, whatever the proportions of the original.
        sizes: (N, 2) height and width of the originals, whose proportions the pictures get.
        Raises GalleryError when they cannot be written.
        """
        if self.policy == "none":
            return
        shares = [slice(first, None, _THREADS) for first in range(_THREADS)]
        try:
            with ThreadPoolExecutor(_THREADS) as pool:
                tasks = [
                    pool.submit(self._write_all, crops[share], pixels[share], sizes[share])
                    for share in shares
                ]
            for task in tasks:
                task.result()
        except OSError as error:
            raise GalleryError(
                f"cannot write thumbnails to {self.folder}: {error.strerror or error}"
            ) from error

    def read(self, source: str, path: str) -> bytes | None:
        """The JPEG of a crop, None where none is kept."""
        try:
            return self._file(source, path).read_bytes() or None
        except OSError:
            return None

    def remove(self, crops: Iterable[tuple[str, str]]) -> None:
        """Remove the pictures of these crops; those that are not there do not matter.

        Raises GalleryError when one cannot be removed.
        """
        try:
            for source, path in crops:
                self._file(source, path).unlink(missing_ok=True)
        except OSError as error:
            raise GalleryError(f"cannot remove {error.filename}: {error.strerror}") from error

    def sweep(self, crops: Iterable[tuple[str, str]]) -> int:
        """Remove all pictures but those of these crops, and say how many that were."""
        kept = {_name(source, path) for source, path in crops}
        stray = [file for file in self.folder.glob("*/*") if file.stem not in kept]
        for file in stray:
            file.unlink(missing_ok=True)
        return len(stray)

    def restrict(self, policy: Policy) -> None:
        """Blur or remove what is kept, for a policy that keeps less than this one.

        Files that are no pictures go. Raises GalleryError when one cannot be changed.
        """
        try:
            if policy == "none" and self.folder.exists():
                shutil.rmtree(self.folder)
            elif policy == "blur":
                for file in list(self.folder.glob("*/*")):
                    _blur(file)
        except OSError as error:
            raise GalleryError(
                f"cannot change {error.filename or self.folder}: {error.strerror or error}; "
                "pictures are left that should not be kept"
            ) from error

    def _write_all(
        self, crops: Sequence[tuple[str, str]], pixels: npt.NDArray[np.uint8], sizes: IntArray
    ) -> None:
        for crop, picture, size in zip(crops, pixels, sizes, strict=True):
            self._write(crop, Image.fromarray(picture), size)

    def _write(self, crop: tuple[str, str], picture: Image.Image, size: IntArray) -> None:
        file, shape = self._file(*crop), fitted(size)
        if self.policy == "blur":
            small = _blurred(picture, shape)
        else:
            small = picture.resize(shape, Image.Resampling.BICUBIC, reducing_gap=1.0)
        try:
            _save(small, file)
        except FileNotFoundError:
            file.parent.mkdir(parents=True, exist_ok=True)
            _save(small, file)

    def _file(self, source: str, path: str) -> Path:
        name = _name(source, path)
        return self.folder / name[:2] / f"{name}{SUFFIX}"


def fitted(size: IntArray) -> tuple[int, int]:
    """Width and height of the picture of a crop of this (height, width): 128 high, or 384 wide."""
    height, width = (max(1, int(side)) for side in size)
    scale = min(HEIGHT / height, WIDEST / width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _name(source: str, path: str) -> str:
    named = f"{source}\0{path}".encode("utf-8", "surrogatepass")
    return blake2b(named, digest_size=12).hexdigest()


def _blurred(picture: Image.Image, shape: tuple[int, int]) -> Image.Image:
    """The picture as (width, height), with no more detail than 8 lines of pixels have."""
    width = max(1, round(BLURRED_HEIGHT * shape[0] / shape[1]))
    small = picture.resize((width, BLURRED_HEIGHT), Image.Resampling.BOX)
    return small.resize(shape, Image.Resampling.BICUBIC)


def _blur(file: Path) -> None:
    """Blur a picture in place; remove what is none, such as a draft of a killed process."""
    data = io.BytesIO(file.read_bytes())
    try:
        with Image.open(data) as picture:
            blurred = _blurred(picture.convert("RGB"), picture.size)
    except Exception:  # Pillow's readers raise nearly anything for what is cut off
        file.unlink()
        return
    if file.suffix == SUFFIX:
        _save(blurred, file)
    else:
        file.unlink()


def _save(picture: Image.Image, file: Path) -> None:
    """Write a JPEG; one that is there already is replaced in one step."""
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=QUALITY)
    with suppress(FileExistsError):
        with open(file, "xb", buffering=0) as new:
            new.write(data.getbuffer())
        return
    draft = file.with_name(f".{file.stem}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        draft.write_bytes(data.getbuffer())
        os.replace(draft, file)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
