"""Thumbnails, the log of searches, picture sheets, and decoding ahead."""

import errno
import io
import json
import os
import time
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any

import gallery_cases
import numpy as np
import pytest
from memory_store import Stores
from PIL import Image

from resight.data.decode import Cut
from resight.errors import GalleryError
from resight.evaluation.threshold import Threshold
from resight.gallery import Filter, Gallery, Query, describe, forgotten, search, sheet
from resight.gallery.decoding import decoded
from resight.gallery.records import IndexState
from resight.gallery.sheet import ACCEPTED, INK, REJECTED, answer_sheet, verdict
from resight.gallery.telling import told_index, told_time, without_password
from resight.gallery.thumbnails import BLURRED_HEIGHT, Thumbnails, fitted
from resight.inference import to_pixels

CROP = ("town", "a.png")


def picture_of(thumbnails: Thumbnails, pixels: np.ndarray, size: tuple[int, int]) -> Image.Image:
    thumbnails.write([CROP], pixels[None], np.array([size]))
    return Image.open(io.BytesIO(thumbnails.read(*CROP) or b"")).convert("RGB")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((256, 128), (64, 128)),
        ((60, 30), (64, 128)),
        ((100, 100), (128, 128)),
        ((10, 100), (384, 38)),
        ((1, 10_000), (384, 1)),
        ((10_000, 1), (1, 128)),
    ],
)
def test_thumbnails_fit(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fitted(np.array(size)) == expected


def test_a_thumbnail_shows_the_crop(tmp_path: Path, town: Path) -> None:
    file = next(town.rglob("*.png"))
    pixels = to_pixels([file], (256, 128))[0]
    shown = picture_of(Thumbnails(tmp_path / "t", "keep"), pixels, (40, 20))
    wanted = Image.open(file).convert("RGB").resize(shown.size, Image.Resampling.BICUBIC)
    difference = np.abs(np.asarray(shown, float) - np.asarray(wanted, float))
    assert difference.mean() < 6


def test_blur_leaves_no_detail(tmp_path: Path) -> None:
    """Faces of 16 lines, drawn fine, look all alike once they are blurred."""
    rng = np.random.default_rng(0)
    face = np.kron(rng.integers(0, 2, (32, 32)) * 200, np.ones((4, 4)))
    pixels = np.repeat(face[..., None], 3, axis=2).astype(np.uint8)
    sharp = picture_of(Thumbnails(tmp_path / "sharp", "keep"), pixels, (128, 128))
    blurred = picture_of(Thumbnails(tmp_path / "blurred", "blur"), pixels, (128, 128))
    assert np.asarray(sharp, float).std() > 80
    assert blurred.size == sharp.size
    assert fine(blurred) < 0.005 * fine(sharp)


def fine(picture: Image.Image) -> float:
    """The power of what is finer than the lines of a blurred picture."""
    power = np.abs(np.fft.fft2(np.asarray(picture.convert("L"), float))) ** 2
    power[np.ix_(*[[*range(BLURRED_HEIGHT), *range(-BLURRED_HEIGHT, 0)]] * 2)] = 0
    return float(power.sum())


def test_no_thumbnails(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path / "t", "none")
    thumbnails.write([CROP], np.zeros((1, 8, 4, 3), np.uint8), np.array([[8, 4]]))
    assert thumbnails.read(*CROP) is None
    assert not (tmp_path / "t").exists()


def test_thumbnails_are_removed_and_swept(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path / "t", "keep")
    crops = [("town", f"{n}.png") for n in range(5)]
    thumbnails.write(crops, np.zeros((5, 8, 4, 3), np.uint8), np.full((5, 2), 8))
    thumbnails.remove([crops[0], ("town", "unknown")])
    assert thumbnails.read(*crops[0]) is None
    assert thumbnails.sweep(crops[:2]) == 3
    assert thumbnails.read(*crops[1])
    assert thumbnails.read(*crops[2]) is None


def test_thumbnails_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "t").touch()
    with pytest.raises(GalleryError, match="cannot write thumbnails"):
        Thumbnails(tmp_path / "t", "keep").write(
            [CROP], np.zeros((1, 8, 4, 3), np.uint8), np.array([[8, 4]])
        )


@pytest.fixture
def logged(tmp_path: Path, model: Path, in_memory: Stores) -> Gallery:
    gallery = Gallery.create(tmp_path / "logged", model, log_searches=True, device="cpu")
    rows = describe("stream", ["0", "1", "2"], cameras=("a", "b", "b"), times=(1, 2, 1e9))
    rows.added[:] = 1e9
    gallery.store.add(rows, gallery_cases.units(3, gallery.store.dim))
    return gallery


