import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resight.errors import ConfigError, ResightError, RunError
from resight.exporting import verify, write, write_export
from resight.exporting.presets import PRESETS

Models = Callable[[str], Path]


def export(source: Path, out: Path, **options: Any) -> Any:
    told = {"to": "torchscript", "preset": "boxmot", **options}
    return write_export(source, out, card=lambda *_: "a card\n", **told)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_export_is_a_folder_with_everything(models_of: Models, tmp_path: Path) -> None:
    threshold = tmp_path / "threshold.json"
    threshold.write_text("{}")
    done = export(models_of("small"), tmp_path / "deep" / "out", beside=(threshold,))
    name = "osnet_x0_25_resight.torchscript"
    sidecar = f"{name}.metadata.json"
    assert names(done.folder) == ["README.md", "metadata.json", name, sidecar, "threshold.json"]
    assert done.file == done.folder / name
    assert (done.folder / "README.md").read_text() == "a card\n"
    assert names(tmp_path / "deep") == ["out"]


def test_safetensors_are_the_weights_and_what_they_are(models_of: Models, tmp_path: Path) -> None:
    source = tmp_path / "run"
    shutil.copytree(models_of("small"), source)
    described = json.loads((source / "model.json").read_text())
    described["encoder"]["weights"] = "/somewhere/private/weights.pth"
    (source / "model.json").write_text(json.dumps(described))
    done = export(source, tmp_path / "out", to="safetensors", preset="plain")
    assert done.file.read_bytes() == (source / "model.safetensors").read_bytes()
    assert done.difference == 0
    assert not any(b"private" in path.read_bytes() for path in done.folder.iterdir())


def test_an_earlier_export_is_replaced(models_of: Models, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(models_of("small"), out, to="safetensors", preset="plain")
    export(models_of("small"), out)
    assert "model.safetensors" not in names(out)
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_will_do(models_of: Models, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert export(models_of("small"), tmp_path / "out").file.exists()


@pytest.mark.parametrize("is_file", [True, False])
def test_other_files_are_left_alone(models_of: Models, tmp_path: Path, is_file: bool) -> None:
    out = tmp_path / "out"
    if is_file:
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="out holds other files"):
        export(models_of("small"), out)
    assert (out if is_file else out / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"to": "tensorrt"}, "cannot export to 'tensorrt': use one of onnx, torchscript, safe"),
        ({"preset": "deepsort"}, "preset 'deepsort' is unknown: use one of plain, boxmot, ultra"),
        ({"to": "safetensors"}, "weights alone, which preset 'boxmot' cannot use"),
        ({"opset": 18}, "opset is of ONNX, and torchscript has none"),
        ({"to": "onnx", "opset": 11}, "opset is 11, expected 18 or higher"),
    ],
)
def test_what_cannot_be_is_told(
    models_of: Models, tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        export(models_of("small"), tmp_path / "out", **options)
    assert names(tmp_path) == []


def test_a_folder_without_an_encoder_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match="holds no trained model"):
        export(tmp_path / "run", tmp_path / "out")


@pytest.mark.parametrize("gap", [2e-3, np.nan])
@pytest.mark.parametrize("earlier", [False, True])
def test_an_export_that_differs_leaves_nothing(
    models_of: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: float, earlier: bool
) -> None:
    out = tmp_path / "out"
    before = export(models_of("small"), out).file.read_bytes() if earlier else b""

    def differing(self: Any, pixels: Any) -> Any:
        return original(self, pixels) + np.float32(gap)

    original = verify.EncoderNetwork.__call__
    monkeypatch.setattr(verify.EncoderNetwork, "__call__", differing)
    with pytest.raises(ResightError, match=r"differs from the encoder by (0\.002|nan), more than"):
        export(models_of("small"), out)
    assert names(tmp_path) == (["out"] if earlier else [])
    if earlier:
        assert (out / "osnet_x0_25_resight.torchscript").read_bytes() == before


def test_a_graph_that_resizes_otherwise_is_noticed(
    models_of: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "_run", lambda graph, images: np.full((len(images), 96), 9.0))
    with pytest.raises(ResightError, match=r"more than 0\.001"):
        export(models_of("small"), tmp_path / "out", preset="plain")
    assert export(models_of("small"), tmp_path / "out").difference < 1e-5  # takes one size only


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_where_nothing_can_be_written_is_told(models_of: Models, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ResightError, match=r"cannot write .*: Permission denied"):
        export(models_of("small"), tmp_path / "out")


def test_a_full_disk_is_told(
    models_of: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "write_script", lambda *_, **__: full())
    with pytest.raises(ResightError, match=r"cannot write .*out: No space left on device"):
        export(models_of("small"), tmp_path / "out")
    assert names(tmp_path) == []


def test_an_earlier_export_stays_when_the_new_one_cannot_take_its_place(
    models_of: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(models_of("small"), tmp_path / "out", to="safetensors", preset="plain")
    before, replace = names(tmp_path / "out"), os.replace

    def failing(source: Path, target: Path) -> None:
        if Path(source).suffix == ".tmp":
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(write.os, "replace", failing)
    with pytest.raises(ResightError, match=r"cannot write .*out: Input/output error"):
        export(models_of("small"), tmp_path / "out")
    assert (names(tmp_path), names(tmp_path / "out")) == (["out"], before)


def test_a_parent_that_was_not_there_goes_again(models_of: Models, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="opset is 3"):
        export(models_of("small"), tmp_path / "export" / "out", to="onnx", opset=3)
    assert names(tmp_path) == []


def test_boxmot_is_told_of_another_size(
    models_of: Models, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export(models_of("small"), tmp_path / "out")
    assert "takes 64 x 32 images, not BoxMOT's usual 256 x 128" in caplog.text


def test_encoders_wider_than_high_leave_ultralytics_its_squares() -> None:
    takes = PRESETS["ultralytics"].takes
    assert (takes((256, 128)).height, takes((256, 256)).height) == (256, 256)
    assert takes((128, 256)).height is None
