import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from resight.data import Broken, DataCheck, ImageStore, check_data, read_crops
from resight.data.sheet import camera_counts, draw_sheet
from resight.errors import DataError

Draw = Callable[..., Path]
SIZE = (24, 12)


def told(check: DataCheck) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200).print(check.render())
    return stream.getvalue()


@pytest.fixture
def table(root: Path, draw: Draw) -> Path:
    """Three identities; the first is seen by two cameras, once by each twice over."""
    rows = [
        ("a1.png", "left", "ann", "train"),
        ("a2.png", "right", "ann", "query"),
        ("b1.png", "left", "bob", "gallery"),
        ("b2.png", "left", "bob", "gallery"),
        ("c1.png", "right", "cleo", "gallery"),
        ("u [red]1[/].png", "right", "", "train"),
        ("broken [x].png", "right", "ann", "train"),
    ]
    for seed, (path, *_) in enumerate(rows):
        draw(path, seed=seed, size=(10 + seed, 30 - seed))
    (root / "broken [x].png").write_text("text")
    shutil.copy(root / "a1.png", root / "a2.png")
    file = root / "crops.csv"
    lines = ["path,camera,identity,split", *(",".join(row) for row in rows)]
    file.write_text("\n".join(lines))
    return file


def test_what_was_read(table: Path) -> None:
    check = check_data(table, size=SIZE)
    assert check.layout == "table"
    assert check.images == 6
    assert check.splits == {"train": 2, "query": 1, "gallery": 3}
    assert check.cameras == {"left": 3, "right": 3}
    assert (check.identities, check.shared, check.unlabelled, check.distractors) == (3, 1, 1, 0)
    assert check.sizes.width == (10, 12, 15)
    assert check.sizes.height == (25, 27, 30)
    assert check.broken == (Broken("broken [x].png", "not a JPEG, PNG, BMP or WebP image"),)
    assert check.duplicates == (("a1.png", "a2.png"),)
    assert check.notes == ("duplicates lie in more than one split (1 groups)",)
    assert (check.benchmark, check.tracks, check.timed) == (None, None, 0)


def test_what_is_printed(table: Path) -> None:
    text = told(check_data(table, size=SIZE))
    for words in (
        "6 (train 2, query 1, gallery 3)",
        "2 (left 3, right 3)",
        "3, 1 of them seen by several cameras; 1 images without identity",
        "25 – 30 px, median 27",
        "broken [x].png: not a JPEG",
        "a1.png = a2.png",
    ):
        assert words in text


def test_names_of_several_lines_are_drawn(root: Path, draw: Draw, tmp_path: Path) -> None:
    draw("cam1/a\nb.png")
    draw("cam2/\n.png")
    assert check_data(root, size=SIZE, sheet=tmp_path / "sheet.png").images == 2


def test_long_lists_are_cut_short(root: Path, draw: Draw) -> None:
    draw("cam1/a.png")
    for index in range(30):
        (root / "cam1" / f"x{index:02d}.jpg").touch()
        shutil.copy(draw("cam1/a.png"), draw(f"cam{index + 2}/a.png"))
    check = check_data(root, size=SIZE)
    assert len(check.broken) == 30
    text = told(check)
    assert "31 (cam1 1, cam10 1" in text
    assert "and 22 more" in text
    assert text.count(".jpg: the file is empty") == 8


def test_market_junk_and_distractors(root: Path, draw: Draw) -> None:
    draw("bounding_box_train/0002_c1s1_000451_03.jpg", seed=1)
    draw("query/0003_c4s1_000001_00.jpg", seed=2)
    for seed, name in enumerate(("-1_c1s1_1_1", "0000_c1s1_1_1", "0003_c1s1_1_1"), start=3):
        draw(f"bounding_box_test/{name}.jpg", seed=seed)
    check = check_data(root, size=SIZE)
    assert check.layout == "market1501"
    assert (check.identities, check.shared, check.unlabelled, check.distractors) == (2, 1, 1, 1)
    assert "1 distractors" in told(check)


def test_a_copy_of_a_published_data_set(root: Path, draw: Draw) -> None:
    draw("image_train/0001_c001_00016450_0.jpg", seed=1)
    draw("image_query/0002_c002_00030600_0.jpg", seed=2)
    draw("image_test/0002_c002_00030600_0.jpg", seed=2)
    draw("image_test/0003_c003_00084280_0.jpg", seed=2)
    (root / "test_track.txt").write_text("a 0002_c002_00030600_0.jpg\nb 0003_c003_00084280_0.jpg")
    check = check_data(root, size=SIZE)
    assert (check.layout, check.tracks, check.timed) == ("veri776", 2, 4)
    shown = (
        "image_query/0002_c002_00030600_0.jpg = image_test/0002_c002_00030600_0.jpg = "
        "image_test/0003_c003_00084280_0.jpg"
    )
    assert check.notes == (
        "duplicates lie in more than one split (1 groups)",
        f"query and gallery share images (1 groups), first {shown}",
        f"one image, several identities (1 groups), first {shown}",
    )
    text = told(check)
    assert "VeRi-776, not as published (Liu et al., ECCV 2016)" in text
    assert "image_train has 1 image, VeRi-776 has 37,778: 37,777 are missing" in text
    assert "of 4 images" in text


