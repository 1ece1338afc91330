import inspect
import logging
import os
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from resight.data import detect_layout, read_crops
from resight.errors import ConfigError, DataError

MARKET = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0007_c3s3_077419_03.jpg",
    "query/0003_c4s1_000001_00.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/0003_c6s1_000002_00.jpg",
)


def touch(root: Path, *names: str) -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def write(root: Path, text: str, name: str = "crops.csv", encoding: str = "utf-8") -> Path:
    file = root / name
    file.write_text(text, encoding=encoding)
    return file


def test_images_of_any_depth_are_sorted_and_mean_nothing(root: Path) -> None:
    touch(root, "b/c/x.JPG", "a.png", "b/y y.webp", "b/ä中.bmp", "b/z.jpeg", "notes.txt")
    crops = read_crops(root)
    assert crops.paths == ("a.png", "b/c/x.JPG", "b/y y.webp", "b/z.jpeg", "b/ä中.bmp")
    assert crops.splits.tolist() == ["train"] * 5
    assert (crops.cameras, crops.identities, crops.times) == (None, None, None)
    assert crops.file(2) == root / "b" / "y y.webp"


def test_a_folder_has_one_name_from_wherever_it_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(root, "crops/a.jpg", "elsewhere/b.txt")
    monkeypatch.chdir(root / "elsewhere")
    assert read_crops("../crops").root == read_crops(root / "crops").root


def test_hidden_files_and_folders_are_ignored(root: Path) -> None:
    touch(root, "a.jpg", "._a.jpg", ".cache/b.jpg", "__MACOSX/c.jpg", ".DS_Store", "Thumbs.db")
    assert read_crops(root).paths == ("a.jpg",)


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["cam1/a.jpg", "camera_03/x/b.jpg", "c2/c.jpg"], "cameras"),
        (["cam1/a.jpg", "people/b.jpg"], "images"),
        (["cam1/a.jpg", "b.jpg"], "images"),
        (["cam1/a.jpg", "notes.txt", ".git/x"], "cameras"),
        (["a.jpg"], "images"),
        (MARKET, "market1501"),
        (MARKET[:3], "images"),
    ],
)
def test_auto_tells_the_layout_from_the_folders(root: Path, names: list[str], layout: str) -> None:
    touch(root, *names)
    assert detect_layout(root) == layout


def test_a_folder_per_camera(root: Path) -> None:
    touch(root, "c2/a.jpg", "c10/b/a.jpg", "c2/c.jpg")
    crops = read_crops(root)
    assert crops.camera_names == ("c10", "c2")
    assert crops.paths == ("c10/b/a.jpg", "c2/a.jpg", "c2/c.jpg")
    assert crops.cameras is not None
    assert crops.cameras.tolist() == [0, 1, 1]
    assert crops.cameras.dtype == np.int64


def test_a_folder_per_identity_numbers_from_one(root: Path) -> None:
    touch(root, "bob/1.jpg", "ann/x/1.jpg", "bob/2.jpg", "-1/u.jpg", "0/z.jpg")
    crops = read_crops(root, layout="identities")
    assert crops.identity_names == ("0", "ann", "bob")
    assert crops.identities is not None
    assert dict(zip(crops.paths, crops.identities.tolist(), strict=True)) == {
        "-1/u.jpg": -1,
        "0/z.jpg": 1,
        "ann/x/1.jpg": 2,
        "bob/1.jpg": 3,
        "bob/2.jpg": 3,
    }


@pytest.mark.parametrize("layout", ["identities", "cameras"])
def test_an_image_outside_the_folders_is_named(root: Path, layout: str) -> None:
    touch(root, "ann/1.jpg", "loose.jpg")
    with pytest.raises(DataError, match=r"loose\.jpg lies in no folder"):
        read_crops(root, layout=layout)


