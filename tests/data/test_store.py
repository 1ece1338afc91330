import errno
import io
import logging
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from resight.data import Broken, ImageStore, build, cache_folder, decode, read_crops, workers
from resight.errors import DataError
from resight.records import Crops

Draw = Callable[..., Path]
Pixels = npt.NDArray[np.uint8]
SIZE = (24, 12)


def open_store(root: Path, **settings: object) -> ImageStore:
    return ImageStore.open(read_crops(root), **({"size": SIZE} | settings))


def reference(file: Path, size: tuple[int, int] = SIZE) -> Pixels:
    """Pillow's own way, step by step at full scale."""
    with Image.open(file) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return np.asarray(upright.resize((size[1], size[0]), Image.Resampling.BICUBIC))


def draw_many(draw: Draw, count: int) -> None:
    for index in range(count):
        draw(f"{index:04d}.png", seed=index, size=(6, 9))


# --- what is decoded


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "bmp", "webp", "JPG"])
def test_every_format_is_decoded_as_pillow_does(root: Path, draw: Draw, suffix: str) -> None:
    files = [draw(f"{seed}.{suffix}", seed=seed, size=(15 + seed, 41)) for seed in range(3)]
    store = open_store(root)
    assert store.images.shape == (3, *SIZE, 3)
    assert store.images.dtype == np.uint8
    np.testing.assert_array_equal(store.images, [reference(file) for file in files])
    assert store.original_sizes.tolist() == [[41, 15], [41, 16], [41, 17]]


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "RGBA"])
def test_every_mode_becomes_rgb(root: Path, draw: Draw, mode: str) -> None:
    suffix = "jpg" if mode == "CMYK" else "png"
    file = draw(f"x.{suffix}", mode=mode, size=(SIZE[1], SIZE[0]))
    np.testing.assert_array_equal(open_store(root).images, [reference(file)])


