import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision

import resight
from resight.data import ImageStore, read_crops
from resight.device import Device
from resight.errors import ConfigError, DataError, RunError
from resight.inference import Embedder
from resight.models import Encoder
from resight.training.extract import extract
from resight.training.feed import Feed

RNG = np.random.default_rng(0)
FRAME = RNG.integers(0, 256, (90, 120, 3), dtype=np.uint8)
BOXES = np.array([[3, 4, 40, 80], [50, 10, 90, 88.4]], np.float32)


@pytest.fixture(scope="module")
def embedder(model: Path) -> Embedder:
    return resight.load(model, precision="float32")


def random_pixels(n: int) -> np.ndarray:
    return RNG.integers(0, 256, (n, 64, 32, 3), dtype=np.uint8)


def test_embeddings_are_those_of_extraction_on_the_image_store(
    embedder: Embedder, encoder: Encoder, crops: Path
) -> None:
    store = ImageStore.open(read_crops(crops), size=embedder.size)
    device = Device.choose("cpu", "float32")
    expected = extract(encoder, Feed(store, device), store.crops, device).vectors
    files = [store.crops.file(row) for row in range(len(store))]
    np.testing.assert_allclose(embedder.embed(files), expected, atol=1e-6)
    np.testing.assert_allclose(embedder.embed(files, batch=5), expected, atol=1e-6)
    np.testing.assert_allclose(embedder.embed_pixels(store.images), expected, atol=1e-6)


def test_what_an_embedder_tells_of_itself(embedder: Embedder, model: Path) -> None:
    weights = (model / "model.safetensors").read_bytes()
    assert embedder.digest == hashlib.sha256(weights).hexdigest()
    assert (embedder.size, embedder.dim) == ((64, 32), embedder.embed_pixels(random_pixels(1)).size)


def test_rows_have_length_one_and_type_float32(embedder: Embedder) -> None:
    embeddings = embedder.embed_pixels(random_pixels(7))
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_nothing_gives_no_rows(embedder: Embedder) -> None:
    nothing = [
        embedder.embed([]),
        embedder.embed_pixels(random_pixels(0)),
        embedder.extract_features(supervision.Detections.empty(), FRAME),
    ]
    assert all(rows.shape == (0, embedder.dim) and rows.dtype == np.float32 for rows in nothing)


def test_features_of_detections_are_those_of_their_crops(embedder: Embedder) -> None:
    detections = supervision.Detections(xyxy=BOXES)
    crops = [FRAME[4:80, 3:40], FRAME[10:88, 50:90]]
    expected = embedder.embed(crops)
    np.testing.assert_array_equal(embedder.extract_features(detections, FRAME[..., ::-1]), expected)
    np.testing.assert_array_equal(embedder.extract_features(detections, FRAME, rgb=True), expected)


def test_anything_with_boxes_will_do(embedder: Embedder) -> None:
    @dataclass
    class Boxes:
        xyxy: Any

    detections = supervision.Detections(xyxy=BOXES)
    np.testing.assert_array_equal(
        embedder.extract_features(Boxes(BOXES.tolist()), FRAME),
        embedder.extract_features(detections, FRAME),
    )
    with pytest.raises(DataError, match=r"box 0 .* holds no pixel"):
        embedder.extract_features(Boxes([[500, 0, 600, 9]]), FRAME)


def test_threads_share_an_embedder(embedder: Embedder) -> None:
    batches = [random_pixels(3) for _ in range(12)]
    expected = [embedder.embed_pixels(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for got, one in zip(pool.map(embedder.embed_pixels, batches), expected, strict=True):
            np.testing.assert_allclose(got, one, atol=1e-6)


def test_bf16_is_close_to_float32(embedder: Embedder, model: Path) -> None:
    pixels = random_pixels(4)
    coarse = resight.load(model, precision="bf16").embed_pixels(pixels)
    assert coarse.dtype == np.float32
    cosines = (coarse * embedder.embed_pixels(pixels)).sum(axis=1)
    assert 0.99 < cosines.min() < 1 - 1e-7


def test_read_only_pixels_stay_as_they_are(embedder: Embedder) -> None:
    pixels = random_pixels(2)
    before = pixels.copy()
    pixels.flags.writeable = False
    embedder.embed_pixels(pixels)
    np.testing.assert_array_equal(pixels, before)


def test_the_weights_file_opens_too(embedder: Embedder, model: Path) -> None:
    opened = Embedder.open(model / "model.safetensors", precision="float32")
    pixels = random_pixels(2)
    np.testing.assert_array_equal(opened.embed_pixels(pixels), embedder.embed_pixels(pixels))


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (np.zeros((2, 64, 33, 3), np.uint8), r"shape \(2, 64, 33, 3\).*expected \(N, 64, 32, 3\)"),
        (np.zeros((2, 64, 32, 3), np.float32), "type float32"),
        (np.zeros((64, 32, 3), np.uint8), r"shape \(64, 32, 3\)"),
    ],
)
def test_pixels_of_another_shape_or_type_are_refused(
    embedder: Embedder, pixels: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        embedder.embed_pixels(pixels)


def test_what_holds_no_encoder_is_told(model: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere does not exist: give the folder that"):
        resight.load(tmp_path / "nowhere")
    with pytest.raises(RunError, match="holds no trained model"):
        resight.load(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(RunError, match=r"notes\.txt is no encoder: give a run folder"):
        resight.load(tmp_path / "notes.txt")
    shutil.copytree(model, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(RunError, match="cannot be loaded"):
        resight.load(tmp_path / "cut")
    with pytest.raises(ConfigError, match="unknown precision 'half'"):
        resight.load(model, precision="half")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown device 'gpu'"):
        resight.load(model, device="gpu")


def test_a_batch_of_nothing_is_refused(embedder: Embedder) -> None:
    for call in (embedder.embed, embedder.embed_pixels):
        with pytest.raises(ValueError, match="batch is 0, expected >= 1"):
            call(random_pixels(2), batch=0)
