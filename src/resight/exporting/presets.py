"""What the consumers of exported encoders feed them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resight.inference.described import ANY, Input

IMAGES = "images"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BOXMOT_NAME = "osnet_x0_25_resight"
BOXMOT_SIZE = (256, 128)

Size = tuple[int, int]


@dataclass(frozen=True)
class Preset:
    """An agreement between a network and who calls it.

    line: about it. takes: the network's input for encoders of (height, width). stem: of the file.
    resizes: whether the network takes any size; otherwise only the encoder's own.
    """

    line: str
    takes: Callable[[Size], Input]
    stem: str = "model"
    resizes: bool = True


def _plain(size: Size) -> Input:
    return Input(IMAGES, "uint8", ANY, ANY, white=255)


def _boxmot(size: Size) -> Input:
    """RGB in 0 … 1, less ImageNet's mean and divided by its deviation, at the encoder's size."""
    return Input(IMAGES, "float32", *size, white=1, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _ultralytics(size: Size) -> Input:
    """Squares as high as the input, RGB in 0 … 1, by bilinear interpolation.

    A fixed height tells the side of these squares; where the encoder is wider than high, none is
    fixed, and they have 224 pixels.
    """
    height = size[0] if size[0] >= size[1] else ANY
    return Input(IMAGES, "float32", height, ANY, white=1)


PRESETS = {
    "plain": Preset("uint8 RGB of any size, resized and normalised inside", _plain),
    "boxmot": Preset(
        "BoxMOT's ReID: ImageNet normalisation outside", _boxmot, BOXMOT_NAME, resizes=False
    ),
    "ultralytics": Preset("Ultralytics' ReID: RGB / 255 of any width", _ultralytics),
}
