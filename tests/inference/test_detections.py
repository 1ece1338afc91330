from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resight.data import ImageStore
from resight.errors import DataError
from resight.inference.detections import crop_pixels
from resight.records import Crops

SIZE = (24, 16)
RNG = np.random.default_rng(0)
FRAME = RNG.integers(0, 256, (90, 120, 3), dtype=np.uint8)  # RGB
BOXES = np.array(
    [[3.2, 4.5, 40.5, 80.5], [-20, -7, 33, 200], [100.5, 50.5, 130, 70], [0, 0, 120, 90]]
)


def test_crops_are_those_that_the_image_store_cuts_from_a_file(tmp_path: Path) -> None:
    Image.fromarray(FRAME).save(tmp_path / "frame.png")
    sizes = BOXES[:, 2:] - BOXES[:, :2]
    crops = Crops(
        tmp_path,
        tuple(f"frame.png#{row}" for row in range(len(BOXES))),
        np.full(len(BOXES), "train"),
        boxes=np.hstack([BOXES[:, :2], sizes]),
    )
    store = ImageStore.open(crops, size=SIZE, workers=1)
    np.testing.assert_array_equal(crop_pixels(BOXES, FRAME, SIZE, rgb=True), store.images)


def test_frames_are_bgr_unless_told() -> None:
    expected = crop_pixels(BOXES, FRAME, SIZE, rgb=True)
    np.testing.assert_array_equal(crop_pixels(BOXES, FRAME[..., ::-1], SIZE), expected)


def test_grey_frames_have_three_equal_channels() -> None:
    pixels = crop_pixels(BOXES, FRAME[..., 0], SIZE)
    assert (pixels == pixels[..., :1]).all()


def test_no_boxes_are_no_crops() -> None:
    assert crop_pixels(np.empty((0, 4), np.float32), FRAME, SIZE).shape == (0, *SIZE, 3)


@pytest.mark.parametrize(
    ("boxes", "told"),
    [
        ([[0, 0, 9, 9], [120, 10, 150, 40]], r"box 1 \(120, 10, 150, 40\) holds no pixel of"),
        ([[-30, 0, -1, 20]], "the frame, which is 120 wide and 90 high"),
        ([[20, 0, 10, 20]], r"box 0 \(20, 0, 10, 20\) holds no pixel"),
        ([[5, 5, 5.4, 20]], "holds no pixel"),
        ([[0, 0, 9, np.nan]], r"box 0 \(0, 0, 9, nan\) is not finite"),
        ([[0, 0, np.inf, 5]], "is not finite"),
        ([[0, 0, 9]], r"boxes have shape \(1, 3\), expected \(N, 4\)"),
    ],
)
def test_boxes_without_pixels_are_told(boxes: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        crop_pixels(np.array(boxes), FRAME, SIZE)


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (FRAME.astype(np.float32), r"the frame is an array of shape \(90, 120, 3\) and type float"),
        (np.zeros((9, 9, 4), np.uint8), r"expected \(h, w, 3\) without alpha"),
        (np.zeros((0, 9, 3), np.uint8), "the frame has no pixels"),
    ],
)
def test_frames_of_another_kind_are_refused(frame: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        crop_pixels(BOXES, frame, SIZE)
