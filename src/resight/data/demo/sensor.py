"""Image formation: exposure, colour response, resolution, blur, noise, JPEG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from resight.data.demo.cameras import Camera
from resight.data.demo.skeleton import Floats
from resight.data.demo.world import World

_FEWEST_LINES = 40
_MOTION = 0.35
_BOX, _BILINEAR = Image.Resampling.BOX, Image.Resampling.BILINEAR


def expose(
    scene: Floats,
    view: Camera,
    world: World,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Take the picture (H, W, 3) of `size` from linear light (any height and width, 3)."""
    height, width = size
    exposure = 2 ** rng.normal(0, 0.2 * world.light)
    lines = _lines(view, world, height, rng)
    columns = max(8, round(lines * width / height))
    defocus = view.optics.blur * world.blur * rng.uniform(0.3, 1.5) * 0.6 * height / lines
    image = respond(_resized(scene, columns, lines), view, exposure)
    if world.blur > 0 and rng.random() < _MOTION:
        image = _moved(image, int(1 + rng.uniform(0, 0.045) * columns * world.blur))
    image = _noisy(image, view.optics.noise * world.noise, rng)
    picture = Image.fromarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))
    if defocus > 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(min(defocus, 1.2)))
    if world.jpeg > 0:
        quality = 95 - (95 - view.optics.quality) * world.jpeg + rng.normal(0, 6)
        picture = _compressed(picture, int(np.clip(quality, 12, 95)))
    return np.asarray(picture.resize((width, height), _BILINEAR))


def respond(scene: Floats, view: Camera, exposure: float) -> Floats:
    """Linear light (H, W, 3) as the camera's colours, 0 to 1 in sRGB-like gamma."""
    image = np.clip(scene * (view.white * view.gain * exposure).astype(np.float32), 0, 4)
    image /= 1 + 0.25 * image
    grey = image @ np.full((3, 1), 1 / 3, np.float32)
    image = np.clip(grey + (image - grey) * np.float32(view.saturation), 0, 1)
    image **= np.float32(view.gamma / 2.2)
    return np.asarray(view.black + (1 - view.black) * image, np.float32)


def _lines(view: Camera, world: World, height: int, rng: np.random.Generator) -> int:
    """Rows that the camera resolves in this shot, on the way from `height` to its own."""
    own = view.optics.lines * 2 ** rng.normal(0, 0.35)
    own = min(max(own, _FEWEST_LINES), 1.2 * height)
    return round(height + (own - height) * world.low_resolution)


def _resized(image: Floats, columns: int, lines: int) -> Floats:
    channels = (Image.fromarray(np.ascontiguousarray(image[:, :, c])) for c in range(3))
    return np.stack([np.asarray(c.resize((columns, lines), _BOX)) for c in channels], -1)


def _moved(image: Floats, reach: int) -> Floats:
    if reach < 2:
        return image
    padded = np.pad(image, ((0, 0), (reach, reach), (0, 0)), mode="edge")
    columns, count = image.shape[1], 2 * reach + 1
    total = sum((padded[:, k : k + columns] for k in range(count)), np.zeros_like(image))
    return total / np.float32(count)


def _noisy(image: Floats, strength: float, rng: np.random.Generator) -> Floats:
    if strength == 0:
        return image
    colour = rng.standard_normal(image.shape, np.float32) * np.float32(strength)
    grey = rng.standard_normal((*image.shape[:2], 1), np.float32) * np.float32(strength / 2)
    return image + colour * (0.5 + np.sqrt(np.clip(image, 0, 1))) + grey


def _compressed(picture: Image.Image, quality: int) -> Image.Image:
    with io.BytesIO() as file:
        picture.save(file, "JPEG", quality=quality)
        with Image.open(file) as opened:
            opened.load()
            return opened
