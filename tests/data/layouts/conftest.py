from collections.abc import Callable
from pathlib import Path

import pytest

from resight.records import Crops

Touch = Callable[..., None]


@pytest.fixture
def touch(root: Path) -> Touch:
    """touch(*names): empty files, which listing must not open."""

    def touch(*names: str) -> None:
        for name in names:
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    return touch


@pytest.fixture
def told() -> Callable[[Crops], dict[str, tuple[str, str | None, str]]]:
    """told(crops): {path: (split, identity's name, "-1", or "0", camera's name)}."""

    def told(crops: Crops) -> dict[str, tuple[str, str | None, str]]:
        assert crops.identities is not None
        assert crops.cameras is not None
        names = [
            crops.identity_names[identity - 1] if identity > 0 else str(identity)
            for identity in crops.identities
        ]
        cameras = [crops.camera_names[camera] for camera in crops.cameras]
        rows = zip(crops.splits.tolist(), names, cameras, strict=True)
        return dict(zip(crops.paths, rows, strict=True))

    return told
