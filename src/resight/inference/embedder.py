"""The encoder as users hold it: pictures, crops or detections in, embeddings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from resight import models
from resight.device import Device, Precision
from resight.errors import ConfigError, RunError
from resight.files import digest_of
from resight.inference.detections import crop_pixels
from resight.inference.networks import ONNX, SCRIPT, EncoderNetwork, Network, open_export
from resight.inference.pictures import Picture, Pixels, check_several, to_pixels
from resight.records import FloatArray

BATCH = 64
WEIGHTS = "model.safetensors"
_EXPORTS = (ONNX, SCRIPT, ".pt")


class Boxes(Protocol):
    """What detections need to have, as `supervision.Detections` do.

    xyxy: (N, 4) left, top, right and bottom in pixels.
    """

    @property
    def xyxy(self) -> npt.NDArray[Any]:
        """The boxes."""


@dataclass(frozen=True, eq=False)
class Embedder:
    """An encoder that embeds pictures; open one with `Embedder.open` or `resight.load`.

    dim: D, the length of embeddings. size: (height, width) that pictures are resized to. digest:
    sha256 of the encoder's weights file, in hexadecimal; of an export, that of the run's. Safe to
    use from several threads.
    """

    dim: int
    size: tuple[int, int]
    digest: str
    network: Network

    @classmethod
    def open(
        cls, path: str | Path, *, device: str = "auto", precision: Precision = "auto"
    ) -> Embedder:
        """The encoder of a run folder, or of an export's folder or file.

        device: auto, cpu, cuda or cuda:N. precision: of a run's encoder, as in training; exported
        networks run in float32.

        Raises RunError when `path` holds no encoder, or one that is damaged or of a newer format;
        ConfigError for a device or precision that cannot be had.
        """
        place = Device.choose(device, precision)
        file = _model_file(Path(path))
        if file.name == WEIGHTS:
            return cls._of_weights(file, place)
        if precision == "bf16":
            raise ConfigError(f"{file} runs in float32: leave precision out, or open the run")
        opened = open_export(file, place)
        told = opened.described
        return cls(told.dim, told.size, told.digest, opened)

    @classmethod
    def _of_weights(cls, file: Path, place: Device) -> Embedder:
        encoder, size = models.load(file.parent)
        encoder.requires_grad_(False).to(place.place)
        return cls(encoder.dim, size, digest_of(file), EncoderNetwork(encoder, place))

    def embed(self, pictures: Iterable[Picture], *, batch: int = BATCH) -> FloatArray:
        """Embeddings of pictures: (N, D) float32, rows of length 1, in their order.

        pictures: paths, bytes, Pillow images or arrays (H, W, 3) of uint8 RGB of any size, as
        `to_pixels` takes them. batch: how many are decoded and embedded at a time.

        Raises DataError for a picture that cannot be read.
        """
        check_several(pictures)
        parts = [
            self.embed_pixels(to_pixels(part, self.size), batch=batch)
            for part in _batched(pictures, batch)
        ]
        return np.concatenate(parts) if parts else self._none()

    def embed_pixels(self, pixels: Pixels, *, batch: int = BATCH) -> FloatArray:
        """Embeddings of crops that are of `size` already: (N, D) float32, rows of length 1.

        pixels: (N, H, W, 3) uint8 RGB, such as rows of an image store. batch: how many are embedded
        at a time. Raises ValueError for another shape or type.
        """
        if batch < 1:
            raise ValueError(f"batch is {batch}, expected >= 1")
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (*self.size, 3):
            raise ValueError(
                f"pixels have shape {pixels.shape} and type {pixels.dtype}, expected "
                f"(N, {self.size[0]}, {self.size[1]}, 3) uint8"
            )
        if not len(pixels):
            return self._none()
        parts = [self.network(pixels[at : at + batch]) for at in range(0, len(pixels), batch)]
        return np.concatenate(parts)

    def extract_features(
        self, detections: Boxes, frame: Pixels, *, rgb: bool = False, batch: int = BATCH
    ) -> FloatArray:
        """Embeddings of the detections of a frame: (N, D) float32, rows of length 1.

        detections: `supervision.Detections`, or anything whose `xyxy` is (N, 4). frame: (h, w, 3)
        uint8, BGR as OpenCV and supervision have it, RGB with `rgb`. Boxes are clipped to the
        frame.

        Raises DataError for a box that holds no pixel of the frame, or another frame.
        """
        pixels = crop_pixels(detections.xyxy, frame, self.size, rgb=rgb)
        return self.embed_pixels(pixels, batch=batch)

    def _none(self) -> FloatArray:
        return np.empty((0, self.dim), np.float32)


def load(path: str | Path, *, device: str = "auto", precision: Precision = "auto") -> Embedder:
    """The encoder of a run folder, or of an export's folder or file: see `Embedder.open`."""
    return Embedder.open(path, device=device, precision=precision)


def _model_file(path: Path) -> Path:
    """The file of weights, ONNX or TorchScript that a path is or holds."""
    if path.is_dir():
        exported = sorted(f for f in path.iterdir() if f.suffix in (ONNX, SCRIPT))
        if len(exported) > 1:
            names = ", ".join(file.name for file in exported)
            raise RunError(f"{path} holds several exports: give one of {names}")
        return exported[0] if exported else path / WEIGHTS
    if not path.exists():
        raise RunError(
            f"{path} does not exist: give the folder that `resight train` or `resight export` wrote"
        )
    if path.suffix in _EXPORTS:
        return path
    if path.name != WEIGHTS:
        raise RunError(
            f"{path} is no encoder: give a run folder, an export's folder, or a file {WEIGHTS}, "
            "*.onnx or *.torchscript"
        )
    return path


def _batched(pictures: Iterable[Picture], batch: int) -> Iterator[list[Picture]]:
    if batch < 1:
        raise ValueError(f"batch is {batch}, expected >= 1")
    rest = iter(pictures)
    while part := list(islice(rest, batch)):
        yield part
