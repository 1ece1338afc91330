"""Tracks and boxes of crops."""

from pathlib import Path

import numpy as np
import pytest

from resight.records import Crops

PATHS = ("a#b/000001.jpg#10", "a#b/000001.jpg#7", "a#b/000002.jpg#7")


def crops(**fields: object) -> Crops:
    return Crops(Path("x"), PATHS, np.array(["train"] * 3), **fields)


def test_a_crop_of_a_frame_is_in_the_frames_file() -> None:
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    cut = crops(boxes=boxes, tracks=np.array([1, 0, 0]))
    assert [cut.file(row) for row in (0, 2)] == [Path("x/a#b/000001.jpg"), Path("x/a#b/000002.jpg")]
    assert crops().file(0) == Path("x", PATHS[0])


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([True, False, True])])
def test_select_carries_tracks_and_boxes(rows: np.ndarray) -> None:
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    chosen = crops(boxes=boxes, tracks=np.array([1, 0, -1])).select(rows)
    order = rows if rows.dtype != np.bool_ else np.flatnonzero(rows)
    assert chosen.tracks is not None
    assert chosen.boxes is not None
    assert chosen.tracks.tolist() == [[1, 0, -1][row] for row in order]
    assert chosen.boxes[:, 0].tolist() == [4.0 * row for row in order]
    assert (crops().select(rows).tracks, crops().select(rows).boxes) == (None, None)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tracks": np.zeros(2, np.int64)}, r"tracks has shape \(2,\), expected \(3,\)"),
        ({"boxes": np.zeros((3, 2), np.float32)}, r"boxes has shape \(3, 2\), expected \(3, 4\)"),
    ],
)
def test_shapes_are_checked(fields: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        crops(**fields)
