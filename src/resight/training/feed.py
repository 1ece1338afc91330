"""Pixels for the training device: slices of the image store, which lives there when it fits."""

from __future__ import annotations

import torch
from torch import Tensor

from resight.data import ImageStore
from resight.device import Device

_SHARE_OF_DEVICE = 0.5
_CHUNK = 4096


class Feed:
    """Batches of uint8 crops on a device.

    On CUDA the whole store is copied to the device when it takes at most half of its free memory;
    otherwise each batch is gathered from the memory map and sent.
    """

    def __init__(self, store: ImageStore, device: Device) -> None:
        self._store = store
        self._device = device
        self._resident = _copy_to(device, store) if _fits(device, store) else None

    def __len__(self) -> int:
        return len(self._store)

    def take(self, rows: Tensor) -> Tensor:
        """(B, 3, H, W) uint8, channels-last, on the device; rows: (B,) int64 on the CPU."""
        if self._resident is not None:
            return torch.permute(self._resident[self._device.to(rows)], (0, 3, 1, 2))
        return self._device.to(self._store.batch(rows.numpy()))


def _fits(device: Device, store: ImageStore) -> bool:
    if device.place.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device.place)
    return bool(store.images.nbytes <= _SHARE_OF_DEVICE * free)


def _copy_to(device: Device, store: ImageStore) -> Tensor:
    resident = torch.empty(store.images.shape, dtype=torch.uint8, device=device.place)
    for start in range(0, len(store), _CHUNK):
        rows = store.images[start : start + _CHUNK]
        resident[start : start + len(rows)] = torch.from_numpy(rows.copy())
    return resident