def test_market1501(root: Path) -> None:
    touch(root, *MARKET)
    touch(root, "bounding_box_test/Thumbs.db", "readme.txt", "gt_bbox/other.jpg")
    crops = read_crops(root)
    assert crops.paths == tuple(sorted(MARKET))
    assert crops.identity_names == ("0002", "0003", "0007")
    assert crops.camera_names == ("c1", "c3", "c4", "c6")
    assert crops.identities is not None
    assert crops.cameras is not None
    known = dict(
        zip(
            crops.paths,
            zip(crops.splits.tolist(), crops.identities, crops.cameras, strict=True),
            strict=True,
        )
    )
    assert [known[path] for path in MARKET] == [
        ("train", 1, 0),
        ("train", 3, 1),
        ("query", 2, 2),
        ("gallery", -1, 0),
        ("gallery", 0, 0),
        ("gallery", 2, 3),
    ]


def test_market1501_names_are_checked(root: Path) -> None:
    touch(root, *MARKET, "query/someone.jpg")
    with pytest.raises(DataError, match=r"someone\.jpg is not named as in the layout 'market1501'"):
        read_crops(root)


def test_market1501_names_the_missing_folders(root: Path) -> None:
    touch(root, *MARKET[:3])
    with pytest.raises(DataError, match="lacks bounding_box_test"):
        read_crops(root, layout="market1501")


def test_a_pattern_gives_cameras_identities_and_times(root: Path) -> None:
    touch(root, "x/p7_cam2_1.5.jpg", "x/p7_cam1_2.jpg", "y/_cam1_0.jpg")
    pattern = r"/(p(?P<identity>\d+))?_cam(?P<camera>\d+)_(?P<time>[\d.]+)\.jpg$"
    crops = read_crops(root, camera_pattern=pattern)
    assert crops.camera_names == ("1", "2")
    assert crops.identity_names == ("7",)
    assert crops.cameras is not None
    assert crops.identities is not None
    assert crops.times is not None
    assert crops.paths[0] == "x/p7_cam1_2.jpg"
    assert crops.cameras.tolist() == [0, 1, 0]
    assert crops.identities.tolist() == [1, 1, -1]
    assert crops.times.tolist() == [2.0, 1.5, 0.0]


def test_a_pattern_goes_before_the_layout(root: Path) -> None:
    touch(root, "cam1/left_1.jpg", "cam1/right_1.jpg")
    assert read_crops(root).camera_names == ("cam1",)
    crops = read_crops(root, camera_pattern="/(?P<camera>[a-z]+)_")
    assert crops.camera_names == ("left", "right")


@pytest.mark.parametrize(
    ("pattern", "error", "words"),
    [
        ("cam(", ConfigError, "is no regular expression"),
        (r"cam(\d)", ConfigError, "has no group named camera"),
        (r"cam(?P<cam>\d)", ConfigError, "has the group 'cam'.*did you mean 'camera'"),
        (r"cam(?P<camera>\d)", DataError, r"no camera in 1 of 2 paths, for example 'b/x\.jpg'"),
        (r"cam(?P<camera>\d*)|x", DataError, "no camera in 1 of 2 paths"),
        (r"(?P<camera>\w)/(?P<time>\w+)", DataError, "the time 'cam1'"),
    ],
)
def test_a_pattern_that_cannot_be_used(
    root: Path, pattern: str, error: type[Exception], words: str
) -> None:
    touch(root, "a/cam1.jpg", "b/x.jpg")
    with pytest.raises(error, match=words):
        read_crops(root, camera_pattern=pattern)


CSV = (
    "path,camera,identity,split,time\n"
    "b b.jpg,010,007,query,1.5\n"
    "ä/a.jpg,2,,train,\n"
    "c.jpg,2,-1,gallery,1970-01-01T00:01:00\n"
    "./d.jpg,2,0,gallery,1970-01-01T01:00:00+01:00\n"
)


def check_table(file: Path) -> None:
    crops = read_crops(file)
    assert crops.root == file.parent
    assert crops.paths == ("b b.jpg", "c.jpg", "d.jpg", "ä/a.jpg")
    assert crops.splits.tolist() == ["query", "gallery", "gallery", "train"]
    assert crops.camera_names == ("010", "2")
    assert crops.identity_names == ("0", "007")
    assert crops.cameras is not None
    assert crops.identities is not None
    assert crops.times is not None
    assert crops.cameras.tolist() == [0, 1, 1, 1]
    assert crops.identities.tolist() == [2, -1, 1, -1]
    np.testing.assert_array_equal(crops.times, [1.5, 60.0, 0.0, np.nan])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv(root: Path, encoding: str) -> None:
    check_table(write(root, CSV, encoding=encoding))


