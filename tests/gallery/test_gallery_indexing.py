"""Indexing: only what is new or changed is embedded, whatever ended the work before."""

import io
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gallery_cases
import numpy as np
import pytest
from memory_store import MemoryStore, Stores
from PIL import Image

from resight.data import feedback, read_crops
from resight.errors import GalleryError, StoreError
from resight.gallery import Filter, Gallery, decide, describe
from resight.gallery import indexing as module
from resight.gallery.folder import SCRATCH
from resight.gallery.gallery import DAY
from resight.gallery.indexing import Indexed, index
from resight.records import Crops

CAMERAS = "cameras"


def run(gallery: Gallery, town: Path, **options: Any) -> Indexed:
    return index(gallery, read_crops(town, layout=CAMERAS), workers=1, **options)


def paths(gallery: Gallery) -> list[str]:
    return sorted(gallery.store.rows(gallery.store.select()).paths)


def touch(file: Path, seconds: int = 1) -> None:
    """Change the time of a file's last change."""
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + seconds * 10**9))


def only_embeds(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many crops each call of the encoder gets from now on."""
    counts: list[int] = []
    original = type(gallery.embedder).embed_pixels

    def counting(self: Any, pixels: Any, **options: Any) -> Any:
        counts.append(len(pixels))
        return original(self, pixels, **options)

    monkeypatch.setattr(type(gallery.embedder), "embed_pixels", counting)
    return counts


def test_crops_are_embedded_with_what_is_known_of_them(gallery: Gallery, town: Path) -> None:
    done = run(gallery, town)
    assert (done.added, done.changed, done.removed, done.rows) == (8, 0, 0, 8)
    assert done.speed > 0
    assert not done.unreadable
    rows = gallery.store.rows(gallery.store.select())
    assert rows.sources == (str(town),) * 8
    assert rows.cameras == tuple(path.partition("/")[0] for path in rows.paths)
    assert np.isnan(rows.times).all()
    expected = gallery.embedder.embed([town / path for path in rows.paths])
    np.testing.assert_allclose(gallery.store.vectors(rows.ids), expected, atol=2e-3)
    assert not (gallery.path / SCRATCH).exists()


def test_thumbnails_have_the_proportions_of_their_files(gallery: Gallery, town: Path) -> None:
    wide = gallery_cases.draw(town, 9, 1, size=(30, 45))
    run(gallery, town)
    for crop_id in gallery.store.select():
        row = gallery.store.rows(np.array([crop_id]))
        data = gallery.thumbnail(int(crop_id))
        assert data is not None
        assert Image.open(io.BytesIO(data)).size == (
            (192, 128) if row.paths[0] == wide else (64, 128)
        )


def test_nothing_is_embedded_twice(
    gallery: Gallery, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(gallery, town)
    ids = gallery.store.select()
    counts = only_embeds(gallery, monkeypatch)
    again = run(gallery, town)
    assert (again.added, again.changed, again.relabelled, again.removed) == (0, 0, 0, 0)
    assert again.speed == 0
    assert not counts
    np.testing.assert_array_equal(gallery.store.select(), ids)


def test_new_changed_and_deleted_crops_are_noticed(
    gallery: Gallery, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(gallery, town)
    new = gallery_cases.draw(town, 7, 2, size=(40, 20))
    shutil.copyfile(town / "cam1/003_0.png", town / "cam1/000_0.png")
    touch(town / "cam1/000_0.png")
    (town / "cam2/001_0.png").unlink()
    kept = gallery.store.find(str(town), ("cam1/002_0.png",))
    counts = only_embeds(gallery, monkeypatch)
    done = run(gallery, town)
    assert (done.added, done.changed, done.removed, done.rows) == (1, 1, 1, 8)
    assert sum(counts) == 2
    assert new in paths(gallery)
    assert "cam2/001_0.png" not in paths(gallery)
    source = str(town)
    np.testing.assert_array_equal(gallery.store.find(source, ("cam1/002_0.png",)), kept)
    same = gallery.store.vectors(gallery.store.find(source, ("cam1/000_0.png", "cam1/003_0.png")))
    np.testing.assert_allclose(same[0], same[1], atol=1e-5)
    assert gallery.thumbnails.read(source, "cam2/001_0.png") is None
    assert gallery.thumbnails.read(source, "cam1/000_0.png") == gallery.thumbnails.read(
        source, "cam1/003_0.png"
    )


def test_missing_crops_can_be_kept(gallery: Gallery, town: Path) -> None:
    run(gallery, town)
    (town / "cam2/001_0.png").unlink()
    done = run(gallery, town, keep_missing=True)
    assert (done.removed, done.missing, done.rows) == (0, 1, 8)


def test_decisions_follow_changed_crops_and_leave_with_deleted_ones(
    gallery: Gallery, town: Path
) -> None:
    run(gallery, town)
    names = ("cam1/000_0.png", "cam2/000_0.png", "cam1/001_0.png")
    a, b, c = gallery.store.find(str(town), names).tolist()
    decide(gallery, same=[(a, b)], different=[(a, c)])
    touch(town / names[1])
    (town / names[2]).unlink()
    run(gallery, town)
    left = feedback.read(gallery.path)
    assert [decision.pair for decision in left] == [
        (feedback.Crop(str(town), names[0]), feedback.Crop(str(town), names[1]))
    ]


def test_other_cameras_change_rows_without_embedding(
    gallery: Gallery, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(gallery, town)
    before = gallery.store.rows(gallery.store.select())
    vectors = dict(zip(before.paths, gallery.store.vectors(before.ids), strict=True))
    counts = only_embeds(gallery, monkeypatch)
    pattern = r"cam(?P<camera>\d)/00(?P<time>\d)"
    done = index(gallery, read_crops(town, layout="images", camera_pattern=pattern), workers=1)
    assert (done.relabelled, done.added, done.changed) == (8, 0, 0)
    assert not counts
    rows = gallery.store.rows(gallery.store.select())
    assert set(rows.cameras) == {"1", "2"}
    assert sorted(set(rows.times.tolist())) == [0, 1, 2, 3]
    assert set(rows.added.tolist()) == set(before.added.tolist())
    for path, vector in zip(rows.paths, gallery.store.vectors(rows.ids), strict=True):
        np.testing.assert_allclose(vector, vectors[path], atol=1e-6)
    again = index(gallery, read_crops(town, layout="images", camera_pattern=pattern), workers=1)
    assert again.relabelled == 0


def test_unreadable_crops_are_told_and_keep_what_they_have(gallery: Gallery, town: Path) -> None:
    (town / "cam1/broken.png").write_bytes(b"no picture")
    done = run(gallery, town)
    assert [broken.path for broken in done.unreadable] == ["cam1/broken.png"]
    assert done.added == 8
    (town / "cam1/000_0.png").write_bytes(b"no picture any more")
    done = run(gallery, town)
    assert [broken.path for broken in done.unreadable] == ["cam1/000_0.png", "cam1/broken.png"]
    assert (done.added, done.changed, done.removed, done.rows) == (0, 0, 0, 8)


def test_nothing_readable_is_no_error(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "town/cam1").mkdir(parents=True)
    (tmp_path / "town/cam1/broken.png").write_bytes(b"")
    done = run(gallery, tmp_path / "town")
    assert (done.added, done.rows, len(done.unreadable)) == (0, 0, 1)


def test_a_list_that_is_not_complete_removes_only_files_that_are_gone(
    gallery: Gallery, town: Path
) -> None:
    run(gallery, town)
    crops = read_crops(town, layout=CAMERAS)
    (town / "cam2/001_0.png").unlink()
    first = crops.select(np.arange(2))
    done = index(gallery, first, complete=False, workers=1)
    assert (done.removed, done.rows) == (1, 7)
    assert "cam2/001_0.png" not in paths(gallery)
    done = index(gallery, first, workers=1)
    assert (done.removed, done.rows) == (5, 2)


def test_a_listed_file_that_is_gone_leaves(gallery: Gallery, town: Path) -> None:
    run(gallery, town)
    crops = read_crops(town, layout=CAMERAS)
    (town / crops.paths[0]).unlink()
    done = index(gallery, crops, workers=1)
    assert (done.removed, done.rows, len(done.unreadable)) == (1, 7, 0)
    assert (done.added, done.changed) == (0, 0)


def test_a_disk_that_is_away_deletes_nothing(gallery: Gallery, town: Path) -> None:
    run(gallery, town)
    crops = read_crops(town, layout=CAMERAS)
    town.rename(town.parent / "away")
    for complete in (True, False):
        with pytest.raises(GalleryError, match=r"none of the 8 files .* is there"):
            index(gallery, crops, complete=complete, workers=1)
    assert gallery.store.count() == 8
    assert index(gallery, crops, keep_missing=True, workers=1).missing == 8


def test_names_that_no_store_can_keep_are_told_first(
    gallery: Gallery, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = only_embeds(gallery, monkeypatch)
    crops = replace(read_crops(town, layout=CAMERAS), camera_names=("cam1", "x" * 1025))
    with pytest.raises(StoreError, match="one of the cameras"):
        index(gallery, crops, workers=1)
    assert not counts


def test_what_was_deleted_stays_out_until_it_is_asked_for(gallery: Gallery, town: Path) -> None:
    run(gallery, town)
    names = ("cam1/000_0.png", "cam2/001_0.png", "cam2/002_0.png")
    assert gallery.delete(gallery.store.find(str(town), names)) == 3
    for file in gallery.path.iterdir():
        if file.is_file() and file.suffix in (".txt", ".json", ".jsonl"):
            assert "001_0" not in file.read_text()
    done = run(gallery, town)
    assert (done.added, done.forgotten, done.rows) == (0, 3, 5)
    touch(town / names[0])
    done = run(gallery, town)
    assert (done.added, done.forgotten, done.rows) == (1, 2, 6)
    (town / names[1]).unlink()
    assert run(gallery, town).forgotten == 1
    done = run(gallery, town, restore=True)
    assert (done.added, done.forgotten, done.rows) == (1, 0, 7)
    gallery.delete(gallery.store.find(str(town), names[2:]))
    assert run(gallery, town).forgotten == 1


def test_files_that_come_back_are_indexed_again(gallery: Gallery, town: Path) -> None:
    run(gallery, town)
    (town / "cam1").rename(town.parent / "away")
    assert run(gallery, town).removed == 4
    (town.parent / "away").rename(town / "cam1")
    done = run(gallery, town)
    assert (done.added, done.forgotten) == (4, 0)


def test_what_expired_stays_out(
    tmp_path: Path, model: Path, in_memory: Stores, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gallery.create(tmp_path / "short", model, retention_days=1, device="cpu") as gallery:
        run(gallery, town)
        now = time.time()
        monkeypatch.setattr("resight.gallery.gallery.time.time", lambda: now + 2 * DAY)
        done = run(gallery, town)
        assert (done.expired, done.added, done.forgotten, done.rows) == (8, 0, 8, 0)


def test_sources_do_not_touch_each_other(gallery: Gallery, town: Path, tmp_path: Path) -> None:
    shutil.copytree(town, tmp_path / "other")
    run(gallery, town)
    assert run(gallery, tmp_path / "other").rows == 16
    shutil.rmtree(tmp_path / "other/cam1")
    assert run(gallery, tmp_path / "other").rows == 12
    assert gallery.store.count(Filter(source=str(town))) == 8


def test_boxes_are_cut_from_frames(gallery: Gallery, tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    Image.fromarray(frame).save(tmp_path / "1.png")
    crops = Crops(
        tmp_path,
        ("1.png#0", "1.png#1"),
        np.array(["train", "train"]),
        times=np.array([2.5, 2.5]),
        tracks=np.array([4, 7]),
        boxes=np.array([[0, 0, 20, 40], [30, 10, 40, 20]], np.float32),
    )
    index(gallery, crops, workers=1)
    rows = gallery.store.rows(gallery.store.select())
    assert rows.tracks.tolist() == [4, 7]
    assert rows.times.tolist() == [2.5, 2.5]
    expected = gallery.embedder.embed([frame[0:40, 0:20], frame[10:30, 30:70]])
    np.testing.assert_allclose(gallery.store.vectors(rows.ids), expected, atol=2e-3)
    sizes = [Image.open(io.BytesIO(gallery.thumbnail(i) or b"")).size for i in rows.ids.tolist()]
    assert sizes == [(64, 128), (256, 128)]
    moved = Crops(crops.root, crops.paths, crops.splits, boxes=crops.boxes + np.float32(1))
    assert index(gallery, moved, workers=1).changed == 2


@pytest.fixture
def small_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two crops are embedded, and two committed, at a time; decoded one by one."""
    monkeypatch.setattr("resight.gallery.decoding.CHUNK", 1)
    monkeypatch.setattr(module, "EMBEDDED_AT_ONCE", 2)
    monkeypatch.setattr(module, "COMMITTED_AT_ONCE", 2)


class Stop(BaseException):
    """Ends indexing from inside, as a signal does."""


def test_what_is_committed_stays_and_the_next_call_goes_on(
    gallery: Gallery, town: Path, monkeypatch: pytest.MonkeyPatch, small_commits: None
) -> None:
    original, calls = type(gallery.embedder).embed_pixels, iter(range(3))

    def stopping(self: Any, pixels: Any, **options: Any) -> Any:
        if next(calls, None) is None:
            raise Stop
        return original(self, pixels, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(gallery.embedder), "embed_pixels", stopping)
        with pytest.raises(Stop):
            run(gallery, town)
    kept = gallery.store.select().tolist()
    assert len(kept) == 6
    assert all(gallery.thumbnail(crop_id) for crop_id in kept)
    counts = only_embeds(gallery, monkeypatch)
    done = run(gallery, town)
    assert (done.added, done.rows) == (2, 8)
    assert sum(counts) == 2
    assert gallery.store.select().tolist()[:6] == kept
    assert not (gallery.path / SCRATCH).exists()


def test_a_store_that_fails_is_told_and_the_rest_goes_on_later(
    gallery: Gallery, town: Path, monkeypatch: pytest.MonkeyPatch, small_commits: None
) -> None:
    original, calls = MemoryStore.add, iter(range(2))

    def failing(self: Any, rows: Any, vectors: Any) -> Any:
        if next(calls, None) is None:
            raise StoreError("the disk is full")
        return original(self, rows, vectors)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, "add", failing)
        with pytest.raises(StoreError, match="full"):
            run(gallery, town)
    assert gallery.store.count() == 4
    assert run(gallery, town).added == 4


