from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Draw = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("RESIGHT_CACHE", str(folder))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that `draw` draws into."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def draw(root: Path) -> Draw:
    """draw(name, seed=0, size=(width, height), mode="RGB", **save): smooth random colours."""

    def draw(
        name: str,
        *,
        seed: int = 0,
        size: tuple[int, int] = (20, 40),
        mode: str = "RGB",
        **save: object,
    ) -> Path:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).convert(mode).save(
            file, **save
        )
        return file

    return draw
