import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from resight.data import ImageStore, read_crops
from resight.errors import DataError
from resight.inference import pictures as module
from resight.inference import to_pixels
from resight.inference.pictures import size_of

SIZE = (24, 16)
MODES = ("RGB", "L", "RGBA", "P", "1", "LA")


def picture(seed: int = 0, size: tuple[int, int] = (37, 61), mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 4, 4), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).convert(mode)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Pictures of several formats, modes and orientations, in the order of their names."""
    root = tmp_path / "pictures"
    root.mkdir()
    for number, mode in enumerate(MODES):
        picture(number, mode=mode).save(root / f"{number}.png")
    picture(7, (900, 1400)).save(root / "7.jpg", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(8, (90, 40)).save(root / "8.jpg", exif=exif)
    picture(9).save(root / "9.webp", lossless=True)
    return root


def store_of(root: Path) -> ImageStore:
    return ImageStore.open(read_crops(root), size=SIZE, workers=1)


@pytest.mark.parametrize("kind", [str, Path, lambda path: path.read_bytes()])
def test_files_have_the_pixels_of_the_image_store(files: Path, kind: Any) -> None:
    store = store_of(files)
    pictures = [kind(store.crops.file(row)) for row in range(len(store))]
    assert len(pictures) == 9
    np.testing.assert_array_equal(to_pixels(pictures, SIZE), store.images)


def test_opened_images_have_the_pixels_of_the_image_store(files: Path) -> None:
    store = store_of(files)
    for row in range(len(store)):
        file = store.crops.file(row)
        if file.name == "7.jpg":
            continue  # the store decodes large JPEGs at a reduced scale
        with Image.open(file) as image:
            np.testing.assert_array_equal(to_pixels([image], SIZE)[0], store.images[row])


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_arrays_are_the_images_they_hold(mode: str) -> None:
    image = picture(mode=mode)
    array = np.asarray(image)
    expected = to_pixels([image], SIZE)
    np.testing.assert_array_equal(to_pixels([array], SIZE), expected)
    np.testing.assert_array_equal(to_pixels([array[:, ::-1][:, ::-1]], SIZE), expected)


def test_transparent_pixels_are_white() -> None:
    clear = Image.new("RGBA", (8, 8), (10, 20, 30, 0))
    assert (to_pixels([clear], SIZE) == 255).all()


def test_pictures_of_the_right_size_stay_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_pixels(pixels, SIZE), pixels)


def test_no_pictures_are_no_pixels() -> None:
    assert to_pixels([], SIZE).shape == (0, *SIZE, 3)


@pytest.mark.parametrize(
    "single", ["a.png", Path("a.png"), b"bytes", picture(), np.zeros((4, 4, 3), np.uint8)]
)
def test_a_single_picture_is_refused(single: Any) -> None:
    with pytest.raises(DataError, match="a single picture is given where several are expected"):
        to_pixels(single, SIZE)


def truncated() -> bytes:
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    return buffer.getvalue()[:90]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("nowhere.png", r"^nowhere\.png cannot be read: No such file or directory$"),
        (b"", "picture 1 cannot be read: the file is empty"),
        (b"GIF89a", "picture 1 cannot be read: not a JPEG, PNG, BMP or WebP image"),
        (truncated(), "picture 1 cannot be read: "),
        (None, "picture 1 is of type NoneType: give a path"),
        (np.zeros((4, 4, 3)), r"picture 1 is an array of shape \(4, 4, 3\) and type float64"),
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\) .*expected \(H, W, 3\) uint8"),
        (np.zeros((0, 4, 3), np.uint8), r"picture 1 has no pixels, its shape is \(0, 4, 3\)"),
    ],
)
def test_what_is_no_picture_is_told(broken: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        to_pixels([picture(), broken], SIZE)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_the_size_of_a_file_is_read_from_its_head(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(picture(), kind)
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    assert size_of(data) == (61, 37)


def test_the_size_of_what_is_no_picture() -> None:
    with pytest.raises(ValueError, match="the file is empty"):
        size_of(b"")
    for data in (b"GIF89a", b"RIFF1234WAVE"):
        with pytest.raises(ValueError, match="not a JPEG, PNG, BMP or WebP image"):
            size_of(data)


def test_a_bomb_is_not_decoded_to_look_for_its_orientation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pillow decodes a PNG with XMP data before it tells of an orientation."""
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt("XML:com.adobe.xmp", "<x/>")
    data = bytearray(saved(picture(), "PNG", pnginfo=notes))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    loaded = []
    original = PngImagePlugin.PngImageFile.load
    monkeypatch.setattr(
        PngImagePlugin.PngImageFile, "load", lambda self: (loaded.append(1), original(self))[1]
    )
    with pytest.raises(DataError, match="60000 x 60000 pixels, more than 100,000,000"):
        to_pixels([bytes(data)], SIZE)
    assert not loaded


def test_pictures_of_too_many_pixels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 1000)
    with pytest.raises(DataError, match="37 x 61 pixels, more than 1,000"):
        to_pixels([picture()], SIZE)