def test_sixteen_bits_keep_the_high_byte(root: Path) -> None:
    deep = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE) * 200
    Image.fromarray(deep).save(root / "deep.png")
    expected = np.repeat((deep >> 8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(open_store(root).images[0], expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_white(root: Path, mode: str) -> None:
    pixels = np.zeros((*SIZE, 4), dtype=np.uint8)
    pixels[: SIZE[0] // 2, :, 3] = 255
    image = Image.fromarray(pixels).convert(mode)
    image.save(root / "x.png")
    decoded = open_store(root).images[0]
    assert (decoded[: SIZE[0] // 2] == 0).all()
    assert (decoded[SIZE[0] // 2 :] == 255).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation(root: Path, draw: Draw, turn: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    file = draw(f"x.{suffix}", size=(30, 17), exif=exif)
    store = open_store(root)
    assert store.original_sizes.tolist() == [[30, 17] if turn > 4 else [17, 30]]
    difference = store.images[0].astype(int) - reference(file)
    assert abs(difference).max() <= 1


def test_a_broken_orientation_does_not_break_the_image(root: Path, draw: Draw) -> None:
    file = draw("x.jpg", exif=b"Exif\0\0nonsense")
    plain = draw("y.jpg")
    store = open_store(root)
    np.testing.assert_array_equal(store.images[0], store.images[1])
    assert file.read_bytes() != plain.read_bytes()


def test_large_jpegs_are_reduced_while_they_are_decoded(root: Path, draw: Draw) -> None:
    file = draw("x.jpg", size=(1003, 2005), quality=95)
    assert np.abs(open_store(root).images[0].astype(int) - reference(file)).max() <= 4


def test_a_20000_pixel_jpeg(root: Path) -> None:
    Image.new("L", (20_000, 6_000), 77).save(root / "x.jpg")
    store = open_store(root)
    assert store.original_sizes.tolist() == [[6_000, 20_000]]
    assert (store.images == 77).all()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def block(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    fields = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    data = block(b"IHDR", fields) + block(b"IDAT", zlib.compress(b"")) + block(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def jpeg_header(data: bytes, width: int, height: int, marker: int) -> bytes:
    """The JPEG with another size in its frame header, which `marker` starts."""
    at = data.index(bytes([0xFF, marker])) + 5
    return data[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 4 :]


def test_absurd_sizes_are_refused_before_they_are_decoded(root: Path, draw: Draw) -> None:
    baseline = draw("a.jpg").read_bytes()
    progressive = draw("b.jpg", progressive=True).read_bytes()
    (root / "a.jpg").write_bytes(jpeg_header(baseline, 60_000, 60_000, 0xC0))
    (root / "b.jpg").write_bytes(jpeg_header(progressive, 20_000, 20_000, 0xC2))
    (root / "c.png").write_bytes(png_header(20_000, 20_000))
    draw("d.png")
    assert open_store(root).broken == (
        Broken("a.jpg", "60000 x 60000 pixels, more than 500,000,000"),
        Broken("b.jpg", "20000 x 20000 pixels, more than 100,000,000"),
        Broken("c.png", "20000 x 20000 pixels, more than 100,000,000"),
    )


def test_sizes_and_digests(root: Path, draw: Draw) -> None:
    draw("a.png", seed=1)
    (root / "b.png").write_bytes((root / "a.png").read_bytes())
    draw("c.png", seed=2, size=(1, 1))
    store = open_store(root)
    assert store.digests[0] == store.digests[1] != store.digests[2]
    assert store.original_sizes.tolist() == [[40, 20], [40, 20], [1, 1]]


# --- what cannot be decoded


def spoil(root: Path, draw: Draw) -> dict[str, str]:
    """Broken files of every kind, and a part of the reason that each should get."""
    data = draw("a truncated.jpg", size=(200, 400)).read_bytes()
    (root / "a truncated.jpg").write_bytes(data[: len(data) // 2])
    (root / "b zero.png").touch()
    (root / "d text.jpg").write_text("no image at all")
    (root / "e gone.jpg").symlink_to(root / "nothing")
    (root / "f loop.jpg").symlink_to(root / "f loop.jpg")
    Image.new("RGB", (9, 9)).save(root / "g.gif")
    (root / "g.gif").rename(root / "g gif.webp")
    (root / "h ä.jpg").write_bytes(data[:3])
    return {
        "a truncated.jpg": "truncated",
        "b zero.png": "the file is empty",
        "d text.jpg": "not a JPEG, PNG, BMP or WebP image",
        "e gone.jpg": "No such file",
        "f loop.jpg": "symbolic links",
        "g gif.webp": "not a JPEG, PNG, BMP or WebP image",
        "h ä.jpg": "",
    }


def test_broken_images_are_left_out_and_told(
    root: Path, draw: Draw, caplog: pytest.LogCaptureFixture
) -> None:
    reasons = spoil(root, draw)
    good = [draw("c.jpg", seed=3), draw("i.jpg", seed=4)]
    store = open_store(root)
    assert store.crops.paths == ("c.jpg", "i.jpg")
    assert len(store) == len(store.crops) == len(store.images) == len(store.digests) == 2
    np.testing.assert_array_equal(store.images, [reference(file) for file in good])
    assert [broken.path for broken in store.broken] == list(reasons)
    for broken in store.broken:
        assert broken.reason
        assert reasons[broken.path] in broken.reason
    assert "7 of 9 images" in caplog.text
    assert "b zero.png: the file is empty" in caplog.text
    assert "and 2 more" in caplog.text


def test_broken_images_are_known_without_decoding_again(root: Path, draw: Draw) -> None:
    spoil(root, draw)
    draw("c.jpg")
    first, second = open_store(root), open_store(root)
    assert first.broken == second.broken


def test_strict_refuses_broken_images_at_any_time(root: Path, draw: Draw) -> None:
    spoil(root, draw)
    draw("c.jpg")
    for _ in range(2):
        with pytest.raises(DataError, match=r"7 of 8 images .* cannot be read: a truncated\.jpg"):
            open_store(root, strict=True)
    assert len(open_store(root)) == 1


def test_nothing_but_broken_images(root: Path, cache: Path) -> None:
    (root / "a.jpg").touch()
    (root / "b.jpg").touch()
    with pytest.raises(DataError, match=r"none of the 2 images can be read.*a\.jpg: the file is"):
        open_store(root)
    assert not list(cache.rglob("*.u8"))


def test_a_table_may_name_what_does_not_exist(root: Path, draw: Draw) -> None:
    draw("a.jpg")
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    table = root / "crops.csv"
    table.write_text("path\na.jpg\nb.jpg\nfolder\npipe\nz\0.jpg\n")
    assert open_store(table).broken == (
        Broken("b.jpg", "No such file or directory"),
        Broken("folder", "a folder, not a file"),
        Broken("pipe", "not a regular file"),
        Broken("z\0.jpg", "embedded null byte"),
    )


@pytest.mark.parametrize("box", [(np.inf, 0, 2, 2), (0, 0, 2, np.inf), (0, np.nan, 2, 2)])
def test_a_box_without_end_is_no_crop(root: Path, draw: Draw, box: tuple[float, ...]) -> None:
    draw("a.png")
    crops = Crops(
        root,
        ("a.png#1", "a.png#2"),
        np.array(["train"] * 2),
        boxes=np.array([box, (0, 0, 2, 2)], dtype=np.float32),
    )
    store = ImageStore.open(crops, size=SIZE, workers=1)
    assert store.broken == (Broken("a.png#1", "the box is not finite"),)


def encode(form: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(stream, form, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    return stream.getvalue()


@settings(max_examples=150, deadline=None)
@given(
    form=st.sampled_from(["JPEG", "PNG", "BMP", "WEBP"]),
    hits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 10_000),
)
def test_damaged_bytes_never_stop_the_work(
    tmp_path_factory: pytest.TempPathFactory, form: str, hits: Sequence[tuple[int, int]], cut: int
) -> None:
    data = bytearray(encode(form))
    for place, value in hits:
        data[place % len(data)] = value
    file = tmp_path_factory.getbasetemp() / "damaged"
    file.write_bytes(data[: len(data) - cut % len(data) if cut % 2 else None])
    with (file.parent / "pixels").open("w+b", buffering=0) as pixels:
        (row,) = decode.decode_chunk([str(file)], size=SIZE, to=pixels)
        assert pixels.tell() == (0 if row.reason else SIZE[0] * SIZE[1] * 3)
    assert bool(row.reason) != bool(row.digest)


# --- reuse


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files decoded by this process, as they are."""
    files: list[str] = []
    real = decode._decode_file

    def spy(file: str, size: tuple[int, int]) -> tuple[decode.Row, bytes]:
        files.append(Path(file).name)
        return real(file, size)

    monkeypatch.setattr(decode, "_decode_file", spy)
    return files


def test_the_second_call_decodes_nothing(root: Path, draw: Draw, decoded: list[str]) -> None:
    draw("a.png")
    first = open_store(root)
    assert decoded == ["a.png"]
    second = open_store(root)
    assert decoded == ["a.png"]
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.digests, second.digests)
    np.testing.assert_array_equal(first.original_sizes, second.original_sizes)


def test_a_moved_folder_is_the_same_data(root: Path, draw: Draw, decoded: list[str]) -> None:
    draw("a.png")
    open_store(root)
    assert len(open_store(root.rename(root.with_name("moved")))) == 1
    assert decoded == ["a.png"]


def test_changes_are_noticed(root: Path, draw: Draw, decoded: list[str]) -> None:
    draw("a.png", seed=1)
    before = open_store(root).images[0].copy()
    file = draw("a.png", seed=2)
    os.utime(file, ns=(0, 12345))
    assert (open_store(root).images[0] != before).any()
    assert open_store(root, size=(8, 8)).images.shape == (1, 8, 8, 3)
    (root / "b.png").write_bytes(file.read_bytes())
    assert len(open_store(root)) == 2
    assert decoded == ["a.png", "a.png", "a.png", "a.png", "b.png"]


def test_a_damaged_store_is_built_again(root: Path, draw: Draw, decoded: list[str]) -> None:
    draw("a.png")
    store = open_store(root)
    expected = store.images.copy()
    folder = store.folder
    del store
    os.truncate(folder / "images.u8", 5)
    np.testing.assert_array_equal(open_store(root).images, expected)
    assert decoded == ["a.png", "a.png"]


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("RESIGHT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "resight"


def test_the_argument_goes_before_the_environment(root: Path, draw: Draw, tmp_path: Path) -> None:
    draw("a.png")
    store = open_store(root, cache=tmp_path / "here")
    assert store.folder.is_relative_to(tmp_path / "here")


# --- many workers, interruption, full disks


@pytest.fixture
def whole(root: Path, draw: Draw, tmp_path: Path) -> ImageStore:
    """150 images (three chunks) with a broken one in the middle, decoded in one go."""
    draw_many(draw, 150)
    (root / "0070.png").write_text("broken")
    return open_store(root, cache=tmp_path / "whole", workers=1)


def assert_same(store: ImageStore, whole: ImageStore) -> None:
    np.testing.assert_array_equal(store.images, whole.images)
    np.testing.assert_array_equal(store.digests, whole.digests)
    np.testing.assert_array_equal(store.original_sizes, whole.original_sizes)
    assert store.crops.paths == whole.crops.paths
    assert store.broken == whole.broken
    assert not list(store.folder.parent.glob("*.partial"))
    assert sorted(file.name for file in store.folder.iterdir()) == ["images.u8", "rows.jsonl"]


def test_the_order_does_not_depend_on_the_workers(whole: ImageStore, root: Path) -> None:
    assert len(whole) == 149
    assert_same(open_store(root, workers=3), whole)


def test_chunks_come_in_order_and_lie_where_they_should(root: Path, draw: Draw) -> None:
    draw_many(draw, 40)
    files = sorted(map(str, root.iterdir()))
    (root / "0007.png").write_text("broken")
    chunks = [files[start : start + 3] for start in range(0, 40, 3)]
    images = root / "images"
    images.write_bytes(b"12345")
    decoded = list(workers.decode_chunks(chunks, size=SIZE, images=images, at=5, workers=2))
    data = images.read_bytes()
    assert [len(rows) for _, rows in decoded] == [3] * 13 + [1]
    for (start, rows), chunk in zip(decoded, chunks, strict=True):
        good = [file for file, row in zip(chunk, rows, strict=True) if not row.reason]
        expected = np.stack([reference(Path(file)) for file in good]).tobytes()
        assert data[start:].startswith(expected)
        assert start == 5 + files.index(chunk[0]) * SIZE[0] * SIZE[1] * 3


@pytest.mark.parametrize("finished", [0, 1, 2])
def test_an_interrupted_call_is_continued(
    whole: ImageStore,
    root: Path,
    cache: Path,
    finished: int,
    decoded: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, calls = decode.decode_chunk, iter(range(10))

    def stop(files: Sequence[str], *, size: tuple[int, int], to: io.FileIO) -> list[decode.Row]:
        if next(calls) == finished:
            to.write(b"half an image")
            raise KeyboardInterrupt
        return real(files, size=size, to=to)

    with monkeypatch.context() as patch:
        patch.setattr(decode, "decode_chunk", stop)
        with pytest.raises(KeyboardInterrupt):
            open_store(root, workers=1)
    (partial,) = (cache / "images").glob("*.partial")
    with (partial / "rows.jsonl").open("a") as journal:
        journal.write('[["","ab')
    decoded.clear()
    assert_same(open_store(root, workers=1), whole)
    assert len(decoded) == 150 - 64 * finished


def test_rows_without_their_pixels_are_decoded_again(
    whole: ImageStore, root: Path, cache: Path, decoded: list[str]
) -> None:
    """As a power cut can leave them."""
    partial = cache / "images" / f"{whole.folder.name}.partial"
    partial.mkdir(parents=True)
    pixels = (whole.folder / "images.u8").read_bytes()
    (partial / "images.u8").write_bytes(pixels[: 100 * SIZE[0] * SIZE[1] * 3])
    (partial / "rows.jsonl").write_bytes((whole.folder / "rows.jsonl").read_bytes())
    decoded.clear()
    assert_same(open_store(root, workers=1), whole)
    assert len(decoded) == 150 - 64


KILLED = """
import sys, time
from resight.data import ImageStore, build, read_crops
line = build._line
def slowly(rows):
    time.sleep(0.3)
    return line(rows)
build._line = slowly
ImageStore.open(read_crops(sys.argv[1]), size=(24, 12), workers=2)
"""


def test_a_killed_call_is_continued(whole: ImageStore, root: Path, cache: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(root)])
    for _ in range(600):
        if any(file.stat().st_size for file in cache.rglob("*.partial/rows.jsonl")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert_same(open_store(root, workers=2), whole)


def test_two_calls_at_once_share_the_work(
    whole: ImageStore, root: Path, decoded: list[str]
) -> None:
    decoded.clear()
    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(lambda _: open_store(root, workers=1), range(4)))
    for store in stores:
        assert_same(store, whole)
    assert len(decoded) == 150


def test_a_disk_that_fills_up(
    whole: ImageStore,
    root: Path,
    decoded: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = iter(range(1000))

    def fill_up(file: io.FileIO, data: bytes) -> None:
        if next(written) == 100:
            file.write(data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(data)

    with monkeypatch.context() as patch:
        patch.setattr(decode, "write_all", fill_up)
        with pytest.raises(DataError, match=r"no space left .* RESIGHT_CACHE .* is kept"):
            open_store(root, workers=1)
    decoded.clear()
    assert_same(open_store(root, workers=1), whole)
    assert len(decoded) == 150 - 64


def test_a_disk_that_is_too_small_is_told_at_once(
    root: Path, draw: Draw, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw("a.png")
    monkeypatch.setattr(build.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(DataError, match="no space left"):
        open_store(root)
    assert decoded == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [("print(28, flush=True); input()", "no space left"), ("raise SystemExit(9)", "exit code 9")],
)
def test_workers_that_fail(
    whole: ImageStore,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    words: str,
) -> None:
    script = tmp_path / "worker.py"
    script.write_text(answer)
    with monkeypatch.context() as patch:
        patch.setattr(decode, "__file__", str(script))
        with pytest.raises(DataError, match=words):
            open_store(root, workers=2)
    assert_same(open_store(root, workers=2), whole)


def test_a_cache_that_cannot_be_written(root: Path, draw: Draw, tmp_path: Path) -> None:
    draw("a.png")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write the decoded images to .*RESIGHT_CACHE"):
        open_store(root, cache=tmp_path / "file")


def test_a_cache_without_permission(
    root: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw("a.png")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DataError, match=r"cannot write .*: Permission denied; point RESIGHT_CACHE"):
        open_store(root)


# --- batches


def test_batches_are_channels_last_views_of_the_images(root: Path, draw: Draw) -> None:
    for index in range(7):
        draw(f"{index}.png", seed=index)
    store = open_store(root)
    for rows in (np.array([3, 0, 3, 6]), torch.tensor([5]), np.array([], dtype=np.int64)):
        batch = store.batch(rows)
        expected = np.stack([store.images[row] for row in rows]) if len(rows) else np.empty(0)
        assert batch.shape == (len(rows), 3, *SIZE)
        assert batch.dtype == torch.uint8
        assert batch.is_contiguous(memory_format=torch.channels_last) or not len(rows)
        np.testing.assert_array_equal(batch.permute(0, 2, 3, 1).numpy().ravel(), expected.ravel())


def test_the_images_are_read_only(root: Path, draw: Draw) -> None:
    draw("a.png")
    store = open_store(root)
    assert isinstance(store.images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        store.images[0, 0, 0, 0] = 1


def test_batches_are_copies(root: Path, draw: Draw) -> None:
    draw("a.png")
    store = open_store(root)
    before = store.images.copy()
    store.batch(np.array([0])).zero_()
    np.testing.assert_array_equal(store.images, before)


def test_programming_mistakes(root: Path, draw: Draw) -> None:
    draw("a.png")
    with pytest.raises(ValueError, match="size is"):
        open_store(root, size=(0, 5))
    with pytest.raises(ValueError, match="workers is 0"):
        open_store(root, workers=0)
    crops = read_crops(root)
    with pytest.raises(DataError, match="holds no crops"):
        ImageStore.open(crops.select(np.array([], dtype=np.int64)))


def test_nothing_is_drawn_when_stderr_is_no_terminal(
    root: Path,
    draw: Draw,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    draw("a.png")
    with caplog.at_level(logging.INFO):
        open_store(root)
    assert capsys.readouterr() == ("", "")
    assert "decoded 1 images" in caplog.text
