"""MSMT17 V1 and V2, as published and packaged like Market-1501."""

from collections.abc import Callable
from pathlib import Path

import pytest

from resight.data import ImageStore, detect_layout, read_crops
from resight.errors import DataError

Touch = Callable[..., None]
Told = Callable[..., dict[str, tuple[str, str, str]]]

LISTS = {
    "list_train.txt": [("0000/0000_000_01_0303morning_0008_0.jpg", 0)],
    "list_val.txt": [("0000/0000_001_12_0303morning_0008_0_ex.jpg", 0)],
    "list_query.txt": [("0000/0000_002_01_0303morning_0016_2.jpg", 0)],
    "list_gallery.txt": [
        ("0000/0000_045_12_0303afternoon_0006_2.jpg", 0),
        ("0911/0911_005_05_0114noon_1558_1.jpg", 911),
    ],
}
FOLDERS = {"V1": ("train", "test"), "V2": ("mask_train_v2", "mask_test_v2")}


@pytest.fixture
def msmt17(root: Path, touch: Touch) -> Callable[[str], Path]:
    """msmt17(version): the published form, in miniature."""

    def write(version: str) -> Path:
        train, test = FOLDERS[version]
        for name, rows in LISTS.items():
            (root / name).write_text("".join(f"{path} {label}\n" for path, label in rows))
            folder = train if name in ("list_train.txt", "list_val.txt") else test
            touch(*(f"{folder}/{path}" for path, _ in rows))
        return root

    return write


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_the_published_form(
    msmt17: Callable[[str], Path], touch: Touch, told: Told, version: str
) -> None:
    root = msmt17(version)
    train, test = FOLDERS[version]
    touch(f"{test}/0000/._0000_002_01_0303morning_0016_2.jpg")
    assert detect_layout(root) == "msmt17"
    crops = read_crops(root)
    assert told(crops) == {
        f"{train}/0000/0000_000_01_0303morning_0008_0.jpg": ("train", "train-0000", "01"),
        f"{train}/0000/0000_001_12_0303morning_0008_0_ex.jpg": ("train", "train-0000", "12"),
        f"{test}/0000/0000_002_01_0303morning_0016_2.jpg": ("query", "test-0000", "01"),
        f"{test}/0000/0000_045_12_0303afternoon_0006_2.jpg": ("gallery", "test-0000", "12"),
        f"{test}/0911/0911_005_05_0114noon_1558_1.jpg": ("gallery", "test-0911", "05"),
    }
    assert crops.times is None


def test_folders_may_have_other_capitals(root: Path, msmt17: Callable[[str], Path]) -> None:
    msmt17("V2")
    (root / "mask_test_v2").rename(root / "mask_test_V2")
    assert any(path.startswith("mask_test_V2/") for path in read_crops(root).paths)


def test_images_missing_from_disk_are_named_and_refused_when_strict(
    root: Path, msmt17: Callable[[str], Path], caplog: pytest.LogCaptureFixture, draw: Callable
) -> None:
    msmt17("V1")
    for path in read_crops(root).paths:
        draw(path)
    gone = "test/0911/0911_005_05_0114noon_1558_1.jpg"
    (root / gone).unlink()
    crops = read_crops(root)
    assert gone in crops.paths
    store = ImageStore.open(crops, size=(8, 4), workers=1)
    assert [broken.path for broken in store.broken] == [gone]
    assert f"1 of 5 images in {root} cannot be read: {gone}: No such file" in caplog.text
    with pytest.raises(DataError, match="1 of 5 images"):
        ImageStore.open(crops, size=(8, 4), workers=1, strict=True)


def test_without_the_validation_list(
    root: Path, msmt17: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    msmt17("V1")
    (root / "list_val.txt").unlink()
    assert len(read_crops(root)) == 4
    assert "lacks list_val.txt: the training set is smaller" in caplog.text


def test_what_is_missing_is_named(root: Path, msmt17: Callable[[str], Path]) -> None:
    msmt17("V1")
    (root / "list_query.txt").rename(root / "queries.txt")
    with pytest.raises(DataError, match=r"lacks list_query\.txt"):
        read_crops(root, layout="msmt17")
    (root / "queries.txt").rename(root / "list_query.txt")
    (root / "train").rename(root / "training")
    with pytest.raises(DataError, match="lacks the folders train and test"):
        read_crops(root, layout="msmt17")


def test_both_versions_in_one_folder_are_refused(msmt17: Callable[[str], Path]) -> None:
    msmt17("V1")
    root = msmt17("V2")
    with pytest.raises(DataError, match="holds the images of MSMT17 V1 and of V2"):
        read_crops(root)


@pytest.mark.parametrize("line", ["0000.jpg", "a/0000_0.jpg 0", "a/0000_000_x_1.jpg 0", "a b c"])
def test_lines_are_checked(root: Path, msmt17: Callable[[str], Path], line: str) -> None:
    msmt17("V1")
    with (root / "list_query.txt").open("a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(DataError, match=r"list_query\.txt has .* in line 3, expected a path"):
        read_crops(root)


def test_lists_with_tabs_long_and_negative_labels(
    root: Path, msmt17: Callable[[str], Path], told: Told
) -> None:
    msmt17("V1")
    rows = [("a b/0_0_03_x.jpg", "-1"), ("0_1_04_x.jpg", "9" * 5000), ("0_2_05_x.jpg", "7")]
    (root / "list_gallery.txt").write_text("".join(f"{path}\t {label}\n" for path, label in rows))
    found = told(read_crops(root))
    assert [found[f"test/{path}"] for path, _ in rows] == [
        ("gallery", "-1", "03"),
        ("gallery", "test-" + "9" * 5000, "04"),
        ("gallery", "test-0007", "05"),
    ]


def test_packaged_like_market_with_its_own_names(root: Path, touch: Touch, told: Told) -> None:
    names = {
        "bounding_box_train/0000_002_01_0303morning_0009_0.jpg": ("train", "train-0000", "01"),
        "query/0000_002_01_0303morning_0016_2.jpg": ("query", "test-0000", "01"),
        "bounding_box_test/0000_045_12_0303noon_0006_2.jpg": ("gallery", "test-0000", "12"),
    }
    touch(*names)
    assert detect_layout(root) == "msmt17"
    assert told(read_crops(root)) == names


def test_packaged_like_market_with_names_of_market(root: Path, touch: Touch, told: Told) -> None:
    names = {
        "bounding_box_train/0000_c14_0001.jpg": ("train", "train-0000", "c14"),
        "query/0000_c1_0001.jpg": ("query", "test-0000", "c1"),
        "bounding_box_test/0000_c2_0002.jpg": ("gallery", "test-0000", "c2"),
    }
    touch(*names)
    assert detect_layout(root) == "market1501"
    assert told(read_crops(root, layout="msmt17")) == names
