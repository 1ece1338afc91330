"""A gallery of demo crops, some of hostile names, and its service beside the page."""

from __future__ import annotations

import json
import math
import urllib.request
from pathlib import Path
from typing import Any

import gallery_cases
import numpy as np
from PIL import Image

from resight.data.demo import World, render_image
from resight.gallery import Gallery, describe
from resight.gallery.clusters import Clusters, write_clusters

TOKEN = "a-token-of-the-page-tests-0123456789"

PEOPLE, CAMERAS, SHOTS = 6, ("gate", "square", "hall"), 2
EACH = len(CAMERAS) * SHOTS
MORNING = 1_763_107_200.0  # 2025-11-14, 08:00 UTC
ACCEPTED = 5
EVIL = '<img src=x onerror="window.hacked=1">'
HOSTILE = (
    (f"{EVIL}/{EVIL}.jpg", EVIL),
    ("\"><script>window.hacked=1</script>'.jpg", '" onmouseover="window.hacked=1'),
    (
        "\u202egpj.exe \u0627\u0644\u0639\u0631\u0628\u064a\u0629.jpg",
        "\u0645\u064a\u062f\u0627\u0646",
    ),
    ("very-long-" + "x" * 900 + ".jpg", "camera " + "y" * 300),
)
N_CROPS = PEOPLE * EACH + len(HOSTILE)


def make_gallery(folder: Path) -> Path:
    """Crops 6 i to 6 i + 5 are person i, two in each camera, and cluster i; hostile ones follow.

    The times of the last person are unknown, and those of the hostile crops. Five answers to a
    search from crop 0 are accepted.
    """
    model = gallery_cases.write_model(folder / "run")
    names, pictures, cameras, times = [], [], [], []
    for person in range(PEOPLE):
        for place, camera in enumerate(CAMERAS):
            for shot in range(SHOTS):
                names.append(f"{camera}/{person}_{shot}.jpg")
                pictures.append(shown(person, place, shot))
                cameras.append(camera)
                seconds = MORNING + 3600 * person + 600 * place + 5 * shot
                times.append(seconds if person < PEOPLE - 1 else math.nan)
    for name, camera in HOSTILE:
        names.append(name)
        pictures.append(np.full((64, 32, 3), 40 * len(names) % 256, np.uint8))
        cameras.append(camera)
        times.append(math.nan)
    with Gallery.create(folder / "gallery", model, device="cpu") as gallery:
        images = [Image.fromarray(picture) for picture in pictures]
        gallery.add(images, describe("town", names, cameras=cameras, times=times))
        labels = np.arange(PEOPLE * EACH) // EACH
        crops = tuple(("town", name) for name in names[: len(labels)])
        write_clusters(gallery.path, Clusters(crops, labels))
        vectors = gallery.store.vectors(np.arange(len(names)))
        best = np.sort(vectors[1:] @ vectors[0])[::-1]
        gallery_cases.write_threshold(model, float(best[ACCEPTED - 1 : ACCEPTED + 1].mean()))
        gallery.take_threshold(model)
    return folder / "gallery"


def shown(person: int, place: int, shot: int) -> np.ndarray[Any, Any]:
    """A demo picture (64, 32, 3)."""
    return render_image(World(), 0, person + 1, place + 1, shot, (64, 32))


def write_picture(file: Path, pixels: np.ndarray[Any, Any]) -> str:
    """Write a picture; returns its path."""
    Image.fromarray(pixels).save(file)
    return str(file)


def noise(seed: int) -> np.ndarray[Any, Any]:
    """A picture (64, 32, 3) that is like none of the demo's."""
    return np.random.default_rng(seed).integers(0, 256, (64, 32, 3), dtype=np.uint8)


class Ask:
    """The service's answers, asked for beside the page."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def __call__(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def said(self) -> set[tuple[int, int, bool]]:
        """The decisions that count: both ids and the verdict."""
        told = self("GET", "/api/decisions")["decisions"]
        return {(min(one["a"], one["b"]), max(one["a"], one["b"]), one["same"]) for one in told}

    def forget_all(self) -> None:
        """Take back all decisions."""
        told = [(a, b) for a, b, _ in self.said()]
        if told:
            self("POST", "/api/decisions", {"forget": told})
