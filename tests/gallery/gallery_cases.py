"""A tiny encoder, a folder of crops, and galleries of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from resight.evaluation.calibration import calibrate as calibrate_features
from resight.evaluation.threshold import Threshold
from resight.models import EncoderSpec, build_encoder, save
from resight.records import FloatArray

SIZE = (64, 32)


def write_model(folder: Path, *, seed: int = 0) -> Path:
    """A folder that holds an untrained encoder, as a run does."""
    spec = EncoderSpec(backbone="test_resnet", weights="none", last_stride=2)
    encoder = build_encoder(spec, seed=seed).eval()
    with torch.inference_mode():  # so that different pictures get different embeddings
        pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (32, 3, *SIZE)))
        encoder.train()
        for _ in range(20):
            encoder.embed(encoder.normalise(pixels.to(torch.uint8)))
        encoder.eval()
    folder.mkdir(parents=True, exist_ok=True)
    save(encoder, folder, size=SIZE)
    return folder


def write_threshold(folder: Path, similarity: float, *, weights: str | None = None) -> None:
    """A calibrated threshold at about this similarity."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((60, 8)).astype(np.float32)
    found = calibrate_features(vectors, np.repeat(np.arange(1, 31), 2), far=0.02)
    changed = {**vars(found), "similarity": similarity, "weights": weights}
    Threshold(**changed).write(folder / "threshold.json")


def draw(root: Path, identity: int, camera: int, shot: int = 0, *, size: tuple[int, int]) -> str:
    """A picture of an individual as `size` = (height, width); returns its path below the root."""
    pattern = np.random.default_rng(identity).integers(0, 256, (8, 4, 3))
    noise = np.random.default_rng([identity, camera, shot]).normal(0, 6, pattern.shape)
    pixels = np.clip(pattern + noise, 0, 255).astype(np.uint8)
    name = f"cam{camera}/{identity:03d}_{shot}.png"
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC).save(file)
    return name


def units(n: int, dim: int, seed: int = 0) -> FloatArray:
    """(n, dim) random rows of length 1."""
    rows = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