def test_identities_that_count_from_zero_twice(root: Path, draw: Draw) -> None:
    draw("bounding_box_train/0000_c1_1.jpg", seed=1)
    draw("query/0000_c1_2.jpg", seed=2)
    draw("bounding_box_test/0000_c2_3.jpg", seed=3)
    (note,) = check_data(root, size=SIZE).notes
    assert note.startswith("1 identities of train are in query or gallery too")
    assert check_data(root, size=SIZE, layout="msmt17").notes == ()


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (["a.png"], "there is a single image"),
        (["a.png", "b.png", "c.png"], "all files have the same bytes"),
        (["a.png", "b.png"], "cameras are not known"),
        (["cam1/a.png", "cam1/b.png"], "there is a single camera"),
    ],
)
def test_odd_data_is_noted(root: Path, draw: Draw, names: list[str], note: str) -> None:
    for name in names:
        draw(name)
    check = check_data(root, size=SIZE)
    assert any(note in text for text in check.notes)
    assert note in told(check)


def test_ordinary_data_gets_no_note(root: Path, draw: Draw) -> None:
    draw("cam1/a.png", seed=1)
    draw("cam2/a.png", seed=2)
    check = check_data(root, size=SIZE)
    assert check.notes == ()
    assert check.identities is None
    assert "not known (training does not need them)" in told(check)


def test_the_check_decodes_for_training(table: Path) -> None:
    check_data(table, size=SIZE)
    stored = ImageStore.open(read_crops(table), size=SIZE, workers=1)
    assert len(stored) == 6


def test_strict_and_pattern_are_handed_on(root: Path, draw: Draw) -> None:
    draw("a_k1.png")
    (root / "a_k2.png").touch()
    assert check_data(root, size=SIZE, camera_pattern="k(?P<camera>.)").cameras == {"1": 1, "2": 0}
    with pytest.raises(DataError, match="the file is empty"):
        check_data(root, size=SIZE, strict=True)


def test_the_sheet_is_saved(table: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "sheet.png"
    check = check_data(table, size=SIZE, sheet=file)
    assert check.sheet == file
    with Image.open(file) as sheet:
        assert sheet.format == "PNG"
    assert str(file) in told(check)
    with pytest.raises(DataError, match="cannot write the sheet of samples"):
        check_data(table, size=SIZE, sheet=table / "sheet.png")


def paint(root: Path, name: str, colour: tuple[int, int, int]) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    Image.new("RGB", (10, 20), colour).save(root / name)


def colours_by_line(sheet: Image.Image) -> list[set[tuple[int, ...]]]:
    """The pure colours in each line of a sheet, from top to bottom."""
    pixels = np.asarray(sheet)
    pure = np.isin(pixels, (0, 255)).all(axis=2) & (pixels.min(axis=2) != pixels.max(axis=2))
    lines: list[set[tuple[int, ...]]] = []
    before = False
    for row, mask in zip(pixels, pure, strict=True):
        if mask.any():
            if not before:
                lines.append(set())
            lines[-1] |= {tuple(map(int, colour)) for colour in np.unique(row[mask], axis=0)}
        before = bool(mask.any())
    return lines


RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def test_a_line_of_the_sheet_is_a_camera(root: Path) -> None:
    paint(root, "cam1/a.png", RED)
    paint(root, "cam1/b.png", GREEN)
    paint(root, "cam2/a.png", BLUE)
    sheet = draw_sheet(ImageStore.open(read_crops(root), size=SIZE))
    assert colours_by_line(sheet) == [{RED, GREEN}, {BLUE}]


def test_a_line_of_the_sheet_is_an_identity_when_known(root: Path) -> None:
    for name, colour in (("1a", RED), ("2a", GREEN), ("1b", BLUE), ("2b", YELLOW)):
        paint(root, f"{name}.png", colour)
    crops = read_crops(root, camera_pattern=r"(?P<camera>\d)(?P<identity>.)\.")
    sheet = draw_sheet(ImageStore.open(crops, size=SIZE))
    assert colours_by_line(sheet) == [{RED, GREEN}, {BLUE, YELLOW}]


def test_identities_of_several_cameras_come_first(root: Path) -> None:
    for index in range(8):
        paint(root, f"1_{index}.png", RED)
    paint(root, "1_x.png", GREEN)
    paint(root, "2_x.png", BLUE)
    crops = read_crops(root, camera_pattern=r"(?P<camera>\d)_(?P<identity>.)")
    sheet = draw_sheet(ImageStore.open(crops, size=SIZE), strips=1)
    assert colours_by_line(sheet) == [{GREEN, BLUE}]


def test_the_sheet_has_a_bound_and_a_seed(root: Path, draw: Draw) -> None:
    for index in range(60):
        draw(f"{index}.png", seed=index)
    store = ImageStore.open(read_crops(root), size=SIZE)
    small = draw_sheet(store, strips=2, columns=3, seed=1)
    assert small.tobytes() == draw_sheet(store, strips=2, columns=3, seed=1).tobytes()
    assert small.tobytes() != draw_sheet(store, strips=2, columns=3, seed=2).tobytes()
    large = draw_sheet(store)
    assert large.width > 2 * small.width
    assert large.height > 2 * small.height


def test_camera_counts() -> None:
    rng = np.random.default_rng(0)
    identities, cameras = rng.integers(-1, 9, 200), rng.integers(0, 4, 200)
    expected = [len(set(cameras[identities == identity])) for identity in range(9)]
    assert camera_counts(identities, cameras).tolist() == expected
    assert camera_counts(identities, None).tolist() == [0] * 9
    assert camera_counts(np.array([-1, -1]), np.array([0, 1])).tolist() == [0]
