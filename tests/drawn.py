"""Small data sets drawn on the spot, and the settings of runs that take a second."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CAMERA = r"_c(?P<camera>\d)"
TINY: dict[str, Any] = {
    "size": [64, 32],
    "encoder.backbone": "test_resnet",
    "encoder.weights": "none",
    "encoder.last_stride": 2,
    "graph.k1": 6,
    "graph.k2": 3,
    "graph.colour": 0.5,
    "clusterer": {"part": "DBSCAN", "eps": 0.5},
    "batches.identities": 2,
    "batches.instances": 2,
    "optim.epochs": 2,
    "optim.iterations": 3,
}


def draw(root: Path, *, identities: int = 12, cameras: int = 2, shots: int = 3) -> Path:
    """A coloured pattern per identity, with noise and a tint per camera; returns `root`."""
    for identity in range(identities):
        pattern = np.random.default_rng(identity).integers(0, 256, (8, 4, 3))
        for camera in range(cameras):
            for shot in range(shots):
                noise = np.random.default_rng([identity, camera, shot]).normal(0, 8, pattern.shape)
                file = root / f"{identity + 1:04d}_c{camera + 1}s1_{shot:06d}_00.png"
                save(pattern + noise + 10 * camera, file)
    return root


def save(pixels: np.ndarray, file: Path) -> None:
    """Write pixels (H, W, 3) as a picture of 32 x 64."""
    file.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    picture.resize((32, 64), Image.Resampling.BICUBIC).save(file)


def options(settings: dict[str, Any] = TINY) -> list[str]:
    """The settings as `--set` options of the command line, and the camera pattern."""
    plain = {key: value for key, value in settings.items() if key != "clusterer"}
    lines = [f"{key}={value}" for key, value in plain.items()]
    lines += [f"clusterer.{key}={value}" for key, value in settings["clusterer"].items()]
    return [word for line in lines for word in ("--set", line)] + ["--camera-pattern", CAMERA]