def test_what_a_killed_process_left_is_cleared_away(gallery: Gallery, town: Path) -> None:
    scratch = gallery.path / SCRATCH
    scratch.mkdir()
    (scratch / "images.u8").write_bytes(b"1" * 10_000)
    assert run(gallery, town).added == 8
    assert not scratch.exists()


def test_it_is_cleared_away_where_nothing_is_left_to_do(gallery: Gallery, town: Path) -> None:
    run(gallery, town)
    scratch = gallery.path / SCRATCH
    scratch.mkdir()
    (scratch / "images.u8").write_bytes(b"1" * 10_000)
    size = np.array([[40, 20]])
    gallery.thumbnails.write([(str(town), "gone.png")], np.zeros((1, 64, 32, 3), np.uint8), size)
    assert run(gallery, town).added == 0
    assert not scratch.exists()
    assert len(list(gallery.path.glob("thumbnails/*/*"))) == 8


SLOW = """
import sys, time
import resight.gallery.decoding as decoding
import resight.gallery.indexing as indexing
from resight.data import read_crops
from resight.gallery import Gallery
from resight.inference import Embedder

def slow(self, pixels, **options):
    time.sleep(0.2)
    return embed(self, pixels, **options)

embed, Embedder.embed_pixels = Embedder.embed_pixels, slow
decoding.CHUNK, indexing.EMBEDDED_AT_ONCE, indexing.COMMITTED_AT_ONCE = 1, 2, 2
place, town, layout = sys.argv[1:]
with Gallery.open(place, device="cpu") as gallery:
    indexing.index(gallery, read_crops(town, layout=layout), workers=1)
"""


