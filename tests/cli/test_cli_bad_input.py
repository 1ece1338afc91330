"""Every mistake ends in one sentence on stderr and exit code 2, and nothing is lost."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import TINY, draw, options, save

import resight as package

SHORT = options(TINY | {"optim.epochs": 1})


def refused(result: Any, *told: str) -> None:
    assert result.code == 2, result
    assert "Traceback" not in result.err
    last = result.err.strip().splitlines()[-1]
    assert last.startswith("resight: ")
    for words in told:
        assert words in last


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "memory.momentun=0.2"], "did you mean momentum?"),
        (["--set", "memory.momentum"], "should read like memory.momentum=0.2"),
        (["--set", "optim.epochs=many"], "optim.epochs: "),
        (["--set", "clusterer.part=DBSCN"], "did you mean DBSCAN"),
        (["--set", "optim.epoch=3", "--set", "memry.update=hard"], "did you mean epochs?"),
        (["--set", "optim.epoch=3", "--set", "memry.update=hard"], "did you mean memory?"),
        (["--method", "cluster-contras"], "did you mean cluster-contrast or"),
        (["--for", "market"], "did you mean market1501"),
        (["--layout", "market"], "unknown layout 'market'"),
        (["--device", "gpu"], "device 'gpu'"),
        (["--device", "cuda:99"], "is not there"),
        (["--precision", "fp16"], "unknown precision 'fp16'"),
        (["--set", "encoder.backbone=resnt50"], "'resnt50' is unknown"),
        (["--backbone", "resnet18"], "encoder.backbone=test_resnet contradicts"),
        (["--set", "encoder.weights=nowhere.pth"], "no such file"),
        (["--recipe", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["--recipe", "."], "cannot read ."),
        (["--camera-pattern", "("], "is no regular expression"),
        (["--camera-pattern", "(?P<camera>zzz)"], "finds no camera in 72 of 72"),
        (["--seed", "-1"], "seed is -1"),
    ],
)
def test_train_refuses(
    crops: Path, tmp_path: Path, resight: Any, words: list[str], told: str
) -> None:
    run = tmp_path / "run"
    refused(resight("train", crops, "--out", run, *SHORT, *words), told)
    assert not run.exists()


def test_all_misspelt_settings_are_told_at_once(crops: Path, resight: Any) -> None:
    words = ["--set", "optim.epoch=3", "--set", "memry.update=hard", "--set", "encoder.pool=gem"]
    refused(resight("train", crops, *words), "optim.epoch:", "memry:", "encoder.pool:")


def test_an_unknown_option_is_refused(crops: Path, resight: Any) -> None:
    result = resight("train", crops, "--epoch", "3")
    assert result.code == 2
    assert "Traceback" not in result.err


def test_folders_that_hold_nothing(tmp_path: Path, resight: Any) -> None:
    refused(resight("train", tmp_path / "nothing"), "does not exist")
    refused(resight("train", tmp_path), "the folder is empty")
    refused(resight("data", "check", tmp_path), "the folder is empty")


def test_files_that_are_no_images(tmp_path: Path, resight: Any) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "1.jpg").write_bytes(b"no picture")
    refused(resight("train", tmp_path / "data"), "none of the 1 images can be read")


def test_one_image(tmp_path: Path, resight: Any) -> None:
    save(np.zeros((8, 4, 3)), tmp_path / "data" / "1_c1.png")
    result = resight("train", tmp_path / "data", "--out", tmp_path / "run", *SHORT)
    refused(result, "1 readable training crops")
    assert not (tmp_path / "run").exists()


def test_identical_images(tmp_path: Path, resight: Any) -> None:
    for number in range(9):
        save(np.zeros((8, 4, 3)), tmp_path / "data" / f"{number}_c1.png")
    result = resight("train", tmp_path / "data", "--out", tmp_path / "run", *SHORT)
    refused(result, "Nothing can be learned from these crops")


@pytest.mark.parametrize("command", ["resume", "evaluate", "report"])
def test_folders_that_are_no_runs(command: str, tmp_path: Path, resight: Any) -> None:
    refused(resight(command, tmp_path), "is not a run folder")
    refused(resight(command, tmp_path / "nothing"), "is not a run folder")


def test_a_run_that_exists(crops: Path, tmp_path: Path, resight: Any) -> None:
    run = tmp_path / "run"
    assert resight("train", crops, "--out", run, *SHORT).code == 0
    refused(resight("train", crops, "--out", run, *SHORT), "exists already")
    assert resight("resume", run).code == 0
    refused(resight("evaluate", run, "--protocol", "splitz"), "splitz")
    refused(resight("evaluate", run, "--ap", "trapez"), "trapez")
    refused(resight("evaluate", run, tmp_path / "nothing"), "does not exist")
    (run / "run.json").write_text("{")
    for command in ("resume", "evaluate"):
        refused(resight(command, run), "run.json is damaged")


def test_places_that_cannot_be_written(crops: Path, tmp_path: Path, resight: Any) -> None:
    (tmp_path / "file").write_text("")
    refused(resight("train", crops, "--out", tmp_path / "file", *SHORT), "is a file")
    refused(resight("train", crops, "--out", tmp_path / "file" / "run", *SHORT), "cannot write")


def fill_disk_at(place: str) -> Callable[..., None]:
    """An os.replace that finds the disk full when a file named like `place` arrives."""
    original = os.replace

    def replace(source: Any, target: Any) -> None:
        if place in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(source, target)

    return replace


@pytest.mark.parametrize("place", ["epoch_002.parquet", "checkpoint.pt", "model.safetensors"])
def test_a_full_disk_loses_nothing(
    place: str, crops: Path, tmp_path: Path, resight: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", fill_disk_at(place))
        refused(resight("train", crops, "--out", run, *options()), "No space left on device")
    assert not list(run.rglob("*.tmp"))
    assert resight("resume", run).code == 0
    assert len((run / "log.jsonl").read_text().splitlines()) == 2
    package.load(run)


def test_one_camera_trains(tmp_path: Path, resight: Any) -> None:
    data = draw(tmp_path / "data", cameras=1)
    out = resight("train", data, "--out", tmp_path / "run", *SHORT)
    assert out.code == 0
    assert "1 cameras" in out.err