def test_searches_are_logged_where_that_is_asked_for(logged: Gallery, town: Path) -> None:
    file = next(town.rglob("*.png"))
    before = time.time()
    where = Filter(cameras=frozenset({"b"}), since=0.5)
    answer = search(logged, Query(pictures=(file, file.read_bytes()), where=where), by="anna")
    search(logged, Query(ids=(2,), k=1))
    first, second = map(json.loads, (logged.path / "searches.jsonl").read_text().splitlines())
    assert before <= first.pop("time") <= time.time()
    digest = blake2b(file.read_bytes(), digest_size=16).hexdigest()
    assert first == {
        "by": "anna",
        "pictures": [digest, digest],
        "ids": [],
        "where": {"cameras": ["b"], "since": 0.5},
        "k": 10,
        "same_camera": True,
        "accepted_only": False,
        "reranked": False,
        "unknown": None,
        "answered": [hit.id for hit in answer.hits],
    }
    assert (second["by"], second["ids"], second["where"]) == ("", [2], {})
    assert len(second["answered"]) == 1


def test_a_search_that_cannot_be_logged_is_not_answered(logged: Gallery) -> None:
    (logged.path / "searches.jsonl").mkdir()
    with pytest.raises(GalleryError, match="nothing is answered"):
        search(logged, Query(ids=(0,)))


def test_a_torn_line_of_the_log_takes_no_other_with_it(
    logged: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logged.path / "searches.jsonl"
    log.write_bytes(b'{"time": 17')
    search(logged, Query(ids=(0,)))
    torn, whole = log.read_text().splitlines()
    assert torn == '{"time": 17'
    assert json.loads(whole)["ids"] == [0]
    before = log.read_bytes()

    def failing(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", failing)
    with pytest.raises(GalleryError, match="No space left on device; nothing is answered"):
        search(logged, Query(ids=(0,)))
    assert log.read_bytes() == before


def test_a_picture_that_goes_before_it_is_logged(logged: Gallery, tmp_path: Path) -> None:
    def embed(pictures: Any) -> Any:
        return gallery_cases.units(1, logged.store.dim)

    with pytest.raises(GalleryError, match=r"cannot read .*gone\.jpg again, to log the search"):
        search(logged, Query(pictures=(tmp_path / "gone.jpg",)), embed=embed)


def test_a_torn_line_does_not_bring_a_deleted_crop_back(tmp_path: Path) -> None:
    first, second = describe("town", ["a.png"]), describe("town", ["é\udcff.png"])
    forgotten.forget(tmp_path, first)
    file = tmp_path / "forgotten.txt"
    file.write_bytes(file.read_bytes() + b"0123")
    forgotten.forget(tmp_path, second)
    assert forgotten.are_forgotten(tmp_path, first).all()
    assert forgotten.are_forgotten(tmp_path, second).all()
    forgotten.restore(tmp_path, second)
    assert not forgotten.are_forgotten(tmp_path, second).any()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("files", "files"),
        ("postgresql://u:pw@h:5432/db?table=t", "postgresql://h:5432/db?table=t"),
        ("postgresql://h/db?table=t&password=pw&user=u", "postgresql://h/db?table=t"),
        ("milvus+https://pw@h:1/d?collection=c", "milvus+https://h:1/d?collection=c"),
        ("milvus+http://h", "milvus+http://h"),
        ("postgresql://u:p/w@h/db?table=t", "postgresql://…"),
        ("postgresql://[u:pw@h/db?table=t", "postgresql://…"),
    ],
)
def test_addresses_are_shown_without_secrets(address: str, shown: str) -> None:
    assert without_password(address) == shown


def test_searches_are_not_logged_unasked(gallery: Gallery) -> None:
    gallery.add([np.zeros((8, 4, 3), np.uint8)], describe("stream", ["0"]))
    search(gallery, Query(pictures=(np.zeros((8, 4, 3), np.uint8),)))
    assert not (gallery.path / "searches.jsonl").exists()


def colours(file: Path) -> set[str]:
    """Colours that frames and marks may have."""
    found = Image.open(file).convert("RGB").getcolors(1 << 24) or []
    return {"#{:02x}{:02x}{:02x}".format(*colour) for count, colour in found if count > 300}


def test_a_sheet_shows_query_and_answers(gallery: Gallery, town: Path, tmp_path: Path) -> None:
    files = sorted(town.rglob("*.png"))
    gallery.add(files, describe("town", [str(file) for file in files], cameras="gate", times=3.0))
    query = Query(pictures=(files[0],), ids=(1,), k=20)
    sheet = tmp_path / "out/sheet.png"
    answer = search(gallery, query)
    assert answer_sheet(gallery, query, answer, sheet) == sheet
    assert not {ACCEPTED, REJECTED} & colours(sheet)
    assert INK in colours(sheet)
    assert "no threshold" in verdict(gallery, answer)
    gallery_cases.write_threshold(gallery.path, answer.hits[2].similarity)
    gallery.threshold = Threshold.read(gallery.path)
    answer = search(gallery, query)
    answer_sheet(gallery, query, answer, sheet)
    assert {ACCEPTED, REJECTED} <= colours(sheet)
    accepted = sum(hit.accepted is True for hit in answer.hits)
    assert verdict(gallery, answer).startswith(f"{accepted} of 7 answers accepted")
    width, height = Image.open(sheet).size
    assert width > 8 * 96
    assert height > 1.5 * 192


