import os
from collections.abc import Iterator
from pathlib import Path

import drawn
import pytest

# Tensors here are too small to share: two threads that meet at every operation would wait for each
# other for most of the time while the cores are busy. Read when torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test touches the user's cache, or waits for maps to settle."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("resight.evaluation.projection.ITERATIONS", 250)
        yield


@pytest.fixture(scope="session")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 identities, 2 cameras, 3 shots; nothing but file names tells cameras."""
    return drawn.draw(tmp_path_factory.mktemp("crops") / "town")
