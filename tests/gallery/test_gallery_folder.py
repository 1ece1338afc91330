"""The folder of a gallery: made, opened, changed and refused."""

import io
import json
import multiprocessing
import stat
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import gallery_cases
import numpy as np
import pytest
from memory_store import Stores
from PIL import Image

from resight.errors import ConfigError, DataError, GalleryError, StoreError
from resight.gallery import Gallery, describe
from resight.gallery import writer as writers
from resight.gallery.gallery import DAY
from resight.gallery.writer import Writer

FRAME = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)


def test_a_gallery_is_found_again(tmp_path: Path, model: Path, in_memory: Stores) -> None:
    with Gallery.create(
        tmp_path / "g", model, thumbnails="blur", retention_days=2.5, log_searches=True
    ) as made:
        made.add([FRAME], describe("stream", ["0"]))
    with Gallery.open(tmp_path / "g", device="cpu") as opened:
        assert opened.settings == made.settings
        assert opened.settings.thumbnails == "blur"
        assert opened.settings.retention_days == 2.5
        assert opened.settings.log_searches
        assert opened.store.count() == 1
        assert opened.embedder.dim == opened.settings.dim
        assert opened.embedder is opened.embedder
    assert opened.store.closed  # type: ignore[attr-defined]


def test_only_its_owner_may_read_it(gallery: Gallery) -> None:
    assert stat.S_IMODE(gallery.path.stat().st_mode) == 0o700


def test_the_encoder_is_a_copy(tmp_path: Path, in_memory: Stores) -> None:
    run = gallery_cases.write_model(tmp_path / "run")
    gallery_cases.write_threshold(run, 0.6)
    gallery = Gallery.create(tmp_path / "g", run, device="cpu")
    expected = gallery.embedder.embed([FRAME])
    for file in run.iterdir():
        file.unlink()
    opened = Gallery.open(tmp_path / "g", device="cpu")
    np.testing.assert_array_equal(opened.embedder.embed([FRAME]), expected)
    assert opened.threshold is not None
    assert opened.threshold.similarity == 0.6


def test_a_threshold_of_other_weights_is_left_out(
    tmp_path: Path, in_memory: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    run = gallery_cases.write_model(tmp_path / "run")
    gallery_cases.write_threshold(run, 0.6, weights="of before")
    gallery = Gallery.create(tmp_path / "g", run)
    assert gallery.threshold is None
    assert "calibrated with other weights" in caplog.text
    gallery_cases.write_threshold(run, 0.7, weights=gallery.settings.digest)
    gallery.take_threshold(run)
    assert gallery.threshold is not None
    assert gallery.threshold.similarity == 0.7


def test_a_start_that_was_cut_short_is_gone_over(
    tmp_path: Path, model: Path, in_memory: Stores
) -> None:
    Gallery.create(tmp_path / "g", model)
    (tmp_path / "g/gallery.json").unlink()
    Gallery.create(tmp_path / "g", model)


def test_places_that_are_taken(tmp_path: Path, model: Path, gallery: Gallery) -> None:
    with pytest.raises(GalleryError, match="is a gallery already"):
        Gallery.create(gallery.path, model)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(GalleryError, match="holds other files"):
        Gallery.create(tmp_path / "other", model)
    with pytest.raises(GalleryError, match="cannot write"):
        Gallery.create(tmp_path / "other/file", model)
    with pytest.raises(GalleryError, match="holds no trained model"):
        Gallery.create(tmp_path / "new", tmp_path / "other")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"thumbnails": "blurred"}, "'blurred', expected one of keep, blur, none"),
        ({"retention_days": 0.0}, "0 days, expected more than 0"),
        ({"retention_days": float("nan")}, "nan days"),
    ],
)
def test_options_that_do_not_exist(
    tmp_path: Path, model: Path, in_memory: Stores, options: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        Gallery.create(tmp_path / "g", model, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is damaged, it should hold JSON"),
        ("[1]", "is damaged"),
        ('{"format": 2}', "not of this resight's format 1"),
        ('{"format": 1, "dim": 3}', "is damaged: .*digest"),
        ('{"format": 1, "dim": 3, "digest": "", "created": "", "stor": 1}', "did you mean store"),
    ],
)
def test_a_damaged_description(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "gallery.json").write_text(text)
    with pytest.raises(GalleryError, match=told):
        Gallery.open(tmp_path)


