"""The one place that knows devices: where tensors live and in which precision networks run."""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch

from resight.errors import ConfigError

Precision: TypeAlias = Literal["auto", "float32", "bf16"]


def multiplies_bf16() -> bool:
    """Whether this CPU has bf16 dot products, so that bf16 inference beats float32."""
    return bool(torch.cpu._is_avx512_bf16_supported())


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library


def keep_freed_memory() -> None:
    """Keep blocks of up to 1 GiB that this process frees on a CPU, for its next tensors.

    By default the GNU C library returns each large block to the system and asks for it again, and
    every new page costs a fault: a sixth of a training step that generates images. Other C
    libraries are left as they are.
    """
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        library.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


@dataclass(frozen=True)
class Device:
    """A torch device with the precision for training steps and for feature extraction.

    `auto` precision is bf16 autocast on CUDA. On a CPU it is float32 for training (bf16 backward
    passes are slower there) and bf16 for extraction where the CPU multiplies bf16 natively.
    """

    place: torch.device
    train_bf16: bool
    extract_bf16: bool

    @classmethod
    def choose(cls, name: str = "auto", precision: Precision = "auto") -> Device:
        """The device called `name` ("auto", "cpu", "cuda", "cuda:1").

        Raises ConfigError when the name is unknown or the device is not there.
        """
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            device = torch.device(name)
        except RuntimeError as error:
            raise ConfigError(f"unknown device {name!r}: use auto, cpu, cuda or cuda:N") from error
        if device.type not in ("cpu", "cuda"):
            raise ConfigError(f"device {name!r} is not supported: use auto, cpu, cuda or cuda:N")
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            found = torch.cuda.device_count()
            raise ConfigError(f"device {name!r} is not there: torch sees {found} CUDA devices")
        if precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise ConfigError(f"unknown precision {precision!r}: use one of {known}")
        if precision != "auto":
            return cls(device, precision == "bf16", precision == "bf16")
        cuda = device.type == "cuda"
        return cls(device, cuda, cuda or multiplies_bf16())

    def autocast(self, *, training: bool) -> AbstractContextManager[object]:
        """Context in which the forward pass of training steps, or of extraction, runs."""
        enabled = self.train_bf16 if training else self.extract_bf16
        return torch.autocast(self.place.type, dtype=torch.bfloat16, enabled=enabled)

    def to(self, tensor: torch.Tensor) -> torch.Tensor:
        """`tensor` on this device, copied without waiting where that is possible."""
        return tensor.to(self.place, non_blocking=True)

    def describe(self) -> str:
        """The device's name for logs and reports."""
        if self.place.type == "cuda":
            return torch.cuda.get_device_name(self.place)
        return f"cpu ({torch.get_num_threads()} threads)"
