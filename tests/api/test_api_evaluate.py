"""evaluate, report and the package's names."""

import importlib
import json
from pathlib import Path

import pytest
from drawn import CAMERA, TINY

import resight
from resight.errors import ConfigError, RunError


@pytest.fixture(scope="module")
def run(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("api") / "run"
    settings = TINY | {"optim.epochs": 1}
    return resight.train(crops, out=out, settings=settings, camera_pattern=CAMERA)


def test_every_public_name_exists() -> None:
    assert sorted(resight.__all__, key=str.lower) == sorted(resight._HOMES, key=str.lower)
    for name, module in resight._HOMES.items():
        assert getattr(resight, name) is getattr(importlib.import_module(module), name)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = resight.trian


def test_without_out_a_free_name_is_found(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = TINY | {"optim.epochs": 1}
    runs = [resight.train(crops, settings=settings, camera_pattern=CAMERA) for _ in range(2)]
    assert [str(r) for r in runs] == ["runs/town-camera-contrast", "runs/town-camera-contrast-2"]


def test_labels_known_from_the_names_are_judged(run: Path, crops: Path) -> None:
    pattern = r"(?P<identity>\d+)_c(?P<camera>\d)"
    found = resight.evaluate(run, crops, camera_pattern=pattern, baselines=True)
    assert 0 < found["figures"]["mAP"] <= 100
    names = [row["name"] for row in found["comparison"]]
    assert names == ["colour histograms", "untrained", "trained without labels"]
    assert json.loads((run / "evaluation-town.json").read_text())["protocol"] == found["protocol"]


def test_without_labels_the_figures_need_none(run: Path) -> None:
    assert resight.evaluate(run)["protocol"] == "label-free"


def test_a_protocol_that_needs_labels_says_so(run: Path) -> None:
    with pytest.raises(resight.ResightError, match="identit"):
        resight.evaluate(run, protocol="cross-camera")
    with pytest.raises(ConfigError, match="protocol"):
        resight.evaluate(run, protocol="cross-camra")


def test_a_run_without_a_finished_epoch_has_no_model(run: Path, tmp_path: Path) -> None:
    for name in ("run.json", "recipe.yaml"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    with pytest.raises(RunError, match="no trained model"):
        resight.evaluate(tmp_path)


def test_the_same_seed_gives_the_same_run(crops: Path, tmp_path: Path) -> None:
    def loss(seed: int, name: str) -> float:
        settings = TINY | {"optim.epochs": 1}
        out = resight.train(
            crops, out=tmp_path / name, settings=settings, camera_pattern=CAMERA, seed=seed
        )
        return float(json.loads((out / "log.jsonl").read_text())["loss"])

    assert loss(1, "a") == loss(1, "b") != loss(2, "c")
