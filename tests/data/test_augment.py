"""Batched augmentation against one image at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from resight.data.augment import Augment, erase, flip_and_crop, jitter_colour


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    nhwc = rng.integers(1, 256, (32, 20, 12, 3), dtype=np.uint8)
    return torch.from_numpy(nhwc).permute(0, 3, 1, 2)


def shifted(image, dy, dx, mirrored):
    """The image mirrored, then moved in a black frame: plain loops."""
    _c, h, w = image.shape
    source = image[:, :, ::-1] if mirrored else image
    out = np.zeros_like(image)
    for y in range(h):
        for x in range(w):
            if 0 <= y + dy < h and 0 <= x + dx < w:
                out[:, y, x] = source[:, y + dy, x + dx]
    return out


def test_flip_and_crop_is_a_shift_of_the_image_or_its_mirror(pixels):
    moved = flip_and_crop(pixels, flip=0.5, pad=2, generator=generator()).numpy()
    mirrors = 0
    for image, got in zip(pixels.numpy(), moved, strict=True):
        fits = [
            m
            for m in (False, True)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if np.array_equal(shifted(image, dy, dx, m), got)
        ]
        assert len(fits) == 1
        mirrors += fits[0]
    assert 5 < mirrors < 27


def test_output_stays_channels_last(pixels):
    moved = flip_and_crop(pixels, flip=0.5, pad=2, generator=generator())
    assert moved.is_contiguous(memory_format=torch.channels_last)


def test_erase_blanks_one_rectangle_of_the_asked_size():
    images = torch.ones(400, 3, 40, 20)
    out = erase(images, probability=0.5, area=(0.1, 0.2), aspect=(0.5, 2.0), generator=generator())
    holes = (out == 0).all(1).numpy()
    erased = [hole for hole in holes if hole.any()]
    assert 150 < len(erased) < 250
    for hole in erased:
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert hole.sum() == len(rows) * len(columns)
        assert 0.07 < hole.mean() < 0.23
        assert 0.4 < len(rows) / len(columns) < 2.5


def test_colour_jitter_keeps_the_range_and_differs_per_sample(pixels):
    same = pixels[:1].expand(16, -1, -1, -1)
    out = jitter_colour(same, 0.3, generator=generator())
    assert out.min() >= 0
    assert out.max() <= 255
    assert len({round(float(x), 3) for x in out.mean((1, 2, 3))}) == 16
    torch.testing.assert_close(jitter_colour(same, 0.0, generator=generator()), same.float())


def test_the_whole_is_deterministic_and_erases_to_the_mean_colour(pixels):
    augment = Augment(pad=2, erase=1.0, colour=0.2)

    def normalise(x):
        return x.float() / 255 - 0.5

    first = augment(pixels, normalise, generator=generator(4))
    assert torch.equal(first, augment(pixels, normalise, generator=generator(4)))
    assert not torch.equal(first, augment(pixels, normalise, generator=generator(5)))
    assert ((first == 0).all(1).flatten(1).sum(1) > 0).all()


def test_nothing_happens_when_all_is_off(pixels):
    augment = Augment(flip=0, pad=0, erase=0)
    out = augment(pixels, lambda x: x.float(), generator=generator())
    assert torch.equal(out, pixels.float())


@pytest.mark.parametrize("bad", [{"flip": 2}, {"erase": -1}, {"pad": -1}, {"colour": 1.5}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Augment(**bad)
