"""MOTChallenge ground truth, and crops cut from its frames."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.data import ImageStore, check_data, detect_layout, read_crops
from resight.errors import DataError

Told = Callable[..., dict[str, tuple[str, str, str]]]

ROWS = (
    "1,2,1,1,10,20,1,1,1",  # the upper left corner
    "1,10,11,1,10,20,1,1,0.5",  # beside it
    "2,2,36,21,10,40,1,1,0.25",  # hangs over the lower right corner
    "1,3,1,1,10,20,0,1,1",  # not considered
    "1,4,1,1,10,20,1,3,1",  # a car
    "2,10,11,1,10,20,1,1,0",  # hidden
    "2,11,101,1,10,20,1,1,1",  # outside the frame
)
COLOURS = {1: ("red", "lime"), 2: ("blue", "yellow")}


@pytest.fixture
def sequence(root: Path) -> Callable[..., Path]:
    """sequence(name, rows): two frames of 40 x 30, the ten left columns in another colour."""

    def write(name: str, rows: tuple[str, ...] = ROWS, rate: str = "frameRate=25") -> Path:
        place = root / name
        (place / "gt").mkdir(parents=True)
        (place / "img1").mkdir()
        (place / "gt" / "gt.txt").write_text("\n".join(rows) + "\n")
        title = place.name
        (place / "seqinfo.ini").write_text(
            f"[Sequence]\nname={title}\nimDir=img1\n{rate}\nseqLength=2\nimExt=.png\n"
        )
        for number, (left, right) in COLOURS.items():
            frame = Image.new("RGB", (40, 30), right)
            frame.paste(Image.new("RGB", (10, 30), left), (0, 0))
            frame.save(place / "img1" / f"{number:06d}.png")
        return place

    return write


def test_what_counts(root: Path, sequence: Callable[..., Path], told: Told) -> None:
    sequence("MOT17-02-FRCNN")
    assert detect_layout(root) == "mot"
    crops = read_crops(root)
    place = "MOT17-02-FRCNN/img1"
    assert told(crops) == {
        f"{place}/000001.png#10": ("train", "MOT17-02/10", "MOT17-02"),
        f"{place}/000001.png#2": ("train", "MOT17-02/2", "MOT17-02"),
        f"{place}/000002.png#11": ("train", "MOT17-02/11", "MOT17-02"),
        f"{place}/000002.png#2": ("train", "MOT17-02/2", "MOT17-02"),
    }
    assert crops.boxes is not None
    assert crops.boxes.tolist() == [
        [10, 0, 10, 20],
        [0, 0, 10, 20],
        [100, 0, 10, 20],
        [35, 20, 10, 40],
    ]
    assert crops.times is not None
    assert crops.tracks is not None
    assert crops.times.tolist() == [0.0, 0.0, 0.04, 0.04]
    assert crops.tracks[1] == crops.tracks[3]
    assert len(set(crops.tracks.tolist())) == 3
    assert crops.file(0) == root / place / "000001.png"


@pytest.mark.parametrize("workers", [1, 2])
def test_crops_are_cut_from_frames(root: Path, sequence: Callable[..., Path], workers: int) -> None:
    sequence("MOT17-02")
    (root / "MOT17-02" / "gt" / "gt.txt").write_text(
        "\n".join(ROWS + tuple(f"1,{n},1,1,10,20,1,1,1" for n in range(100, 200)))
    )
    store = ImageStore.open(read_crops(root), size=(8, 4), workers=workers)
    assert [(broken.path, broken.reason) for broken in store.broken] == [
        ("MOT17-02/img1/000002.png#11", "the box lies outside the image")
    ]
    rows = {path: row for row, path in enumerate(store.crops.paths)}
    colour = {path[-8:]: store.images[row].reshape(-1, 3) for path, row in rows.items()}
    assert (colour["01.png#2"] == (255, 0, 0)).all()
    assert (colour["1.png#10"] == (0, 255, 0)).all()
    assert (colour["02.png#2"] == (255, 255, 0)).all()
    last = rows["MOT17-02/img1/000002.png#2"]
    assert store.original_sizes[last].tolist() == [10, 5]
    assert store.digests[last] != store.digests[rows["MOT17-02/img1/000001.png#2"]]
    assert len(np.unique(store.digests)) == 3


def test_a_changed_box_is_cut_anew(root: Path, sequence: Callable[..., Path]) -> None:
    place = sequence("s", ("1,1,1,1,10,20,1,1,1",))
    first = ImageStore.open(read_crops(root), size=(8, 4), workers=1)
    (place / "gt" / "gt.txt").write_text("1,1,11,1,10,20,1,1,1\n")
    second = ImageStore.open(read_crops(root), size=(8, 4), workers=1)
    assert first.folder != second.folder
    assert second.images[0, 0, 0].tolist() == [0, 255, 0]


def test_missing_frames_are_named(root: Path, sequence: Callable[..., Path]) -> None:
    place = sequence("s")
    (place / "img1" / "000002.png").unlink()
    store = ImageStore.open(read_crops(root), size=(8, 4), workers=1)
    assert [broken.path for broken in store.broken] == [
        "s/img1/000002.png#11",
        "s/img1/000002.png#2",
    ]
    with pytest.raises(DataError, match="2 of 4 images"):
        check_data(root, size=(8, 4), strict=True)


def test_sequences_are_cameras_and_copies_are_read_once(
    root: Path, sequence: Callable[..., Path]
) -> None:
    for name in ("MOT17-02-DPM", "MOT17-02-SDP", "MOT17-04-DPM"):
        sequence(f"train/{name}")
    (root / "test" / "MOT17-01-DPM" / "img1").mkdir(parents=True)
    crops = read_crops(root)
    assert crops.camera_names == ("MOT17-02", "MOT17-04")
    assert {path.split("/")[1] for path in crops.paths} == {"MOT17-02-DPM", "MOT17-04-DPM"}
    assert len(crops.identity_names) == 6
    assert read_crops(root / "train").camera_names == crops.camera_names
    single = read_crops(root / "train" / "MOT17-04-DPM")
    assert single.camera_names == ("MOT17-04",)
    assert single.paths[0] == "img1/000001.png#10"


def test_rows_without_classes_count_by_their_flag(
    root: Path, sequence: Callable[..., Path]
) -> None:
    sequence("ADL-Rundle-6", ("1,1,1,1,5,5,1,-1,-1,-1", "1,2,1,1,5,5,0,-1,-1,-1", "2,3,1,1,5,5"))
    assert [path[-2:] for path in read_crops(root).paths] == ["#1", "#3"]


def test_own_classes_all_count(root: Path, sequence: Callable[..., Path]) -> None:
    place = sequence("s", ("1,1,1,1,5,5,1,2,1", "1,2,1,1,5,5,0,1,1"))
    (place / "gt" / "labels.txt").write_text("dog\ncat\n")
    for number in (1, 2):
        (place / "img1" / f"{number:06d}.png").rename(
            place / "img1" / f"frame_{number - 1:04d}.png"
        )
    assert read_crops(root).paths == ("s/img1/frame_0000.png#1",)


def test_without_a_frame_rate_times_are_unknown(
    root: Path, sequence: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    sequence("s", rate="")
    assert read_crops(root).times is None
    assert "tells no frame rate" in caplog.text


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (("1,1,1,1,5,5,1,1,1", "x,1,1,1,5,5,1,1,1"), "no row of MOTChallenge in line 2"),
        (("1,nan,1,1,5,5,1,1,1",), "no row of MOTChallenge in line 1"),
        (("1.5,1,1,1,5,5,1,1,1",), "no row of MOTChallenge in line 1"),
        (("1,1.5,1,1,5,5,1,1,1",), "no row of MOTChallenge in line 1"),
        (("1e300,1,1,1,5,5,1,1,1",), "no row of MOTChallenge in line 1"),
        (("1,9007199254740993,1,1,5,5,1,1,1",), "no row of MOTChallenge in line 1"),
        (("1,1,1e39,1,5,5,1,1,1",), "no row of MOTChallenge in line 1"),
        (("1;1;1;1;5;5;1;1;1",), "no row of MOTChallenge in line 1.*separated by commas"),
        (("1,1,1,1,5",), "no row of MOTChallenge in line 1"),
        (("1,1,1,1,0,5,1,1,1",), "a box of 0 x 5 pixels in line 1"),
        (("1,1,1,1,5,5,0,1,1",), "no considered box"),
        (("1,1,1,1,5,5,1,1,1", "1,1,2,2,5,5,1,1,1"), "000001.png#1' is listed more than once"),
    ],
)
def test_rows_are_checked(
    root: Path, sequence: Callable[..., Path], rows: tuple[str, ...], words: str
) -> None:
    sequence("s", rows)
    with pytest.raises(DataError, match=words):
        read_crops(root)


def test_a_file_that_is_no_text(root: Path, sequence: Callable[..., Path]) -> None:
    (sequence("s") / "gt" / "gt.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"cannot read .*gt\.txt"):
        read_crops(root)


def test_negative_ids_are_nobody(root: Path, sequence: Callable[..., Path], told: Told) -> None:
    sequence("s", ("1,-1,1,1,5,5,1,1,1", "1,-1,6,1,5,5,1,1,1", "1,0,11,1,5,5,1,1,1"))
    crops = read_crops(root)
    assert told(crops) == {
        "s/img1/000001.png#0": ("train", "s/0", "s"),
        "s/img1/000001.png#line1": ("train", "-1", "s"),
        "s/img1/000001.png#line2": ("train", "-1", "s"),
    }
    assert crops.tracks is not None
    assert crops.tracks.tolist() == [0, -1, -1]


def test_unknown_classes_and_visibilities_count(root: Path, sequence: Callable[..., Path]) -> None:
    sequence("s", ("1,1,1,1,5,5,1,-1,-1", "1,2,1,1,5,5,1,1,-1", "1,3,1,1,5,5,1,-1,0"))
    assert [path[-2:] for path in read_crops(root).paths] == ["#1", "#2"]


def test_sequences_of_one_name_are_told_apart(
    root: Path, sequence: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    info = (sequence("a") / "seqinfo.ini").read_text()
    (sequence("b") / "seqinfo.ini").write_text(info)
    crops = read_crops(root)
    assert crops.camera_names == ("a", "b")
    assert crops.identity_names == ("a/10", "a/11", "a/2", "b/10", "b/11", "b/2")
    assert "several sequences have one name" in caplog.text


def test_frames_are_found_whatever_their_ending(root: Path, sequence: Callable[..., Path]) -> None:
    place = sequence("s", ("2,1,1,1,5,5,1,1,1", "7,1,1,1,5,5,1,1,1")) / "img1"
    (place / "000002.png").rename(place / "02.PNG")
    assert read_crops(root).paths == ("s/img1/000007.png#1", "s/img1/02.PNG#1")


@pytest.mark.parametrize("info", ["[Sequence]\nimDir=\n", "[Sequence]\nframeRate=nan\n", None])
def test_without_what_seqinfo_tells(
    root: Path, sequence: Callable[..., Path], info: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = sequence("s") / "seqinfo.ini"
    file.unlink() if info is None else file.write_text(info)
    crops = read_crops(root)
    assert (len(crops), crops.times, crops.camera_names) == (4, None, ("s",))
    assert "tells no frame rate" in caplog.text


def test_what_is_missing_is_named(root: Path, sequence: Callable[..., Path]) -> None:
    (root / "a.jpg").touch()
    with pytest.raises(DataError, match=r"no sequence with gt/gt\.txt"):
        read_crops(root, layout="mot")
    place = sequence("s", rate="frameRate=fast")
    with pytest.raises(DataError, match=r"cannot read .*seqinfo\.ini: its frameRate 'fast'"):
        read_crops(root)
    (place / "seqinfo.ini").write_text("no\nsections")
    with pytest.raises(DataError, match=r"cannot read .*seqinfo\.ini: [^\n]*$"):
        read_crops(root)
    (place / "seqinfo.ini").unlink()
    for frame in (place / "img1").iterdir():
        frame.unlink()
    with pytest.raises(DataError, match="holds no frames"):
        read_crops(root)