def test_a_sheet_of_many_answers_and_of_a_torn_picture(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.zeros((8, 4, 3), np.uint8)
    gallery.add([pixels] * 12, describe("stream", [str(n) for n in range(12)]))
    torn = next(gallery.path.glob("thumbnails/*/*.jpg"))
    torn.write_bytes(torn.read_bytes()[:100])
    query = Query(pictures=(pixels,), k=12)
    answer = search(gallery, query)
    sizes = []
    for most in (8, 12):
        monkeypatch.setattr(sheet, "MOST", most)
        answer_sheet(gallery, query, answer, tmp_path / "sheet.png")
        sizes.append(Image.open(tmp_path / "sheet.png").size)
    assert sizes[0][1] < sizes[1][1]


def test_a_sheet_without_pictures_and_without_answers(
    tmp_path: Path, model: Path, in_memory: Stores
) -> None:
    gallery = Gallery.create(tmp_path / "bare", model, thumbnails="none", device="cpu")
    rows = describe("stream", ["0", "1"])
    rows.added[:] = 1e9
    gallery.store.add(rows, gallery_cases.units(2, gallery.store.dim))
    for where in (Filter(), Filter(since=5.0)):
        query = Query(ids=(0,), where=where)
        answer_sheet(gallery, query, search(gallery, query), tmp_path / "sheet.png")
        assert Image.open(tmp_path / "sheet.png").size[0] > 200
    gallery_cases.write_threshold(gallery.path, 0.9)
    gallery.threshold = Threshold.read(gallery.path)
    assert verdict(gallery, search(gallery, query)) == "unknown: no crop reaches similarity 0.900"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (float("nan"), ""),
        (12.5, "12.5 s"),
        (-3.0, "-3 s"),
        (1714566600.0, "2024-05-01 12:30:00"),
        (1e300, "1e+300 s"),
    ],
)
def test_times_are_told(seconds: float, told: str) -> None:
    assert told_time(seconds) == told


def test_indices_are_told() -> None:
    assert told_index(IndexState(5, "exact")) == "exact"
    told = told_index(IndexState(10**6, "inverted lists", 0.9871, 1000))
    assert told == "inverted lists, recall@10 0.987 on 1,000 stored crops"


def test_sources_are_decoded_in_order(tmp_path: Path, town: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("resight.gallery.decoding.CHUNK", 2)
    monkeypatch.setattr("resight.gallery.decoding._CHUNKS_PER_FILE", 2)
    files = [str(file) for file in sorted(town.rglob("*.png"))]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    sources = [*files[:3], str(tmp_path / "broken.png"), Cut(files[3], (0, 0, 10, 20)), *files[4:]]
    for workers in (1, 2):
        parts = list(decoded(sources, size=(16, 8), scratch=tmp_path / "scratch", workers=workers))
        rows = np.concatenate([part.rows for part in parts])
        assert rows.tolist() == [row for row in range(len(sources)) if row != 3]
        assert [told for part in parts for told in part.broken] == [
            (3, "not a JPEG, PNG, BMP or WebP image")
        ]
        pixels = np.concatenate([part.pixels for part in parts])
        whole = [row for row in rows.tolist() if row != 4]
        expected = to_pixels([sources[row] for row in whole], (16, 8))  # type: ignore[misc]
        np.testing.assert_array_equal(np.delete(pixels, 3, axis=0), expected)
        sizes = np.concatenate([part.sizes for part in parts])
        assert sizes.tolist() == [[40, 20]] * 3 + [[20, 10]] + [[40, 20]] * 4
        assert not (tmp_path / "scratch").exists()


def test_decoding_stops_with_its_reader(tmp_path: Path, town: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("resight.gallery.decoding.CHUNK", 1)
    monkeypatch.setattr("resight.gallery.decoding._AHEAD", 1)
    files = [str(file) for file in sorted(town.rglob("*.png"))]
    with closing(decoded(files, size=(16, 8), scratch=tmp_path / "scratch", workers=1)) as parts:
        next(parts)
    assert not (tmp_path / "scratch").exists()


def test_scratch_that_cannot_be_written(tmp_path: Path, town: Path) -> None:
    (tmp_path / "file").touch()
    files = [str(file) for file in town.rglob("*.png")]
    with pytest.raises(GalleryError, match="cannot write to"):
        list(decoded(files, size=(16, 8), scratch=tmp_path / "file/scratch", workers=1))
