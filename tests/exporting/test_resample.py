import numpy as np
import pytest
import torch
from PIL import Image

from resight.exporting.resample import resample, weights


def pillow(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def ours(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    return resample(images, height, width)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("size", "other"),
    [
        *[(size, 0.001) for size in [(300, 150), (50, 20), (61, 200), (40, 333)]],
        *[(size, 0.001) for size in [(64, 31), (3, 2), (1, 1)]],
        ((333, 40), 0.4),  # Pillow 13 shrinks the height first where it shrinks more
    ],
)
def test_it_is_pillows(size: tuple[int, int], other: float) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))
    noise = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    for pixels in (smooth.copy(), noise):
        gap = np.abs(ours(pixels, 64, 32) - pillow(pixels, 64, 32))
        assert gap.max() <= (1 if other < 0.1 else 4)
        assert (gap > 0).mean() < other


def test_images_of_the_size_stay_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(ours(pixels, 64, 32), pixels)


@pytest.mark.parametrize(("n", "wanted"), [(7, 7), (10, 3), (3, 10), (1, 4), (129, 32)])
def test_weights_are_keys_filter_normalised(n: int, wanted: int) -> None:
    def keys(x: float) -> float:
        x, a = abs(x), -0.5
        if x < 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0

    scale = n / wanted
    rows = np.array(
        [
            [keys((i + 0.5 - (j + 0.5) * scale) / max(scale, 1)) for i in range(n)]
            for j in range(wanted)
        ]
    )
    expected = rows / rows.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights(torch.zeros(n), wanted).numpy(), expected, atol=1e-5)
