from __future__ import annotations

import math

import pytest
from PIL import Image

from resight.reporting.thumbnails import Thumbnails, box_of, read_picture


@pytest.fixture
def frame(tmp_path):
    """A frame of 200 × 100 pixels, blue with a red part of 20 × 40."""
    picture = Image.new("RGB", (200, 100), (0, 0, 255))
    picture.paste((255, 0, 0), (50, 30, 70, 70))
    picture.save(tmp_path / "frame.png")
    return tmp_path / "frame.png"


def test_a_box_is_cut_and_scaled(frame):
    picture = read_picture(frame, 100, 80, box=(50, 30, 20, 40))
    assert picture.size == (40, 80)
    assert picture.getcolors() == [(40 * 80, (255, 0, 0))]


def test_boxes_are_cut_at_the_frames_edge_and_may_miss_it(frame):
    assert read_picture(frame, 50, 50, box=(-10, -10, 20, 20)).size == (50, 50)
    assert read_picture(frame, 50, 50, box=(190.4, 0, 40, 10.4)).size == (50, 50)
    assert read_picture(frame, 50, 50, box=(200, 0, 40, 40)) is None
    assert read_picture(frame, 50, 50, box=(10, 10, 0, 40)) is None


def test_turned_frames_are_cut_upright(tmp_path):
    picture = Image.new("RGB", (100, 60), (0, 0, 255))
    picture.paste((255, 0, 0), (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise: what lies top left is then top right
    picture.save(tmp_path / "turned.png", exif=exif)
    cut = read_picture(tmp_path / "turned.png", 50, 50, box=(50, 0, 10, 10))
    assert cut.getcolors() == [(2500, (255, 0, 0))]


def test_the_frames_name_ends_at_the_last_hash(frame):
    frame.rename(frame.with_name("a#b.png"))
    thumbnails = Thumbnails(frame.parent, 40, 40)
    assert thumbnails("a#b.png#7", (50, 30, 20, 40)).width == 20
    assert thumbnails("a#b.png", None).uri
    assert thumbnails.missing == []
    assert thumbnails("a#b.png#7").uri is None
    assert thumbnails.missing == ["a#b.png#7"]


def test_boxes_of_entries():
    assert box_of({}) is None
    assert box_of({"box": [1, 2, 3, 4]}) == (1.0, 2.0, 3.0, 4.0)
    for damaged in ([1, 2, 3], [1, 2, 3, math.nan], 5, ["a", 1, 2, 3]):
        with pytest.raises((TypeError, ValueError)):
            box_of({"box": damaged})
