"""What an exported network takes and gives: written beside it and into it, read when it opens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from resight.errors import RunError
from resight.parts import from_plain
from resight.records import FloatArray

FORMAT = 1
KEY = "resight"
ANY = None

Format: TypeAlias = Literal["onnx", "torchscript", "safetensors"]
Prepared: TypeAlias = npt.NDArray[np.uint8] | FloatArray


@dataclass(frozen=True)
class Input:
    """The only input of an exported network: (N, 3, H, W), RGB.

    height, width: ANY where they may differ. white: the value of a white pixel, 255 or 1; black is
    0. mean, std: per channel, subtracted and divided by outside of the network, after scaling to
    `white`.
    """

    name: str
    dtype: Literal["uint8", "float32"]
    height: int | None
    width: int | None
    white: float
    layout: Literal["NCHW"] = "NCHW"
    colours: Literal["RGB"] = "RGB"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def prepare(self, pixels: npt.NDArray[np.uint8]) -> Prepared:
        """(N, H, W, 3) uint8 RGB to (N, 3, H, W) as the network takes it."""
        images = pixels.transpose(0, 3, 1, 2)
        if self.dtype == "uint8":
            return np.ascontiguousarray(images)
        mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (self.mean, self.std))
        scaled = np.ascontiguousarray(images, np.float32) * np.float32(self.white / 255)
        result: FloatArray = (scaled - mean) / std
        return result


@dataclass(frozen=True)
class Description:
    """An exported network: how it was made, what it takes and gives.

    preset, to: as in `resight.export`. size: (height, width) that the encoder was trained at. dim:
    of the embeddings, which have length 1. output: name of the first output, (N, dim) float32.
    digest: sha256 of the run's model.safetensors. producer: resight's version.
    """

    preset: str
    to: Format
    input: Input
    output: str
    size: tuple[int, int]
    dim: int
    digest: str
    producer: str

    def as_json(self, **more: Any) -> str:
        """As JSON, with what else is to be told."""
        return json.dumps({"format": FORMAT, **asdict(self), **more}, indent=2) + "\n"

    @classmethod
    def read(cls, text: str, *, where: object) -> Description:
        """What `as_json` wrote; raises RunError, naming `where`, when it is damaged or newer."""
        try:
            plain = json.loads(text)
        except ValueError as error:
            raise RunError(f"the description in {where} is damaged: {error}") from error
        if not isinstance(plain, Mapping) or plain.get("format") not in range(1, FORMAT + 1):
            raise RunError(
                f"the description in {where} is not of this resight's format {FORMAT}: update "
                "resight, or export again"
            )
        problems: list[str] = []
        fields = {name: plain[name] for name in cls.__dataclass_fields__ if name in plain}
        described = from_plain(cls, fields, where="", problems=problems)
        if problems:
            raise RunError(f"the description in {where} is damaged: {'; '.join(problems)}")
        read: Description = described
        return read