def test_parquet(root: Path) -> None:
    table = {
        "path": ["b b.jpg", "ä/a.jpg", "c.jpg", "./d.jpg"],
        "camera": pa.array(["010", "2", "2", "2"]).dictionary_encode(),
        "identity": ["007", None, "-1", "0"],
        "split": ["query", "train", "gallery", "gallery"],
        "time": [
            "1.5",
            None,
            "1970-01-01T00:01:00",
            "1970-01-01T00:00:00",
        ],
    }
    pa.parquet.write_table(pa.table(table), root / "crops.parquet")
    check_table(root / "crops.parquet")


def test_parquet_numbers_and_dates(root: Path) -> None:
    table = {
        "path": ["a.jpg", "b.jpg", "c.jpg"],
        "camera": [3, 1, 3],
        "identity": [12.0, float("nan"), 4.0],
        "time": [datetime(1970, 1, 1, 0, 1), None, datetime(1970, 1, 2)],
    }
    pa.parquet.write_table(pa.table(table), root / "crops.parquet")
    crops = read_crops(root / "crops.parquet")
    assert crops.camera_names == ("1", "3")
    assert crops.identity_names == ("12", "4")
    assert crops.identities is not None
    assert crops.identities.tolist() == [1, -1, 2]
    np.testing.assert_array_equal(crops.times, [60.0, np.nan, 86400.0])


def test_negative_numbers_beside_gaps_are_no_identities(root: Path) -> None:
    crops = read_crops(write(root, "path,identity\na.jpg,-1.0\nb.jpg,12.0\nc.jpg,\nd.jpg,-x\n"))
    assert crops.identity_names == ("-x", "12.0")
    assert crops.identities is not None
    assert crops.identities.tolist() == [-1, 2, -1, 1]


def test_cells_that_python_cannot_hold(root: Path) -> None:
    time = pa.array([0], pa.timestamp("s", tz="Mars/Base"))
    pa.parquet.write_table(pa.table({"path": ["a.jpg"], "time": time}), root / "crops.parquet")
    with pytest.raises(DataError, match="cannot read the table"):
        read_crops(root / "crops.parquet")


def test_a_table_of_paths_alone(root: Path) -> None:
    absolute = (root / "elsewhere" / "x.jpg").as_posix()
    crops = read_crops(write(root, f"path\nb.jpg\n{absolute}\n"))
    assert crops.splits.tolist() == ["train", "train"]
    assert (crops.cameras, crops.identities, crops.times) == (None, None, None)
    assert crops.file(crops.paths.index(absolute)) == root / "elsewhere" / "x.jpg"


