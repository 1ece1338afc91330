from __future__ import annotations

import math
import os

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


@pytest.mark.parametrize(("size", "shown"), [((1, 900), (1, 80)), ((900, 2), (100, 1))])
def test_pictures_as_thin_as_a_line_keep_a_pixel(tmp_path, size, shown):
    Image.new("RGB", size, "red").save(tmp_path / "thin.png")
    found = Thumbnails(tmp_path, 100, 80)("thin.png")
    assert (found.width, found.height) == shown
    assert found.uri


def test_boxes_as_thin_as_a_line_keep_a_pixel(frame):
    assert read_picture(frame, 40, 40, box=(0, 5, 200, 1)).size == (40, 1)


@pytest.mark.parametrize(
    ("mode", "value", "shown"),
    [
        ("I;16", 0x40FF, (0x40, 0x40, 0x40)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("LA", (0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("1", 1, (255, 255, 255)),
    ],
)
def test_pictures_look_as_encoders_see_them(tmp_path, mode, value, shown):
    Image.new(mode, (8, 16), value).save(tmp_path / "a.png")
    for box in (None, (0, 0, 8, 16)):
        picture = read_picture(tmp_path / "a.png", 8, 16, box=box)
        assert picture.getcolors() == [(8 * 16, shown)]


def test_only_regular_files_of_the_formats_of_crops_are_opened(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.gif")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name in ("a.gif", "pipe.jpg", "."):
        assert read_picture(tmp_path / name, 8, 8) is None
