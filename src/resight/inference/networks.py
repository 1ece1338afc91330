"""What runs the encoder: PyTorch, TorchScript or ONNX Runtime, behind one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from resight.device import Device
from resight.errors import ConfigError, RunError
from resight.inference.described import KEY, Description, Prepared
from resight.models import Encoder
from resight.records import GLOBAL, FloatArray

if TYPE_CHECKING:
    import onnxruntime

ONNX = ".onnx"
SCRIPT = ".torchscript"

Network: TypeAlias = Callable[[npt.NDArray[np.uint8]], FloatArray]
"""(N, H, W, 3) uint8 RGB to (N, D) float32, rows of length 1; from any thread."""


@dataclass(frozen=True, eq=False)
class EncoderNetwork:
    """An encoder in evaluation mode: the global view of what `training.extract` gives."""

    encoder: Encoder
    device: Device

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> FloatArray:
        """Embed."""
        writable = np.require(pixels, requirements=["C", "W"])
        images = self.device.to(torch.from_numpy(writable).permute(0, 3, 1, 2))
        with torch.inference_mode():
            normalised = self.encoder.normalise(images)
            with self.device.autocast(training=False):
                q = self.encoder(normalised)[GLOBAL]
            embeddings: FloatArray = q.float().cpu().numpy()
        return embeddings


@dataclass(frozen=True, eq=False)
class ScriptNetwork:
    """An exported TorchScript module."""

    module: torch.jit.ScriptModule
    described: Description
    device: Device

    @classmethod
    def open(cls, file: Path, device: Device) -> ScriptNetwork:
        """Load it. Raises RunError when it is none, or not one that resight exported."""
        notes = {f"{KEY}.json": ""}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                module = torch.jit.load(  # type: ignore[no-untyped-call]
                    file, map_location=device.place, _extra_files=notes
                )
        except (OSError, RuntimeError, ValueError) as error:
            reason = f"{error}".strip().partition("\n")[0]
            raise RunError(f"{file} cannot be loaded as TorchScript: {reason}") from error
        text: str | bytes = notes[f"{KEY}.json"]
        if not text:
            raise RunError(f"{file} was not exported by resight: write one with `resight export`")
        told = text if isinstance(text, str) else text.decode()
        return cls(module.eval(), Description.read(told, where=file), device)

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> FloatArray:
        """Embed."""
        return self.run(self.described.input.prepare(pixels))

    def run(self, images: Prepared) -> FloatArray:
        """Embed what is prepared as `described` says."""
        with torch.inference_mode():
            q = self.module(self.device.to(torch.from_numpy(images)))
            embeddings: FloatArray = q.cpu().numpy()
        return embeddings


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """An exported ONNX graph in ONNX Runtime."""

    session: onnxruntime.InferenceSession
    described: Description

    @classmethod
    def open(cls, file: Path, device: Device) -> OnnxNetwork:
        """Load it, on the GPU where `device` is one and ONNX Runtime has it.

        Raises RunError when it is none, or not one that resight exported; ConfigError without ONNX
        Runtime.
        """
        runtime = _onnx_runtime()
        wanted = ["CPUExecutionProvider"]
        if device.place.type == "cuda":
            wanted.insert(0, "CUDAExecutionProvider")
        available = runtime.get_available_providers()
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        try:
            session = runtime.InferenceSession(
                file, options, providers=[name for name in wanted if name in available]
            )
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise RunError(f"{file} cannot be loaded by ONNX Runtime: {error}") from error
        text = session.get_modelmeta().custom_metadata_map.get(KEY)
        if not text:
            raise RunError(f"{file} was not exported by resight: write one with `resight export`")
        return cls(session, Description.read(text, where=file))

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> FloatArray:
        """Embed."""
        return self.run(self.described.input.prepare(pixels))

    def run(self, images: Prepared) -> FloatArray:
        """Embed what is prepared as `described` says."""
        outputs = self.session.run([self.described.output], {self.described.input.name: images})
        embeddings: FloatArray = outputs[0]
        return embeddings


def open_export(file: Path, device: Device) -> ScriptNetwork | OnnxNetwork:
    """An exported file, by its suffix: ".onnx", or TorchScript. Raises as the classes do."""
    return (OnnxNetwork if file.suffix == ONNX else ScriptNetwork).open(file, device)


def _onnx_runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError("ONNX files need ONNX Runtime: pip install 'resight[export]'") from error
    return onnxruntime