def test_a_pattern_works_on_a_table(root: Path) -> None:
    crops = read_crops(write(root, "path\nc1/b.jpg\nc2/a.jpg\n"), camera_pattern="c(?P<camera>.)")
    assert crops.camera_names == ("1", "2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("camera\n1\n", "no column 'path'"),
        ("filename,camera\na,1\n", "unknown column 'filename', did you mean 'path'"),
        ("path,camid\na,1\n", "unknown column 'camid', did you mean 'camera'"),
        ("path,identty\na,1\n", "unknown column 'identty', did you mean 'identity'"),
        ("Path\na\n", "unknown column 'Path', did you mean 'path'"),
        ("path;camera\na;1\n", "should be separated by commas"),
        ("path,path\na,a\n", "the column 'path' more than once"),
        ("path,split\na,train\nb,test\n", "the split 'test' in row 2.*mean 'gallery'"),
        ("path,split\na,querry\n", "the split 'querry' in row 1.*mean 'query'"),
        ("path,split\na,\n", "an empty 'split' in row 1"),
        ("path,camera\na,1\nb,\nc,\n", "an empty 'camera' in row 2 and in 2 of 3 rows"),
        ("path,camera\n,1\n", "an empty 'path' in row 1"),
        ("path,time\na,noon\n", "the time 'noon' in row 1"),
        ("path,time\na,0\nb,-inf\n", "the time '-inf' in row 2"),
        ("path\na.jpg\nb.jpg\na.jpg\n", r"'a\.jpg' is listed more than once"),
        ("path,camera\n", "no rows"),
        ("", "cannot read the table"),
        ("path,camera\na,1,2\n", "cannot read the table"),
    ],
)
def test_a_table_that_cannot_be_used(root: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_crops(write(root, text))


def test_tables_in_another_encoding_or_format(root: Path) -> None:
    with pytest.raises(DataError, match="cannot read the table"):
        read_crops(write(root, "path\né.jpg\n", encoding="latin-1"))
    with pytest.raises(DataError, match="cannot read the table"):
        read_crops(write(root, CSV, name="crops.parquet"))


def test_columns_that_mean_nothing_are_ignored_aloud(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    crops = read_crops(write(root, "path,camera,cam,bbox\na.jpg,1,2,3\n"))
    assert crops.camera_names == ("1",)
    assert "ignored the columns 'cam', 'bbox'" in caplog.text


def test_missing_data_names_a_neighbour(root: Path) -> None:
    touch(root, "market/a.jpg")
    with pytest.raises(DataError, match=r"markt does not exist, did you mean 'market'"):
        read_crops(root / "markt")
    with pytest.raises(DataError, match=r"nowhere.x\.csv does not exist$"):
        read_crops(root / "nowhere" / "x.csv")


@pytest.mark.parametrize("place", ["~nobody.of.this.name/x", "/" + "a" * 5000])
def test_places_that_cannot_be_looked_for(place: str) -> None:
    with pytest.raises(DataError, match="cannot look for"):
        read_crops(place)


def test_nothing_to_read(root: Path) -> None:
    with pytest.raises(DataError, match=r"no image in .*and the folder is empty"):
        read_crops(root)
    touch(root, "a.tif", "b.tif", "c/README")
    with pytest.raises(DataError, match=r"found 2 × \.tif, 1 × no ending"):
        read_crops(root)


def test_other_files_are_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(root, "a.tif", "b.jpg")
    with caplog.at_level(logging.INFO):
        read_crops(root)
    assert "1 × .tif" in caplog.text


def test_layouts_that_do_not_fit(root: Path) -> None:
    touch(root, "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg is a file; give a folder"):
        read_crops(root / "a.jpg")
    with pytest.raises(DataError, match="is a folder, which the layout 'table' cannot read"):
        read_crops(root, layout="table")
    with pytest.raises(DataError, match="is a file, which the layout 'images' cannot read"):
        read_crops(write(root, CSV), layout="images")
    with pytest.raises(ConfigError, match=r"unknown layout 'market', .*mean 'market1501'"):
        read_crops(root, layout="market")


def test_links(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(root, "a/x.jpg")
    touch(tmp_path / "other", "y.jpg")
    (root / "a" / "again").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "other").symlink_to(tmp_path / "other")
    (root / "gone.jpg").symlink_to(root / "nothing.jpg")
    assert read_crops(root).paths == ("a/x.jpg", "gone.jpg", "other/y.jpg")
    assert "not followed" in caplog.text


def test_pipes_are_no_images(root: Path) -> None:
    touch(root, "a.jpg")
    os.mkfifo(root / "b.jpg")
    assert read_crops(root).paths == ("a.jpg",)


@pytest.mark.parametrize("name", [b"\xff.jpg", b"\xff/a.jpg"])
def test_names_that_are_not_utf8(root: Path, name: bytes) -> None:
    try:
        touch(root, os.fsdecode(name))
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    for place in {root, (root / os.fsdecode(name)).parent}:
        with pytest.raises(DataError, match=r"udcff.* is not UTF-8: rename it"):
            read_crops(place)


def test_folders_may_be_deep(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "d/" * 300 + "a.jpg"
    touch(root, deep)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 200)
    try:
        assert read_crops(root).paths == (deep,)
    finally:
        sys.setrecursionlimit(limit)
