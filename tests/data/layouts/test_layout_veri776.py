"""VeRi-776: names, XML labels, tracks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from resight.data import detect_layout, read_crops
from resight.data.layouts.veri776 import Label, read_labels, read_tracks
from resight.errors import DataError

Touch = Callable[..., None]
Told = Callable[..., dict[str, tuple[str, str, str]]]

XML = """<?xml version="1.0" encoding="gb2312" ?>
<TrainingImages Version="1.0">
  <Items number="2">
    <Item imageName="0001_c001_00016450_0.jpg" vehicleID="0001" cameraID="c001"
          colorID="1" typeID="4" />
    <Item imageName="0001_c004_00016500_0.jpg" vehicleID="0001" cameraID="c004"
          colorID="1" typeID="4" />
  </Items>
</TrainingImages>
"""
NAMES = (
    "image_train/0001_c001_00016450_0.jpg",
    "image_query/0002_c002_00030600_0.jpg",
    "image_test/0002_c002_00030600_0.jpg",
    "image_test/0002_c002_00030605_1.jpg",
    "image_test/0002_c003_00084280_0.jpg",
)
TRACKS = (
    "0002_c002_00030600 0002_c002_00030600_0.jpg 0002_c002_00030605_1.jpg \n"
    "0002_c003_00084280 0002_c003_00084280_0.jpg \n"
)


def test_names_times_and_tracks(root: Path, touch: Touch, told: Told) -> None:
    touch(*NAMES)
    (root / "test_track.txt").write_text(TRACKS)
    assert detect_layout(root) == "veri776"
    crops = read_crops(root)
    found = told(crops)
    assert found[NAMES[0]] == ("train", "0001", "c001")
    assert found[NAMES[1]] == ("query", "0002", "c002")
    assert found[NAMES[4]] == ("gallery", "0002", "c003")
    assert crops.times is not None
    assert crops.tracks is not None
    times = dict(zip(crops.paths, crops.times.tolist(), strict=True))
    assert times[NAMES[0]] == 658.0
    tracks = dict(zip(crops.paths, crops.tracks.tolist(), strict=True))
    assert [tracks[name] for name in NAMES] == [-1, 0, 0, 0, 1]


def test_without_tracks(root: Path, touch: Touch, caplog: pytest.LogCaptureFixture) -> None:
    touch(*NAMES)
    assert read_crops(root).tracks is None
    assert "lacks test_track.txt: tracks are not known" in caplog.text


def test_tracks_without_names(root: Path) -> None:
    file = root / "test_track.txt"
    file.write_text(
        "\ufeff0002_c002_00030600_0.jpg 0002_c002_00030605_1.jpg\n\n0002_c003_00084280_0.jpg\n"
    )
    assert read_tracks(file) == {
        "0002_c002_00030600_0.jpg": "00001",
        "0002_c002_00030605_1.jpg": "00001",
        "0002_c003_00084280_0.jpg": "00003",
    }


def test_an_image_in_two_tracks(root: Path) -> None:
    file = root / "test_track.txt"
    file.write_text("a 0002_c002_00030600_0.jpg\nb 0002_c002_00030600_0.jpg\n")
    with pytest.raises(DataError, match=r"0002_c002_00030600_0\.jpg in line 2 and in another"):
        read_tracks(file)


def test_labels(root: Path, touch: Touch) -> None:
    touch(*NAMES)
    (root / "train_label.xml").write_text(XML, encoding="ascii")
    assert read_labels(root / "train_label.xml") == {
        "0001_c001_00016450_0.jpg": Label("0001", "c001", 1, 4),
        "0001_c004_00016500_0.jpg": Label("0001", "c004", 1, 4),
    }
    paths = read_crops(root).paths
    assert len(paths) == len(NAMES) + 1
    assert "image_train/0001_c004_00016500_0.jpg" in paths  # labelled, and not there


def test_labels_may_hold_chinese(root: Path) -> None:
    file = root / "train_label.xml"
    file.write_bytes(XML.replace("<Items", "<!-- 车 --><Items").encode("gb2312"))
    assert list(read_labels(file)) == ["0001_c001_00016450_0.jpg", "0001_c004_00016500_0.jpg"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('vehicleID="0001"', 'vehicleID="0007"', "is vehicle 0007 in c001, unlike its name"),
        ('cameraID="c001"', 'cameraID="c009"', "is vehicle 0001 in c009, unlike its name"),
        ('cameraID="c001"', "", "an Item without cameraID"),
        ("</Items>", "", "cannot read the labels"),
        ("0001_c004_00016500_0.jpg", "car.jpg", "the image 'car.jpg'"),
    ],
)
def test_labels_that_cannot_be(root: Path, touch: Touch, old: str, new: str, words: str) -> None:
    touch(*NAMES)
    (root / "train_label.xml").write_text(XML.replace(old, new, 1), encoding="ascii")
    with pytest.raises(DataError, match=words):
        read_crops(root)


def test_names_and_folders_are_checked(root: Path, touch: Touch) -> None:
    touch(*NAMES, "image_query/car.jpg")
    with pytest.raises(DataError, match=r"car\.jpg is not named as in the layout 'veri776'"):
        read_crops(root)
    (root / "image_query").rename(root / "query")
    with pytest.raises(DataError, match="lacks image_query, which the layout 'veri776' needs"):
        read_crops(root, layout="veri776")
