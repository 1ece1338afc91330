import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resight.errors import ConfigError, ResightError, RunError
from resight.exporting import verify, write, write_export
from resight.exporting.presets import PRESETS
from resight.files import locked
from resight.models import EncoderSpec, build_encoder, save

Models = Callable[[str], Path]


def export(source: Path, out: Path, **options: Any) -> Any:
    told = {"to": "torchscript", "preset": "boxmot", **options}
    return write_export(source, out, card=lambda *_: "a card\n", **told)


def copy(source: Path, out: Path, **options: Any) -> Any:
    """The fastest export."""
    return export(source, out, to="safetensors", preset="plain", **options)


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


def test_a_folder_that_only_looks_like_an_export_is_left_alone(
    models_of: Models, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for text in ('{"name": "my data"}', "[]", "no"):
        (out / "metadata.json").write_text(text)
        with pytest.raises(ConfigError, match=r"out holds other files \(metadata\.json\)"):
            copy(models_of("small"), out)
    (out / "metadata.json").unlink()
    threshold = tmp_path / "threshold.json"
    threshold.write_text("{}")
    copy(models_of("small"), out, beside=(threshold,))
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"out holds other files \(notes\.txt\)"):
        copy(models_of("small"), out)
    assert {"notes.txt", "threshold.json", "metadata.json"} < set(names(out))
    (out / "notes.txt").unlink()
    copy(models_of("small"), out)
    assert "threshold.json" not in names(out)


def test_the_folder_that_one_is_in_is_refused(
    models_of: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (Path(), Path("../") / tmp_path.name):
        with pytest.raises(ConfigError, match="is the folder that you are in"):
            copy(models_of("small"), out)


def test_a_link_stays_a_link(models_of: Models, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    for _ in range(2):
        done = copy(models_of("small"), tmp_path / "out")
        assert done.file.exists()
    assert (tmp_path / "out").is_symlink()
    assert names(tmp_path) == ["disk", "out"]


def test_what_a_killed_export_left_is_cleared_away(models_of: Models, tmp_path: Path) -> None:
    copy(models_of("small"), tmp_path / "out")
    for name in (".out.123.tmp", ".out.124.old", ".out.125.tmp", ".other.123.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").write_text("half")
    with locked(tmp_path / ".out.125.tmp"):
        copy(models_of("small"), tmp_path / "out")
    assert names(tmp_path) == [".other.123.tmp", ".out.125.tmp", "out"]
    assert ".lock" not in names(tmp_path / "out")


def test_an_earlier_export_that_a_killed_one_moved_comes_back(
    models_of: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two steps of a replacement."""
    out, source = tmp_path / "out", models_of("small")
    copy(source, out)
    (tmp_path / ".out.123.tmp").mkdir()
    out.rename(tmp_path / ".out.123.old")
    monkeypatch.setattr(verify, "LARGEST", -1)
    with pytest.raises(ResightError, match="differs"):
        copy(source, out)
    assert names(tmp_path) == ["out"]
    assert (out / "model.safetensors").exists()


KILLED = """
import os, sys
from pathlib import Path
from resight.exporting import write, write_export

step, sync, replace = sys.argv[3], write._sync, os.replace
if step == "draft":
    write._sync = lambda draft: os.kill(os.getpid(), 9)
else:
    os.replace = lambda a, b: os.kill(os.getpid(), 9) if a.suffix == ".tmp" else replace(a, b)
write_export(
    Path(sys.argv[1]), Path(sys.argv[2]), card=lambda *_: "", to="safetensors", preset="plain"
)
"""


@pytest.mark.parametrize("step", ["draft", "swap"])
def test_kill_9_leaves_nothing_that_the_next_export_does_not_clear(
    models_of: Models, tmp_path: Path, step: str
) -> None:
    out = tmp_path / "out"
    copy(models_of("small"), out)
    command = [sys.executable, "-c", KILLED, str(models_of("small")), str(out), step]
    assert subprocess.run(command, check=False).returncode == -9
    assert len(names(tmp_path)) == 2
    assert copy(models_of("small"), out).file.exists()
    assert names(tmp_path) == ["out"]


def test_all_parents_that_were_not_there_go_again(
    models_of: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "LARGEST", -1)
    with pytest.raises(ResightError, match="differs"):
        copy(models_of("small"), tmp_path / "a" / "b" / "out")
    assert names(tmp_path) == []


@pytest.mark.parametrize("at", ["loading", "copying"])
def test_weights_that_change_meanwhile_are_noticed(
    models_of: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """A run that is still trained replaces them after every epoch."""
    source = tmp_path / "run"
    shutil.copytree(models_of("small"), source)
    load, copy_file = write.models.load, shutil.copyfile
    spec = EncoderSpec(**json.loads((source / "model.json").read_text())["encoder"])
    later = build_encoder(spec, seed=5)

    def train() -> None:
        save(later, source, size=(64, 32))

    def loading(path: Path) -> Any:
        loaded = load(path)
        train()
        return loaded

    def copying(file: Path, to: Path) -> None:
        train()
        copy_file(file, to)

    if at == "loading":
        monkeypatch.setattr(write.models, "load", loading)
    else:
        monkeypatch.setattr(write.shutil, "copyfile", copying)
    with pytest.raises(RunError, match="changed while they were exported: export them again"):
        copy(source, tmp_path / "out")
    assert names(tmp_path) == ["run"]
