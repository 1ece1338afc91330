"""Whatever ends a run, resuming it gives the run that was never stopped."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest
import torch
from drawn import CAMERA, TINY, draw, save
from interrupted import Stop, assert_equal_runs, stop_after

import resight
from resight.errors import ResightError, RunError
from resight.training import batches
from resight.training.run_folder import RunFolder


def train(data: Path, out: Path) -> Path:
    return resight.train(data, out=out, settings=TINY, camera_pattern=CAMERA, evaluate_every=1)


@pytest.fixture(scope="module")
def whole(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that was never stopped."""
    return train(crops, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


@pytest.mark.parametrize("steps", [0, 1, 3, 4])
def test_stopped_between_steps(
    steps: int, crops: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(batches, "train_step", stop_after(steps, batches.train_step))
        with pytest.raises(Stop):
            train(crops, tmp_path / "run")
    assert_equal_runs(resight.resume(tmp_path / "run"), whole)


@pytest.mark.parametrize("writes", range(2, 10))
def test_stopped_between_any_two_files(
    writes: int, crops: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", stop_after(writes, os.replace))
        with pytest.raises(Stop):
            train(crops, tmp_path / "run")
    assert_equal_runs(resight.resume(tmp_path / "run"), whole)


def test_a_finished_run_is_reported_again(copy: Path, whole: Path) -> None:
    for file in ("report.html", "evaluation.json", "model.safetensors", "log.jsonl"):
        (copy / file).unlink()
    assert_equal_runs(resight.resume(copy), whole)


def test_half_written_files_are_cleared_away(copy: Path, whole: Path) -> None:
    for place in (copy, copy / "labels"):
        (place / ".checkpoint.pt.99.tmp").write_bytes(b"half")
    with (copy / "log.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')
    assert_equal_runs(resight.resume(copy), whole)


def test_a_run_in_use_is_left_alone(copy: Path) -> None:
    with (copy / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="is being trained by another process"):
            resight.resume(copy)


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("checkpoint.pt", b"not a checkpoint", r"checkpoint\.pt cannot be read .*damaged"),
        ("checkpoint.pt", b"", "damaged"),
        ("run.json", b"{", r"run\.json is damaged"),
        ("run.json", b"[1]", r"run\.json is damaged"),
        ("run.json", b'{"format": 1}', "data: RunSettings needs this"),
        ("run.json", b'{"format": 1, "data": "x", "root": "x", "sede": 1}', "mean seed"),
        ("run.json", b'{"format": 1, "data": "x", "root": "x", "seed": "a"}', "seed: .*integer"),
        ("run.json", b'{"format": 99}', "update resight"),
        ("recipe.yaml", b"\xff\xfe", "not a text file"),
        ("recipe.yaml", b"name: [", "not valid YAML"),
        ("recipe.yaml", b"format: 99", "update resight"),
        ("labels/epoch_002.parquet", b"", "cannot be read"),
    ],
)
def test_damaged_files_are_named(copy: Path, name: str, damage: bytes, told: str) -> None:
    (copy / name).write_bytes(damage)
    model = (copy / "model.safetensors").read_bytes()
    with pytest.raises(ResightError, match=told) as raised:
        resight.resume(copy)
    assert "\n" not in str(raised.value)
    assert (copy / "model.safetensors").read_bytes() == model


def test_a_checkpoint_of_another_network_is_refused(copy: Path) -> None:
    text = (copy / "recipe.yaml").read_text()
    (copy / "recipe.yaml").write_text(text.replace("test_resnet", "resnet18"))
    with pytest.raises(RunError, match="cannot be read"):
        resight.resume(copy)


def test_other_folders_are_no_runs(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(RunError, match="is not a run folder"):
            resight.resume(path)


def test_crops_that_changed_are_refused(tmp_path: Path) -> None:
    data = draw(tmp_path / "data", identities=6)
    run = train(data, tmp_path / "run")
    next(data.iterdir()).unlink()
    save(torch.zeros(8, 4, 3).numpy(), data / "new_c1.png")
    with pytest.raises(RunError, match="1 are gone or cannot be read, 1 are new"):
        resight.resume(run)


def test_the_lock_is_free_again_after_an_error(copy: Path) -> None:
    folder = RunFolder.open(copy)
    with pytest.raises(Stop), folder.lock():
        raise Stop
    with folder.lock():
        pass
