"""Crops and their images: finding them, decoding them once, looking at them.

Names are loaded on first use: the workers that render or decode pictures need no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resight.data.check import DataCheck, check_data
    from resight.data.sources import LAYOUTS, detect_layout, read_crops
    from resight.data.store import Broken, ImageStore, cache_folder

_HOMES = {
    "DataCheck": "resight.data.check",
    "check_data": "resight.data.check",
    "LAYOUTS": "resight.data.sources",
    "detect_layout": "resight.data.sources",
    "read_crops": "resight.data.sources",
    "Broken": "resight.data.store",
    "ImageStore": "resight.data.store",
    "cache_folder": "resight.data.store",
}

__all__ = [
    "LAYOUTS",
    "Broken",
    "DataCheck",
    "ImageStore",
    "cache_folder",
    "check_data",
    "detect_layout",
    "read_crops",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'resight.data' has no attribute {name!r}")
