from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parents[1] / "gallery"))

import gallery_cases
import service_cases
from memory_store import Stores
from page_fixtures import ask, chromium, page_server, visit  # noqa: F401
from processes import Server

from resight.gallery import Gallery
from resight.service import ServiceSettings


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny encoder and a threshold; not to be changed."""
    folder = gallery_cases.write_model(tmp_path_factory.mktemp("run") / "run")
    gallery_cases.write_threshold(folder, 0.999)
    return folder


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Galleries keep their rows in memory."""
    stores = Stores()
    monkeypatch.setattr("resight.gallery.gallery.open_store", stores)
    return stores


@pytest.fixture
def gallery(tmp_path: Path, model: Path, in_memory: Stores) -> Iterator[Gallery]:
    """Four individuals, each seen twice by c1 and once by c2: crops 0 to 11."""
    with Gallery.create(tmp_path / "gallery", model, device="cpu") as created:
        service_cases.fill(created, tmp_path / "town")
        yield created


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Gallery]:
    """A gallery as `gallery` is, not to be changed."""
    folder = tmp_path_factory.mktemp("standing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resight.gallery.gallery.open_store", Stores())
        created = Gallery.create(folder / "gallery", model, device="cpu")
    with created:
        service_cases.fill(created, folder / "town")
        yield created


@pytest.fixture(scope="session")
def reader(standing: Gallery) -> Iterator[TestClient]:
    """A client of a service that nothing is changed with."""
    with service_cases.served(standing, ServiceSettings()) as opened:
        yield opened


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A gallery on the disk."""
    folder = tmp_path_factory.mktemp("stored")
    with Gallery.create(folder / "gallery", model, device="cpu") as created:
        service_cases.fill(created, folder / "town")
    return folder / "gallery"


@pytest.fixture(scope="session")
def server(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A process with one worker where two more requests may wait, and little patience."""
    folder = tmp_path_factory.mktemp("server")
    started = Server.start(
        stored, folder, workers=1, queue=2, patience=1.0, max_upload=200_000, grace=20.0
    )
    yield started
    started.close()


@pytest.fixture
def client(gallery: Gallery) -> Iterator[TestClient]:
    """A client of a service on this machine, without a token."""
    with service_cases.served(gallery, ServiceSettings()) as opened:
        yield opened