def test_kill_9_loses_nothing_that_is_committed(
    tmp_path: Path, model: Path, town: Path, small_commits: None
) -> None:
    place = tmp_path / "gallery"
    for number in range(10, 16):
        gallery_cases.draw(town, number, 1, size=(40, 20))
    Gallery.create(place, model).close()
    call = [sys.executable, "-c", SLOW, str(place), str(town), CAMERAS]
    process = subprocess.Popen(call)
    with Gallery.open(place, device="cpu") as gallery:
        while gallery.store.count() < 4 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.wait()
        kept = gallery.store.rows(gallery.store.select())
    assert 4 <= len(kept) < 14
    with Gallery.open(place, device="cpu") as gallery:
        ids = gallery.store.select()
        assert set(kept.ids.tolist()) <= set(ids.tolist())
        assert all(gallery.thumbnail(crop_id) for crop_id in ids.tolist())
        done = run(gallery, town)
        assert (done.added, done.rows) == (14 - len(ids), 14)
        assert not (place / SCRATCH).exists()
        rows = gallery.store.rows(gallery.store.select())
        expected = gallery.embedder.embed([town / path for path in rows.paths])
        np.testing.assert_allclose(gallery.store.vectors(rows.ids), expected, atol=2e-3)


def test_old_crops_expire_first(tmp_path: Path, model: Path, in_memory: Stores, town: Path) -> None:
    with Gallery.create(tmp_path / "short", model, retention_days=1) as gallery:
        old = describe("stream", ["1"])
        old.added[:] = 1000
        gallery.store.add(old, gallery_cases.units(1, gallery.store.dim))
        done = run(gallery, town)
        assert (done.expired, done.rows) == (1, 8)
