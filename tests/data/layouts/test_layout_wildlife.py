"""Wildlife tables."""

from pathlib import Path

import numpy as np
import pytest

from resight.data import detect_layout, read_crops
from resight.errors import DataError

CSV = (
    "image_id,identity,path,date,orientation\n"
    "0,zeb 7,b/2.jpg,2014-08-01,left\n"
    "1,unknown,a.jpg,2015,right\n"
    "2,-1,c.jpg,,left\n"
    "3,007,b/1.jpg,2014-08-01 00:01:00,left\n"
)


def write(root: Path, text: str = CSV) -> Path:
    file = root / "metadata.csv"
    file.write_text(text)
    return file


def test_identities_and_times(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write(root)
    assert detect_layout(file) == detect_layout(root) == "wildlife"
    crops = read_crops(file)
    assert crops.root == read_crops(root).root == root
    assert crops.paths == ("a.jpg", "b/1.jpg", "b/2.jpg", "c.jpg")
    assert crops.identity_names == ("007", "zeb 7")
    assert crops.identities is not None
    assert crops.identities.tolist() == [-1, 1, 2, -1]
    assert crops.cameras is None
    assert crops.times is not None
    np.testing.assert_array_equal(crops.times - crops.times[2], [np.nan, 60.0, 0.0, np.nan])
    assert "1 dates are no full ISO 8601 dates" in caplog.text


def test_splits(root: Path) -> None:
    rows = ("train", "database", "test", "query", "gallery")
    lines = [f"x,{n}.jpg,{split},left" for n, split in enumerate(rows)]
    crops = read_crops(write(root, "\n".join(["identity,path,split,orientation", *lines])))
    assert crops.splits.tolist() == ["train", "gallery", "gallery", "query", "gallery"]


@pytest.mark.parametrize("extra", ["camera", "time"])
def test_tables_of_resights_own_stay_tables(root: Path, extra: str) -> None:
    file = write(root, f"identity,path,date,{extra}\nx,a.jpg,2014-01-01,1\n")
    assert detect_layout(file) == "table"
    assert read_crops(file, layout="wildlife").cameras is None


def test_a_folder_with_another_metadata_file_is_not_wildlife(root: Path) -> None:
    write(root, "name,size\na,1\n")
    (root / "a.jpg").touch()
    assert detect_layout(root) == "images"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,date\na,1\n", "no column 'identity', which the layout 'wildlife' needs"),
        ("Identity,Path\nx,a\n", "no column 'identity'.*: it has 'Identity', 'Path'"),
        ("", "no column 'identity'.*: it has none"),
        ("identity;path\nx;a\n", "should be separated by commas"),
        ("identity,path,path\nx,a,b\n", "the column 'path' more than once"),
        ("identity,path\nx,a\ny,b,left\n", "more cells in row 2 than its header"),
        ("identity,path\n", "no rows"),
        ("identity,path\nx,\n", "an empty 'path' in row 1"),
        ("identity,path,split\nx,a,val\n", "the split 'val' in row 1"),
        ("identity,path\nx,a\ny,a\n", "'a' is listed more than once"),
    ],
)
def test_tables_that_cannot_be_used(root: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_crops(write(root, text), layout="wildlife")


@pytest.mark.parametrize(
    "header",
    ["identity;path;date", "identity\tpath\tdate", "Identity,Path,Date", "identity, path, date"],
)
def test_a_folder_whose_table_is_nearly_right_is_no_folder_of_images(
    root: Path, header: str
) -> None:
    write(root, f"{header}\n")
    (root / "a.jpg").touch()
    with pytest.raises(DataError, match=r"commas|no column"):
        read_crops(root)


def test_rows_may_be_short_or_blank(root: Path) -> None:
    crops = read_crops(write(root, "\ufeffidentity,path,orientation\nx,a.jpg\n\ny,b.jpg,left\n"))
    assert crops.identity_names == ("x", "y")


def test_boxes_are_not_cut_and_that_is_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_crops(write(root, 'identity,path,species,bbox\nx,a.jpg,zebra,"[1,2,3,4]"\n'))
    assert "'bbox' are not cut out" in caplog.text