def test_folders_that_are_no_galleries(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(GalleryError, match=r"is not a gallery .*resight index RUN DATA"):
            Gallery.open(path)


def test_another_encoder_is_refused(gallery: Gallery, tmp_path: Path) -> None:
    other = gallery_cases.write_model(tmp_path / "other", seed=1)
    (gallery.path / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(GalleryError, match="is not the one that its rows were embedded with"):
        gallery.embedder.embed([FRAME])


def test_a_store_that_is_gone(gallery: Gallery, in_memory: Stores) -> None:
    in_memory.kept.clear()
    with pytest.raises(StoreError):
        Gallery.open(gallery.path)


def test_added_pictures_replace_those_of_the_same_name(gallery: Gallery) -> None:
    before = time.time()
    first = gallery.add([FRAME, FRAME[:, :40]], describe("stream", ["a", "b"], cameras="gate"))
    second = gallery.add([FRAME[:40]], describe("stream", ["a"]))
    assert gallery.store.select().tolist() == [first[1], *second]
    rows = gallery.store.rows(second)
    assert before <= rows.added[0] <= time.time()
    assert Image.open(io.BytesIO(gallery.thumbnail(second[0]) or b"")).size == (256, 128)
    assert gallery.thumbnail(99) is None


def test_a_picture_that_cannot_be_read_adds_nothing(gallery: Gallery) -> None:
    with pytest.raises(DataError):
        gallery.add([FRAME, b"no picture"], describe("stream", ["a", "b"]))
    assert gallery.store.count() == 0
    with pytest.raises(ValueError, match="2 rows for 1 pictures"):
        gallery.add([FRAME], describe("stream", ["a", "b"]))


def test_a_turned_picture_has_upright_proportions(gallery: Gallery) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = io.BytesIO()
    Image.fromarray(FRAME[:30]).save(data, "JPEG", exif=exif)
    ids = gallery.add([data.getvalue()], describe("stream", ["a"]))
    assert Image.open(io.BytesIO(gallery.thumbnail(ids[0]) or b"")).size == (48, 128)
    ids = gallery.add([Image.open(data)], describe("stream", ["a"]))
    assert Image.open(io.BytesIO(gallery.thumbnail(ids[0]) or b"")).size == (48, 128)


def test_detections_of_a_tracker(gallery: Gallery) -> None:
    supervision = pytest.importorskip("supervision")
    boxes = np.array([[0, 0, 20, 40], [60, 20, 100, 60]], np.float32)
    found = supervision.Detections(xyxy=boxes, tracker_id=np.array([5, 9]))
    ids = gallery.add_detections(
        found, FRAME[..., ::-1], source="stream", frame_name="f7", camera="gate", time=3.5
    )
    rows = gallery.store.rows(ids)
    assert rows.paths == ("f7#0", "f7#1")
    assert rows.cameras == ("gate", "gate")
    assert rows.tracks.tolist() == [5, 9]
    assert rows.times.tolist() == [3.5, 3.5]
    expected = gallery.embedder.embed([FRAME[0:40, 0:20], FRAME[20:60, 60:80]])
    np.testing.assert_allclose(gallery.store.vectors(ids), expected, atol=2e-3)
    assert Image.open(io.BytesIO(gallery.thumbnail(ids[1]) or b"")).size == (64, 128)


def test_detections_without_tracks_and_without_any(gallery: Gallery) -> None:
    told = {"source": "stream", "frame_name": "f"}
    ids = gallery.add_detections(
        SimpleNamespace(xyxy=np.array([[0, 0, 9, 9]])), FRAME, rgb=True, **told
    )
    assert gallery.store.rows(ids).tracks.tolist() == [-1]
    none = gallery.add_detections(SimpleNamespace(xyxy=np.empty((0, 4))), FRAME, **told)
    assert none.shape == (0,)
    with pytest.raises(DataError):
        gallery.add_detections(SimpleNamespace(xyxy=np.array([[90, 0, 99, 9]])), FRAME, **told)


def test_old_crops_expire(tmp_path: Path, model: Path, in_memory: Stores) -> None:
    gallery = Gallery.create(tmp_path / "g", model, retention_days=2, device="cpu")
    ids = gallery.add([FRAME, FRAME], describe("stream", ["a", "b"]))
    assert gallery.expire() == 0
    now = time.time()
    assert gallery.expire(now + 1.9 * DAY) == 0
    assert gallery.store.optimised == 0  # type: ignore[attr-defined]
    assert gallery.past(now + 2.1 * DAY).tolist() == ids.tolist()
    assert gallery.expire(now + 2.1 * DAY) == 2
    assert gallery.store.count() == 0
    assert gallery.store.optimised == 1  # type: ignore[attr-defined]
    assert not list(gallery.path.glob("thumbnails/*/*"))


def test_without_retention_nothing_expires(gallery: Gallery) -> None:
    gallery.add([FRAME], describe("stream", ["a"]))
    assert gallery.expire(1e15) == 0


def test_deleting_what_is_not_there(gallery: Gallery) -> None:
    ids = gallery.add([FRAME], describe("stream", ["a"])).tolist()
    assert gallery.delete([99, 98]) == 0
    assert gallery.delete([99, *ids, *ids]) == 1
    assert gallery.delete([]) == 0


def test_what_is_kept_can_be_made_less(gallery: Gallery) -> None:
    (crop,) = gallery.add([FRAME], describe("stream", ["a"]))
    sharp = gallery.thumbnail(crop)
    keep = {"retention_days": 3.0, "log_searches": True}
    gallery.change(thumbnails="blur", **keep)
    blurred = gallery.thumbnail(crop)
    assert blurred is not None
    assert blurred != sharp
    assert Image.open(io.BytesIO(blurred)).size == Image.open(io.BytesIO(sharp or b"")).size
    with pytest.raises(GalleryError, match="cannot be brought back"):
        gallery.change(thumbnails="keep", **keep)
    gallery.change(thumbnails="none", **keep)
    assert gallery.thumbnail(crop) is None
    assert not (gallery.path / "thumbnails").exists()
    gallery.add([FRAME], describe("stream", ["b"]))
    assert not (gallery.path / "thumbnails").exists()
    told = json.loads((gallery.path / "gallery.json").read_text())
    assert (told["thumbnails"], told["retention_days"], told["log_searches"]) == ("none", 3, True)
    with pytest.raises(ConfigError):
        gallery.change(thumbnails="none", retention_days=-1.0, log_searches=True)


def test_optimising_clears_away_what_has_no_row(gallery: Gallery) -> None:
    (crop,) = gallery.add([FRAME], describe("stream", ["a"]))
    size = np.array([[60, 80]])
    gallery.thumbnails.write([("stream", "lost")], np.zeros((1, 64, 32, 3), np.uint8), size)
    (gallery.path / "thumbnails/ab").mkdir(exist_ok=True)
    (gallery.path / "thumbnails/ab/.abcd.1.2.tmp").touch()
    gallery.optimise()
    assert gallery.thumbnail(crop) is not None
    assert len(list(gallery.path.glob("thumbnails/*/*"))) == 1


def _hold(folder: Path, held: "multiprocessing.synchronize.Event") -> None:
    with Writer(folder).hold():
        held.set()
        time.sleep(60)


def test_one_process_writes_at_a_time(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    spawn = multiprocessing.get_context("fork")
    held = spawn.Event()
    other = spawn.Process(target=_hold, args=(gallery.path, held))
    other.start()
    assert held.wait(30)
    monkeypatch.setattr(writers, "PATIENCE", 0.1)
    with pytest.raises(GalleryError, match="another process is writing to"):
        gallery.add([FRAME], describe("stream", ["a"]))
    assert gallery.store.count() == 0
    other.kill()
    other.join()
    assert len(gallery.add([FRAME], describe("stream", ["a"]))) == 1


def test_threads_wait_for_each_other(gallery: Gallery) -> None:
    inside: list[int] = []
    most = []

    def work() -> None:
        with gallery.writing(), gallery.writing():
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5
