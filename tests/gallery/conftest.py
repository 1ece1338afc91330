from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gallery_cases
import pytest
from memory_store import Stores
from store_places import (  # noqa: F401
    milvus_server,
    milvus_url,
    place,
    postgres_server,
    postgres_url,
    store,
)

from resight.gallery import Gallery


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny encoder, as a run has it; not to be changed."""
    return gallery_cases.write_model(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Galleries keep their rows in memory; those of a folder are found again."""
    stores = Stores()
    monkeypatch.setattr("resight.gallery.gallery.open_store", stores)
    return stores


@pytest.fixture
def gallery(tmp_path: Path, model: Path, in_memory: Stores) -> Iterator[Gallery]:
    """A new, empty gallery."""
    with Gallery.create(tmp_path / "gallery", model, device="cpu") as created:
        yield created


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """Pictures of 4 individuals in 2 cameras, by the first-level folder, twice as high as wide."""
    for identity in range(4):
        for camera in (1, 2):
            gallery_cases.draw(tmp_path / "town", identity, camera, size=(40, 20))
    return tmp_path / "town"
