"""Exported networks, opened as users open them, give the encoder's embeddings."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

import resight
from resight.errors import ConfigError, ResightError, RunError
from resight.exporting import Export, onnx_file, write_export
from resight.inference import Embedder, to_pixels

SIZE = (64, 32)
RNG = np.random.default_rng(0)
EXPORTS = [
    ("small", "onnx", "plain"),
    ("small", "onnx", "boxmot"),
    ("small", "onnx", "ultralytics"),
    ("small", "torchscript", "plain"),
    ("small", "torchscript", "boxmot"),
    ("small", "torchscript", "ultralytics"),
    ("small", "safetensors", "plain"),
    ("vit", "onnx", "boxmot"),
    ("vit", "torchscript", "plain"),
    ("lite0", "onnx", "boxmot"),
    ("resnet50_ibn", "onnx", "boxmot"),
]
Exported = Callable[..., Export]
Models = Callable[[str], Path]


def random_pixels(n: int) -> np.ndarray:
    return RNG.integers(0, 256, (n, *SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("key", EXPORTS, ids="-".join)
def test_an_export_opens_again_and_embeds_alike(
    exported: Exported, models_of: Models, key: tuple[str, str, str]
) -> None:
    done, original = exported(*key), resight.load(models_of(key[0]), precision="float32")
    # Where a sum is almost half a grey level, runtimes round it differently.
    assert done.difference < (1e-5 if key[2] == "boxmot" else 1e-4)
    for path in (done.folder, done.file):
        opened = resight.load(path, precision="float32")
        assert (opened.dim, opened.size) == (original.dim, original.size)
        assert opened.digest == original.digest
        for n in (1, 3):
            pixels = random_pixels(n)
            np.testing.assert_allclose(
                opened.embed_pixels(pixels), original.embed_pixels(pixels), atol=1e-5
            )
    assert opened.embed([]).shape == (0, opened.dim)


@pytest.mark.parametrize("to", ["onnx", "torchscript"])
def test_threads_share_an_export(exported: Exported, to: str) -> None:
    opened = resight.load(exported("small", to).file)
    batches = [random_pixels(n % 3 + 1) for n in range(12)]
    expected = [opened.embed_pixels(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for got, one in zip(pool.map(opened.embed_pixels, batches), expected, strict=True):
            np.testing.assert_allclose(got, one, atol=1e-6)


@pytest.mark.parametrize("to", ["onnx", "torchscript"])
def test_the_description_lies_beside_the_network(exported: Exported, to: str) -> None:
    done = exported("small", to, "boxmot")
    told = json.loads((done.folder / "metadata.json").read_text())
    assert told["file"] == done.file.name
    assert told["digest"] == done.description.digest
    assert told["largest_difference"] == done.difference
    given = told["input"]
    assert (given["name"], given["dtype"], given["layout"]) == ("images", "float32", "NCHW")
    assert (given["colours"], given["white"]) == ("RGB", 1)
    assert given["mean"] == [0.485, 0.456, 0.406]
    assert (given["height"], given["width"]) == SIZE == tuple(told["size"])
    assert (told["output"], told["dim"]) == ("embeddings", 96)
    sidecar = json.loads((done.folder / f"{done.file.name}.metadata.json").read_text())
    assert sidecar["model_name"] in done.file.name
    assert sidecar["model_kwargs"] == {"img_size": list(SIZE)}


@pytest.mark.parametrize(
    ("preset", "shape", "kind"),
    [
        ("plain", ["batch", 3, "height", "width"], "tensor(uint8)"),
        ("boxmot", ["batch", 3, 64, 32], "tensor(float)"),
        ("ultralytics", ["batch", 3, 64, "width"], "tensor(float)"),
    ],
)
def test_onnx_inputs_are_what_consumers_look_at(
    exported: Exported, preset: str, shape: list[object], kind: str
) -> None:
    file = exported("small", "onnx", preset).file
    onnx.checker.check_model(file)
    session = onnxruntime.InferenceSession(file)
    (given,), (first, *_) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape, given.type) == ("images", shape, kind)
    assert (first.shape, first.type) == (["batch", 96], "tensor(float)")
    assert list(file.parent.glob("*.data")) == []


def photographs(*sizes: tuple[int, int]) -> list[np.ndarray]:
    coarse = [Image.fromarray(RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)) for _ in sizes]
    return [
        np.asarray(image.resize(size[::-1], Image.Resampling.BICUBIC))
        for image, size in zip(coarse, sizes, strict=True)
    ]


def test_plain_resizes_as_the_image_store_does(exported: Exported, models_of: Models) -> None:
    original = resight.load(models_of("small"), precision="float32")
    session = onnxruntime.InferenceSession(exported("small").file)
    script = torch.jit.load(exported("small", "torchscript").file)
    for photograph in photographs((200, 90), (40, 20), (64, 77)):
        [expected] = original.embed([photograph])
        batch = np.stack([photograph] * 2).transpose(0, 3, 1, 2)
        by_onnx = session.run(None, {"images": np.ascontiguousarray(batch)})[0]
        by_script = script(torch.from_numpy(np.ascontiguousarray(batch))).numpy()
        for rows in (by_onnx, by_script):
            assert (rows @ expected).min() > 0.9999


def test_torchscript_takes_floats_too(exported: Exported) -> None:
    script = torch.jit.load(exported("small", "torchscript").file)
    pixels = torch.from_numpy(random_pixels(2).transpose(0, 3, 1, 2).copy())
    torch.testing.assert_close(script(pixels), script(pixels.float()))


def test_boxmot_and_ultralytics_feed_the_encoder(exported: Exported, models_of: Models) -> None:
    """As their ReID code does: crops by bilinear interpolation, RGB / 255, normalised or square."""
    original = resight.load(models_of("small"), precision="float32")
    [photograph] = photographs((120, 60))
    [expected] = original.embed([photograph])

    def bilinear(size: tuple[int, int]) -> np.ndarray:
        tensor = torch.from_numpy(photograph.copy()).permute(2, 0, 1)[None].float() / 255
        return torch.nn.functional.interpolate(tensor, size, mode="bilinear").numpy()

    mean = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
    std = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)
    fed = {"boxmot": (bilinear((64, 32)) - mean) / std, "ultralytics": bilinear((64, 64))}
    for preset, images in fed.items():
        session = onnxruntime.InferenceSession(exported("small", "onnx", preset).file)
        [rows] = session.run(None, {"images": images})
        assert rows[0] @ expected > 0.999


def test_the_opset_is_the_one_asked_for(
    models_of: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "FIRST_EXPORTED", (99, 0))
    options = {"card": lambda *_: "", "preset": "boxmot"}
    done = write_export(models_of("small"), tmp_path / "out", opset=20, **options)
    [written] = onnx.load(done.file).opset_import
    assert written.version == 20
    with pytest.raises(ResightError, match="ONNX opset 99"):
        write_export(models_of("small"), tmp_path / "other", opset=99, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_files_of_others_are_refused(exported: Exported, tmp_path: Path) -> None:
    model = onnx.load(exported("small").file)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no")
    (tmp_path / "broken.pt").write_bytes(b"no")
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "other.torchscript")
    for name, told in {
        "other.onnx": "was not exported by resight",
        "broken.onnx": "cannot be loaded by ONNX Runtime",
        "other.torchscript": "was not exported by resight",
        "broken.pt": "cannot be loaded as TorchScript",
    }.items():
        with pytest.raises(RunError, match=f"{name} {told}"):
            resight.load(tmp_path / name)
    with pytest.raises(RunError, match=r"several exports: give one of broken\.onnx, other\.onnx"):
        resight.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}', '{"format": 1, "dim": "many"}'])
def test_damaged_descriptions_are_told(exported: Exported, tmp_path: Path, text: str) -> None:
    model = onnx.load(exported("small").file)
    model.metadata_props[0].value = text
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(RunError, match=r"the description in .*model\.onnx is"):
        resight.load(tmp_path)


def test_exports_run_in_float32_alone(exported: Exported) -> None:
    done = exported("small")
    assert resight.load(done.file, precision="float32").dim == done.description.dim
    with pytest.raises(ConfigError, match=r"model\.onnx runs in float32"):
        resight.load(done.file, precision="bf16")


def test_onnx_needs_its_runtime(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install 'resight\[export\]'"):
        Embedder.open(exported("small").file)


def test_pictures_go_through_any_export(exported: Exported, models_of: Models) -> None:
    pictures = photographs((100, 30), (20, 50))
    original = resight.load(models_of("small"), precision="float32")
    np.testing.assert_array_equal(
        resight.load(models_of("small"), precision="float32").embed_pixels(
            to_pixels(pictures, SIZE)
        ),
        original.embed(pictures),
    )
    for key in (("onnx", "plain"), ("torchscript", "ultralytics")):
        np.testing.assert_allclose(
            resight.load(exported("small", *key).folder).embed(pictures),
            original.embed(pictures),
            atol=1e-5,
        )
