from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from worlds import REFERENCE, SIZE, contact_sheet

from resight.data.demo import DIFFICULTIES, World, render_image
from resight.data.demo.cameras import MAX_CAMERAS
from resight.data.demo.shots import place_of
from resight.errors import DataError

STANDARD = World.named("standard")


def test_pictures_are_those_stored() -> None:
    with Image.open(REFERENCE) as image:
        stored = np.asarray(image.convert("RGB")).astype(int)
    drawn = contact_sheet().astype(int)
    assert drawn.shape == stored.shape
    difference = np.abs(drawn - stored).max(2)
    assert difference.mean() < 0.5
    assert (difference > 8).mean() < 0.01
    for row in np.split(difference, len(DIFFICULTIES)):
        per_picture = row.reshape(SIZE[0], -1, SIZE[1]).mean((0, 2))
        assert np.median(per_picture) < 0.2


def test_same_numbers_same_picture() -> None:
    first = render_image(STANDARD, 3, 5, 2, 1)
    render_image(STANDARD, 3, 6, 4, 0)
    assert (render_image(STANDARD, 3, 5, 2, 1) == first).all()
    assert first.dtype == np.uint8
    assert first.shape == (128, 64, 3)


@pytest.mark.parametrize("change", ["seed", "identity", "camera", "shot"])
def test_each_number_changes_the_picture(change: str) -> None:
    numbers = {"seed": 3, "identity": 5, "camera": 2, "shot": 1}
    first = render_image(STANDARD, **numbers, size=SIZE).astype(int)
    numbers[change] += 1
    assert np.abs(render_image(STANDARD, **numbers, size=SIZE) - first).mean() > 3


@pytest.mark.parametrize("size", [(16, 16), (64, 32), (224, 224), (256, 128)])
def test_any_size(size: tuple[int, int]) -> None:
    picture = render_image(STANDARD, 0, 1, 1, 0, size)
    assert picture.shape == (*size, 3)
    assert picture.std() > 5


def colours(camera: int) -> NDArray[np.float64]:
    """Mean colour (3,) of one camera's pictures of the same people."""
    world = replace(World.named("hard"), occlusion=0, noise=0, jpeg=0, light=0)
    pictures = [render_image(world, 0, i, camera, 0, (32, 16)) for i in range(1, 13)]
    return np.asarray(np.mean(pictures, axis=(0, 1, 2)))


def test_every_camera_has_its_own_look() -> None:
    looks = np.array([colours(camera) for camera in range(1, MAX_CAMERAS + 1)])
    apart = np.linalg.norm(looks[:, None] - looks[None], axis=2)
    assert apart[~np.eye(len(looks), dtype=bool)].min() > 3


def test_people_are_seen_at_several_places() -> None:
    places = {place_of(STANDARD, 0, i, 1, s) for i in range(1, 20) for s in (0, 2)}
    assert places == set(range(STANDARD.places))
    assert place_of(STANDARD, 0, 4, 1, 0) == place_of(STANDARD, 0, 4, 1, 1)


def sharpness(world: World) -> float:
    pictures = [render_image(world, 0, i, 4, 0).astype(float) for i in range(1, 9)]
    return float(np.mean([np.abs(np.diff(p, axis=1)).mean() for p in pictures]))


def test_nuisances_can_be_switched_off() -> None:
    clean = replace(STANDARD, blur=0, low_resolution=0, noise=0, jpeg=0)
    assert sharpness(clean) > 1.2 * sharpness(replace(clean, blur=1, low_resolution=1))
    everything_off = World(
        camera=0,
        light=0,
        low_resolution=0,
        blur=0,
        noise=0,
        jpeg=0,
        background=0,
        jitter=0,
        turn=0,
        occlusion=0,
        stride=0,
        pitch=0,
        supersampling=1,
    )
    assert render_image(everything_off, 0, 1, 1, 0, SIZE).std() > 5


def test_unknown_world_is_refused() -> None:
    with pytest.raises(DataError, match=r"unknown demo world 'standart'.*did you mean 'standard'"):
        World.named("standart")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blur": -1}, "blur >= 0, got -1"),
        ({"noise": float("nan")}, "noise >= 0, got nan"),
        ({"own": 1.5}, r"own in \[0, 1\], got 1.5"),
        ({"group": 0}, "group and places >= 1"),
        ({"supersampling": 9}, r"supersampling in \[1, 4\], got 9"),
    ],
)
def test_impossible_worlds_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        World(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((-1, 1, 1, 0), "seed >= 0, got -1"),
        ((0, 0, 1, 0), "identity >= 1, got 0"),
        ((0, 1, 13, 0), "cameras 1 to 12, got 13"),
        ((0, 1, 1, -1), "shot >= 0, got -1"),
    ],
)
def test_impossible_shots_are_refused(numbers: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        render_image(STANDARD, *numbers)
    with pytest.raises(DataError, match="width >= 16, got 8"):
        render_image(STANDARD, 0, 1, 1, 0, (64, 8))
