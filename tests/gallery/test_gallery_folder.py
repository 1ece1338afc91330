"""The folder of a gallery: made, opened, changed and refused."""

import errno
import fcntl
import io
import json
import multiprocessing
import os
import shutil
import stat
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gallery_cases
import numpy as np
import pytest
from memory_store import Stores
from PIL import Image

from resight.errors import (
    BusyError,
    ConfigError,
    DataError,
    GalleryError,
    MissingError,
    StoreError,
)
from resight.gallery import Gallery, Query, describe, search, thumbnails
from resight.gallery import gallery as module
from resight.gallery import settings as kept
from resight.gallery import writer as writers
from resight.gallery.folder import SCRATCH
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


def test_only_its_owner_may_read_it(
    gallery: Gallery, tmp_path: Path, model: Path, in_memory: Stores
) -> None:
    assert stat.S_IMODE(gallery.path.stat().st_mode) == 0o700
    (tmp_path / "there").mkdir(mode=0o755)
    Gallery.create(tmp_path / "there", model)
    assert stat.S_IMODE((tmp_path / "there").stat().st_mode) == 0o700


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


def test_a_run_that_goes_on_meanwhile(
    tmp_path: Path, model: Path, in_memory: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = gallery_cases.write_model(tmp_path / "later", seed=1)
    original = kept.copy_model
    monkeypatch.setattr(kept, "copy_model", lambda run, folder: original(later, folder))
    gallery = Gallery.create(tmp_path / "g", model, device="cpu")
    assert gallery.embedder.digest == gallery.settings.digest


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
    (tmp_path / "g/.model.safetensors.4711.tmp").write_bytes(b"half of the wei")
    Gallery.create(tmp_path / "g", model).optimise()
    assert not list((tmp_path / "g").glob("*.tmp"))


def test_two_processes_do_not_make_the_same_gallery(
    tmp_path: Path, model: Path, in_memory: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = module.make_free

    def overtaken(folder: Path) -> None:
        original(folder)
        monkeypatch.setattr(module, "make_free", original)
        Gallery.create(folder, model, thumbnails="none")

    monkeypatch.setattr(module, "make_free", overtaken)
    with pytest.raises(GalleryError, match="is a gallery already"):
        Gallery.create(tmp_path / "g", model)
    assert Gallery.open(tmp_path / "g").settings.thumbnails == "none"


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


def test_a_store_of_another_gallery_is_not_taken(
    tmp_path: Path, model: Path, gallery: Gallery, in_memory: Stores
) -> None:
    gallery.add([FRAME], describe("stream", ["a"]))
    address = "postgresql://u:pw@h/db?table=town"
    in_memory.kept[address, tmp_path / "new/store"] = gallery.store  # type: ignore[assignment]
    with pytest.raises(GalleryError, match=r"at postgresql://h/db\?table=town holds crops of"):
        Gallery.create(tmp_path / "new", model, address=address)
    assert not (tmp_path / "new/gallery.json").exists()


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


def test_a_damaged_threshold(gallery: Gallery) -> None:
    (gallery.path / "threshold.json").write_text("{")
    with pytest.raises(GalleryError, match=r"cannot be read: .*; or delete it from the gallery"):
        Gallery.open(gallery.path)


def test_folders_that_are_no_galleries(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(MissingError, match=r"is not a gallery .*resight index RUN DATA"):
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


def test_a_name_that_no_store_can_keep_leaves_no_picture(gallery: Gallery) -> None:
    with pytest.raises(StoreError, match="one of the cameras"):
        gallery.add([FRAME], describe("stream", ["a"], cameras="x" * 1025))
    assert not list(gallery.path.glob("thumbnails/*/*"))


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
    assert gallery.delete([99, -1, 10**30, *ids, *ids]) == 1
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


def test_what_another_process_changed_counts_at_once(gallery: Gallery) -> None:
    other = Gallery.open(gallery.path, device="cpu")
    gallery.add([FRAME], describe("stream", ["a"]))
    gallery.change(thumbnails="none", retention_days=3.0, log_searches=True)
    assert (other.settings.retention_days, other.settings.log_searches) == (3, True)
    other.add([FRAME], describe("stream", ["b"]))
    assert not (gallery.path / "thumbnails").exists()
    (gallery.path / "gallery.json").unlink()
    with pytest.raises(MissingError):
        search(other, Query(ids=(0,)))


def test_blurring_that_was_killed_is_done_again(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = gallery.add([FRAME] * 5, describe("stream", list("abcde"))).tolist()
    sharp = gallery.thumbnail(ids[0])
    original, calls = thumbnails._save, iter(range(2))
    broken = next(gallery.path.glob("thumbnails/*/*.jpg"))

    def killed(picture: Any, file: Path) -> None:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        original(picture, file)

    keep: dict[str, Any] = {"retention_days": None, "log_searches": False}
    with monkeypatch.context() as patch:
        patch.setattr(thumbnails, "_save", killed)
        with pytest.raises(KeyboardInterrupt):
            gallery.change(thumbnails="blur", **keep)
    (broken.parent / ".draft.1.2.tmp").write_bytes(sharp or b"")
    broken.write_bytes((sharp or b"")[:200])
    Gallery.open(gallery.path).change(thumbnails="blur", **keep)
    kept = [file.read_bytes() for file in gallery.path.glob("thumbnails/*/*")]
    assert len(kept) == 4
    assert sharp not in kept


def test_pictures_that_cannot_be_removed_are_told(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.add([FRAME], describe("stream", ["a"]))

    def failing(folder: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    monkeypatch.setattr(shutil, "rmtree", failing)
    with pytest.raises(GalleryError, match="pictures are left that should not be kept"):
        gallery.change(thumbnails="none", retention_days=None, log_searches=False)
    assert gallery.settings.thumbnails == "keep"


def test_deleting_clears_away_what_killed_work_left(gallery: Gallery) -> None:
    (crop,) = gallery.add([FRAME], describe("stream", ["a"]))
    size = np.array([[60, 80]])
    gallery.thumbnails.write([("stream", "lost")], np.zeros((1, 64, 32, 3), np.uint8), size)
    (gallery.path / SCRATCH).mkdir()
    (gallery.path / SCRATCH / "images.u8").write_bytes(b"pixels")
    (gallery.path / ".feedback.jsonl.4711.tmp").write_text("names")
    assert gallery.delete([crop]) == 1
    left = {file.name for file in gallery.path.rglob("*") if file.is_file()}
    known = {".lock", ".feedback.jsonl.lock", "gallery.json", "model.safetensors", "model.json"}
    assert left == {*known, "forgotten.txt"}


def test_those_that_are_there(gallery: Gallery) -> None:
    ids = gallery.add([FRAME] * 3, describe("stream", list("abc")))
    asked = np.array([ids[2], 99, ids[0], 7_000])
    assert gallery.present(asked).ids.tolist() == [ids[2], ids[0]]
    assert [gallery.has(number) for number in (*ids.tolist(), 99, -1, 10**30)] == [True] * 3 + [
        False
    ] * 3


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
    with pytest.raises(BusyError, match="another process is writing to"):
        gallery.add([FRAME], describe("stream", ["a"]))
    assert gallery.store.count() == 0
    other.kill()
    other.join()
    assert len(gallery.add([FRAME], describe("stream", ["a"]))) == 1


def test_a_file_system_without_locks_is_told(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(file: Any, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", failing)
    with pytest.raises(GalleryError, match=r"cannot lock .*: No locks available"):
        gallery.add([FRAME], describe("stream", ["a"]))


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
