"""Market-1501 with its distractors, DukeMTMC-reID, Occluded-Duke and PersonX."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resight.data import detect_layout, read_crops
from resight.errors import DataError

Touch = Callable[..., None]
Told = Callable[..., dict[str, tuple[str, str, str]]]

MARKET = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "query/0003_c4s1_000001_00.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/0003_c6s1_000002_00.jpg",
)
DUKE = (
    "bounding_box_train/0002_c1_f0044158.jpg",
    "bounding_box_train/0002_c2_f0046094.jpg",
    "query/0005_c2_f0046985.jpg",
    "bounding_box_test/0005_c5_f0051781.jpg",
    "bounding_box_test/7114_c8_f0002935.jpg",
)


@pytest.mark.parametrize("folder", ["images", "distractors_500k", "distractors"])
def test_the_pack_of_distractors_joins_the_gallery(
    root: Path, touch: Touch, told: Told, folder: str
) -> None:
    pack = [f"{folder}/0000_c3s2_000001_00.jpg", f"{folder}/00000017.jpg", f"{folder}/a/b.jpg"]
    touch(*MARKET, *pack, f"{folder}/-1_c2s1_000001_00.jpg")
    assert detect_layout(root) == "market1501"
    found = told(read_crops(root))
    assert found[pack[0]] == ("gallery", "0", "c3")
    assert found[pack[1]] == found[pack[2]] == ("gallery", "0", "distractor")
    assert found[f"{folder}/-1_c2s1_000001_00.jpg"] == ("gallery", "-1", "c2")
    assert found[MARKET[3]] == ("gallery", "0", "c1")
    assert found[MARKET[2]] == ("gallery", "-1", "c1")


def test_other_folders_beside_the_three_are_not_read(root: Path, touch: Touch) -> None:
    touch(*MARKET, "gt_bbox/0003_c1s1_000001_00.jpg", "gt_query/0003_c1s1_000001_00_good.mat")
    assert read_crops(root).paths == tuple(sorted(MARKET))


@pytest.mark.parametrize("place", ["bounding_box_train", "query"])
def test_identity_zero_is_a_person_where_a_distractor_cannot_be(
    root: Path, touch: Touch, told: Told, place: str
) -> None:
    touch(*MARKET, f"{place}/0000_c2s1_000001_00.jpg")
    assert told(read_crops(root))[MARKET[3]] == ("gallery", "0000", "c1")


def test_other_negative_identities_are_junk_too(root: Path, touch: Touch, told: Told) -> None:
    touch(*MARKET, "bounding_box_test/-2_c1s1_000001_00.jpg")
    assert told(read_crops(root))["bounding_box_test/-2_c1s1_000001_00.jpg"][1] == "-1"


def test_duke_has_times_of_a_common_clock(root: Path, touch: Touch, told: Told) -> None:
    touch(*DUKE)
    assert detect_layout(root) == "dukemtmc"
    crops = read_crops(root)
    found = told(crops)
    assert found["bounding_box_train/0002_c1_f0044158.jpg"] == ("train", "0002", "c1")
    assert found["bounding_box_test/7114_c8_f0002935.jpg"] == ("gallery", "7114", "c8")
    assert crops.times is not None
    times = dict(zip(crops.paths, crops.times, strict=True))
    # The published training interval begins at frame 49700 of the clock, in all cameras at once.
    assert times[DUKE[0]] == times[DUKE[1]] == 49700 / 59.94
    assert times[DUKE[3]] == 51781 / 59.94
    assert times[DUKE[4]] == (2935 + 46765) / 59.94


def test_duke_has_no_clock_for_other_cameras(root: Path, touch: Touch) -> None:
    touch(*DUKE, "query/0005_c9_f0000001.jpg")
    crops = read_crops(root)
    assert crops.times is not None
    assert np.isnan(crops.times[crops.paths.index("query/0005_c9_f0000001.jpg")])


def test_duke_names_are_checked(root: Path, touch: Touch) -> None:
    touch(*DUKE, "query/0005_c2s1_0046985.jpg")
    words = r"0005_c2s1_0046985\.jpg is not named as in the layout 'dukemtmc', where 0002_c1_f"
    with pytest.raises(DataError, match=words):
        read_crops(root)


def test_personx_in_three_folders_is_like_market(root: Path, touch: Touch, told: Told) -> None:
    touch("bounding_box_train/0001_c12_1.jpg", "query/0411_c3_2.jpg")
    touch("bounding_box_test/0411_c10_3.jpg")
    assert detect_layout(root) == "market1501"
    assert read_crops(root, layout="personx").paths == read_crops(root).paths
    assert told(read_crops(root))["bounding_box_train/0001_c12_1.jpg"] == ("train", "0001", "c12")


def test_personx_in_a_folder_per_camera(root: Path, touch: Touch, told: Told) -> None:
    for part, camera in (("1", "c3"), ("2", "c4")):
        touch(f"{part}/bounding_box_train/0001_{camera}_01.jpg")
        touch(
            f"{part}/query/0411_{camera}_01.jpg", f"{part}/bounding_box_test/0411_{camera}_02.jpg"
        )
    assert detect_layout(root) == "personx"
    found = told(read_crops(root))
    assert len(found) == 6
    assert found["2/query/0411_c4_01.jpg"] == ("query", "0411", "c4")
    assert {split for split, _, _ in found.values()} == {"train", "query", "gallery"}


def test_personx_names_what_is_missing(root: Path, touch: Touch) -> None:
    touch("1/bounding_box_train/0001_c3_01.jpg")
    with pytest.raises(DataError, match="lacks bounding_box_train, query, bounding_box_test"):
        read_crops(root, layout="personx")


def test_a_data_set_one_level_below_is_pointed_at(root: Path, touch: Touch) -> None:
    touch(*(f"Market-1501-v15.09.15/{name}" for name in MARKET), "readme.txt")
    words = r"Market-1501-v15\.09\.15 is of the layout 'market1501': give that folder"
    with pytest.raises(DataError, match=words):
        read_crops(root)
    assert len(read_crops(root, layout="images")) == len(MARKET)


def test_listing_opens_no_image(root: Path, touch: Touch, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(*MARKET)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an image was opened")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert len(read_crops(root)) == len(MARKET)
