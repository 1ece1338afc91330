"""A small town of rendered pedestrians: data to try everything on, with nothing downloaded.

`render_world` writes a folder in the Market-1501 layout, which is read like a user's own.
A picture depends on (world, seed, identity, camera, shot, size) alone: the same person looks the
same whatever else is rendered. Nobody in it exists; bodies come from MakeHuman's CC0 data.

The modules, in the order in which a picture comes about: `identities` (who), `body`, `garments`
and `poses` (a figure), `cameras` and `places` (where), `framing` (the detector's box), `raster`,
`cloth` and `painting` (what is seen), `occluders` (what is in front), `sensor` (the picture).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from resight.data.demo.world import DIFFICULTIES, World

if TYPE_CHECKING:
    from resight.data.demo.rendering import render_world
    from resight.data.demo.shots import render_image

__all__ = ["DIFFICULTIES", "World", "render_image", "render_world"]

_HOMES = {
    "render_image": "resight.data.demo.shots",
    "render_world": "resight.data.demo.rendering",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'resight.data.demo' has no attribute {name!r}")
