import math
from fractions import Fraction

import numpy as np
import pytest

from resight.data import colour
from resight.data.colour import colour_histogram


def slow_bin(pixel):
    """In exact arithmetic, since many colours lie on the edge of a bin."""
    red, green, blue = (Fraction(int(c) // 8, 31) for c in pixel)
    value, least = max(red, green, blue), min(red, green, blue)
    saturation = (value - least) / value if value else 0
    if saturation < Fraction(15, 100) or value < Fraction(15, 100):
        return min(int(value * 8), 7)
    if value == red:
        sixths = (green - blue) / (value - least) % 6
    elif value == green:
        sixths = (blue - red) / (value - least) + 2
    else:
        sixths = (red - green) / (value - least) + 4
    hue, saturation = int(sixths * 2), min(int(saturation * 2), 1)
    return 8 + (hue * 2 + saturation) * 3 + min(int(value * 3), 2)


def slow_histogram(image, stripes):
    height, width, _ = image.shape
    counts = np.zeros((stripes, 80))
    for y in range(height):
        for x in range(width):
            off_centre = (x - (width - 1) / 2) / width
            weight = math.exp(-0.5 * (off_centre / 0.13) ** 2)
            counts[y * stripes // height, slow_bin(image[y, x])] += weight
    shares = counts / counts.sum(axis=1, keepdims=True)
    return np.sqrt(shares / stripes).ravel()


@pytest.mark.parametrize(("size", "stripes"), [((16, 8), 8), ((11, 5), 3), ((1, 1), 1)])
def test_agrees_with_a_pixel_loop(size, stripes, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (9, *size, 3), dtype=np.uint8)
    monkeypatch.setattr(colour, "BLOCK_PIXELS", 2 * size[0] * size[1])
    found = colour_histogram(images, stripes=stripes)
    expected = np.stack([slow_histogram(image, stripes) for image in images])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_place_and_colour_matter_but_not_mirror_images():
    red_over_blue = np.zeros((1, 16, 8, 3), np.uint8)
    red_over_blue[:, :8, :, 0] = red_over_blue[:, 8:, :, 2] = 200
    blue_over_red = red_over_blue[:, ::-1]
    noise = np.random.default_rng(1).integers(0, 256, (1, 16, 8, 3), dtype=np.uint8)
    images = np.concatenate([red_over_blue, blue_over_red, noise, noise[:, :, ::-1]])
    found = colour_histogram(images)
    assert found[0] @ found[1] == 0
    np.testing.assert_allclose(found[2], found[3], atol=1e-6)


def test_memory_maps_and_empty_sets(tmp_path):
    images = np.random.default_rng(2).integers(0, 256, (3, 16, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    np.testing.assert_array_equal(colour_histogram(mapped), colour_histogram(images))
    assert colour_histogram(images[:0]).shape == (0, 640)


def test_other_arrays_are_refused():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="float64"):
        colour_histogram(images.astype(float))
    with pytest.raises(ValueError, match=r"\(N, H, W, 3\)"):
        colour_histogram(images.transpose(0, 3, 1, 2))
    with pytest.raises(ValueError, match="stripes=8"):
        colour_histogram(images)
