"""CUHK03: packaged like Market-1501, and unpacked beside the lists of both protocols."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from resight.data import detect_layout, read_crops
from resight.errors import ConfigError, DataError

Touch = Callable[..., None]
Told = Callable[..., dict[str, tuple[str, str, str]]]

PACKAGED = (
    "bounding_box_train/0001_c1_1.png",
    "query/0003_c1_22.png",
    "bounding_box_test/0003_c2_27.png",
)
UNPACKED = {  # name: (label, split of the new protocol)
    "1_001_1_01.png": (1, "train"),
    "1_001_2_06.png": (1, "train"),
    "1_002_1_01.png": (2, "query"),
    "1_002_2_06.png": (2, "gallery"),
    "5_002_1_02.png": (740, "gallery"),
}


def write_mat(file: Path, **changed: object) -> None:
    """The split as Zhong et al. write it: rows from 1, and one more file in no split."""
    splits = [split for _, split in UNPACKED.values()]
    names = np.empty((len(UNPACKED) + 1, 1), object)
    names[:, 0] = [*UNPACKED, "5_003_1_01.png"]
    rows = {
        f"{kind}_idx": np.array([[i + 1 for i, split in enumerate(splits) if split == kind]])
        for kind in ("train", "query", "gallery")
    }
    labels = np.array([[label] for label, _ in UNPACKED.values()] + [[741]], np.uint16)
    table = {"filelist": names, "labels": labels, **rows, **changed}
    scipy.io.savemat(file, {name: value for name, value in table.items() if value is not None})


@pytest.mark.parametrize("boxes", ["labelled", "detected"])
def test_packaged(root: Path, touch: Touch, told: Told, boxes: str) -> None:
    folder = {"labelled": "labeled", "detected": "detected"}[boxes]
    touch(*(f"labeled/{name}" for name in PACKAGED), *(f"detected/{name}" for name in PACKAGED))
    expected = {
        f"{folder}/{PACKAGED[0]}": ("train", "0001", "c1"),
        f"{folder}/{PACKAGED[1]}": ("query", "0003", "c1"),
        f"{folder}/{PACKAGED[2]}": ("gallery", "0003", "c2"),
    }
    assert told(read_crops(root, layout=f"cuhk03-{boxes}")) == expected
    inside = read_crops(root / folder, layout=f"cuhk03-{boxes}")
    assert {f"{folder}/{path}" for path in inside.paths} == set(expected)
    assert detect_layout(root / folder) == "market1501"


def test_two_copies_must_be_chosen_from(root: Path, touch: Touch) -> None:
    touch(*(f"labeled/{name}" for name in PACKAGED), *(f"Detected/{name}" for name in PACKAGED))
    words = "choose the layout 'cuhk03-labelled' or 'cuhk03-detected'"
    for place in (root, root.parent):  # the folder itself, and one that holds it
        with pytest.raises(DataError, match=words):
            read_crops(place)
    with pytest.raises(ConfigError, match=r"unknown layout 'cuhk03-labeled', .*'cuhk03-labelled'"):
        read_crops(root, layout="cuhk03-labeled")


def test_unpacked_new_protocol(root: Path, touch: Touch, told: Told) -> None:
    touch(*(f"images_detected/{name}" for name in (*UNPACKED, "5_003_1_01.png")))
    write_mat(root / "cuhk03_new_protocol_config_detected.mat")
    assert told(read_crops(root, layout="cuhk03-detected")) == {
        f"images_detected/{name}": (split, str(label), f"c{name[6]}")
        for name, (label, split) in UNPACKED.items()
    }


def test_unpacked_new_protocol_files_are_checked(root: Path, touch: Touch) -> None:
    touch(*(f"images_detected/{name}" for name in UNPACKED))
    file = root / "cuhk03_new_protocol_config_detected.mat"
    with pytest.raises(DataError, match=r"lacks cuhk03_new_protocol_config_detected\.mat"):
        read_crops(root, layout="cuhk03-detected")
    write_mat(file, query_idx=None)
    with pytest.raises(DataError, match="is no split of CUHK03"):
        read_crops(root, layout="cuhk03-detected")
    for row in (99, 0):
        write_mat(file, query_idx=np.array([[row]]))
        with pytest.raises(DataError, match=rf"is no split of CUHK03.*{row}"):
            read_crops(root, layout="cuhk03-detected")
    file.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(64))
    with pytest.raises(DataError, match=r"is a MATLAB 7\.3 file"):
        read_crops(root, layout="cuhk03-detected")


def test_a_damaged_matlab_file(root: Path, touch: Touch) -> None:
    touch(*(f"images_detected/{name}" for name in UNPACKED))
    file = root / "cuhk03_new_protocol_config_detected.mat"
    write_mat(file)
    whole = file.read_bytes()
    for damaged in (b"", whole[:300], bytes(500), whole[:200] + b"\xff" * 200 + whole[400:]):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"cannot read the split|is no split of CUHK03"):
            read_crops(root, layout="cuhk03-detected")


@pytest.mark.parametrize("place", ["cuhk-03.mat", "cuhk03_release/cuhk-03.mat"])
def test_the_raw_file_has_to_be_unpacked(root: Path, touch: Touch, place: str) -> None:
    touch(place)
    for layout in ("cuhk03-detected", "cuhk03-classic-labelled"):
        with pytest.raises(DataError, match=rf"run `resight data unpack {root}`"):
            read_crops(root, layout=layout)
    with pytest.raises(DataError, match="choose the layout 'cuhk03-labelled' or"):
        read_crops(root)


def test_nothing_of_cuhk03(root: Path, touch: Touch) -> None:
    touch("a.jpg")
    words = "lacks images_labeled and labeled/bounding_box_train"
    with pytest.raises(DataError, match=words):
        read_crops(root, layout="cuhk03-labelled")


@pytest.fixture
def classic(root: Path, touch: Touch) -> Path:
    """Two classic splits: person 2 of the first pair is tested, then person 2 of the fifth."""
    touch(*(f"images_labeled/{name}" for name in UNPACKED))
    splits = [
        {"query": [[f"{place}{name}", 0, 0] for name in names]}
        for place, names in (
            ("/some/where/", ["1_002_1_01.png", "1_002_2_06.png"]),
            ("D:\\where\\", ["5_002_1_02.png"]),
        )
    ]
    (root / "splits_classic_labeled.json").write_text(json.dumps(splits))
    return root


def test_classic_splits(classic: Path, told: Told) -> None:
    first = told(read_crops(classic, layout="cuhk03-classic-labelled"))
    assert first == told(read_crops(classic, layout="cuhk03-classic-labelled:1"))
    assert first == {
        "images_labeled/1_001_1_01.png": ("train", "1_001", "c1"),
        "images_labeled/1_001_2_06.png": ("train", "1_001", "c2"),
        "images_labeled/1_002_1_01.png": ("query", "1_002", "c1"),
        "images_labeled/1_002_2_06.png": ("gallery", "1_002", "c2"),
        "images_labeled/5_002_1_02.png": ("train", "5_002", "c1"),
    }
    second = told(read_crops(classic, layout="cuhk03-classic-labelled:2"))
    assert [path[-14:] for path, (split, *_) in second.items() if split != "train"] == [
        "5_002_1_02.png"
    ]


def test_images_that_a_classic_split_names_are_listed(classic: Path, told: Told) -> None:
    whole = told(read_crops(classic, layout="cuhk03-classic-labelled"))
    file = classic / "splits_classic_labeled.json"
    train = [[f"/x/{name}", 0, 0] for name in ("1_001_1_01.png", "1_001_2_06.png")]
    splits = json.loads(file.read_text())
    file.write_text("\ufeff" + json.dumps([{**splits[0], "train": train}]))
    for name in ("1_001_2_06.png", "1_002_2_06.png"):
        (classic / "images_labeled" / name).unlink()
    assert told(read_crops(classic, layout="cuhk03-classic-labelled")) == whole


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("cuhk03-classic-labelled:3", "the classic splits 1 … 2, there is no 3"),
        ("cuhk03-classic-labelled:0", "there is no 0"),
        ("cuhk03-classic-labelled:x", "should end in a number, as in"),
        ("cuhk03-classic-labelled:" + "9" * 5000, "should end in a number, as in"),
        ("market1501:2", "unknown layout 'market1501:2'"),
    ],
)
def test_classic_splits_that_do_not_exist(classic: Path, layout: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_crops(classic, layout=layout)


def test_classic_files_are_checked(classic: Path, touch: Touch) -> None:
    with pytest.raises(DataError, match=r"lacks splits_classic_detected\.json"):
        read_crops(classic, layout="cuhk03-classic-detected")
    for text in ('[{"train": []}]', '["x"]', "3", '[{"query": [[1]]}]', "[" * 100_000):
        (classic / "splits_classic_detected.json").write_text(text)
        with pytest.raises(DataError, match="cannot read the classic splits"):
            read_crops(classic, layout="cuhk03-classic-detected")
    touch("images_labeled/someone.png")
    with pytest.raises(DataError, match=r"someone\.png is not named as in CUHK03"):
        read_crops(classic, layout="cuhk03-classic-labelled")
