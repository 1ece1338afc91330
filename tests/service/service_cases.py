"""A small gallery, services of it, and what is sent to them."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gallery_cases
import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from resight.gallery import Gallery, describe
from resight.gallery.clusters import Clusters, write_clusters
from resight.service import ServiceSettings, create_app

HERE = "http://127.0.0.1:8000"
TOKEN = "a-token-of-the-tests-0123456789"
TIMES = (10.0, 20.0, 30.0)


def fill(gallery: Gallery, town: Path) -> None:
    """Crops 3 i, 3 i + 1 (camera c1) and 3 i + 2 (camera c2) are individual i, cluster i."""
    names, cameras = [], []
    for identity in range(4):
        for shot, camera in ((0, 1), (1, 1), (0, 2)):
            names.append(gallery_cases.draw(town, identity, camera, shot, size=(40, 20)))
            cameras.append(f"c{camera}")
    times = [100.0 * (row // 3) + TIMES[row % 3] for row in range(len(names))]
    rows = describe("town", names, cameras=cameras, times=times)
    gallery.add([town / name for name in names], rows)
    crops = tuple(("town", name) for name in names)
    write_clusters(gallery.path, Clusters(crops, np.arange(len(names)) // 3))


@contextmanager
def served(
    gallery: Gallery, settings: ServiceSettings, *, base_url: str = HERE, **more: Any
) -> Iterator[TestClient]:
    """A client of a running service of this gallery."""
    app = create_app(gallery, settings)
    with TestClient(app, base_url=base_url, raise_server_exceptions=False, **more) as client:
        yield client


def picture(
    width: int = 20, height: int = 40, *, seed: int = 0, kind: str = "PNG", **more: Any
) -> bytes:
    """An image file of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **more)
    return file.getvalue()


def upload(*pictures: bytes, name: str = "crop.png") -> list[tuple[str, tuple[str, bytes, str]]]:
    """Pictures as a form's files."""
    return [("image", (name, data, "image/png")) for data in pictures]


def eventually(told: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    """Whether it comes true before long."""
    until = time.monotonic() + seconds
    while not told():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
