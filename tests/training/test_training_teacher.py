"""Two stages: a teacher that is trained first, and the student that it guides."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import CAMERA, TINY
from interrupted import Stop, assert_equal_runs, stop_after
from safetensors.torch import load_file

import resight
from resight.errors import ConfigError, RunError
from resight.models import Encoder, EncoderSpec, build_encoder, load
from resight.recipe import Teacher
from resight.training.extract import extract
from resight.training.teacher import embed, follow

LOSSES = [{"part": "ClusterNCE"}, {"part": "Distillation"}]
GUIDED = TINY | {"losses": LOSSES, "teacher": {"epochs": 1}, "optim.iterations": 2}
SPEC = EncoderSpec("test_resnet", weights="none", last_stride=2, mirror=True)


def train(data: Path, out: Path, settings: dict[str, Any] = GUIDED) -> Path:
    return resight.train(data, out=out, settings=settings, camera_pattern=CAMERA, evaluate_every=0)


@pytest.fixture(scope="module")
def whole(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(crops, tmp_path_factory.mktemp("guided") / "run")


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_both_stages_are_whole_runs(whole: Path) -> None:
    assert [record["title"] for record in log_of(whole / "teacher")] == ["epoch 1/1"]
    assert [record["title"] for record in log_of(whole)] == ["warm-up", "epoch 1/2", "epoch 2/2"]
    for run in (whole, whole / "teacher"):
        assert (run / "report.html").exists()
        resight.load(run)
    assert resight.Recipe.read(whole / "teacher" / "recipe.yaml").teacher is None


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("warm-up", ["teacher", "student", "student"]),
        ("always", ["teacher", "teacher", "student", "teacher", "student"]),
    ],
)
def test_whose_features_are_clustered(
    labels: str,
    expected: list[str],
    crops: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    told = load(whole / "teacher")[0].neck.running_mean

    def spied(encoder: Encoder, *args: Any, rows: Any, **options: Any) -> Any:
        asked.append("teacher" if torch.equal(encoder.neck.running_mean, told) else "student")
        return extract(encoder, *args, rows=rows, **options)

    monkeypatch.setattr("resight.training.epoch.extract", spied)
    teacher = {"run": str(whole / "teacher"), "labels": labels}
    train(crops, tmp_path / "run", GUIDED | {"teacher": teacher})
    assert asked == expected


@pytest.mark.parametrize("writes", [5, 9, 12, 14, 16, 20, 24])
def test_stopped_between_and_within_the_stages(
    writes: int, crops: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", stop_after(writes, os.replace))
        with pytest.raises(Stop):
            train(crops, tmp_path / "run")
    resumed = resight.resume(tmp_path / "run")
    assert_equal_runs(resumed, whole)
    assert_equal_runs(resumed / "teacher", whole / "teacher")


def test_a_report_on_half_a_teacher_does_not_finish_it(
    crops: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = GUIDED | {"teacher": {}}
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", stop_after(10, os.replace))
        with pytest.raises(Stop):
            train(crops, tmp_path / "run", settings)
    teacher = tmp_path / "run" / "teacher"
    assert len(log_of(teacher)) == 1
    resight.evaluate(teacher)
    resight.report(teacher)
    resight.resume(tmp_path / "run")
    assert len(log_of(teacher)) == 2


def test_a_teacher_that_follows_is_resumed_too(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = {"epochs": 0, "momentum": 0.5, "warm_up": 0.0}
    settings = GUIDED | {"teacher": teacher, "optim.epochs": 3}
    whole = train(crops, tmp_path / "whole", settings)
    assert not (whole / "teacher").exists()
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", stop_after(9, os.replace))
        with pytest.raises(Stop):
            train(crops, tmp_path / "run", settings)
    assert 1 <= len(log_of(tmp_path / "run")) < 3
    assert_equal_runs(resight.resume(tmp_path / "run"), whole)


def test_a_finished_run_can_teach(crops: Path, whole: Path, tmp_path: Path) -> None:
    run = train(crops, tmp_path / "run", GUIDED | {"teacher": {"run": str(whole / "teacher")}})
    assert not (run / "teacher").exists()
    ours, theirs = load_file(run / "model.safetensors"), load_file(whole / "model.safetensors")
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        (
            {"encoder.pooling": "avg"},
            ConfigError,
            r"another encoder \(.*pooling gem.*\) than the recipe's \(.*pooling avg",
        ),
        ({"size": [96, 48]}, ConfigError, r"size \(64, 32\).*size \(96, 48\)"),
        ({"teacher": {"run": "nowhere"}}, RunError, "nowhere holds no trained model"),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused_first(
    settings: dict[str, Any],
    error: type[Exception],
    told: str,
    crops: Path,
    whole: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=told):
        train(crops, tmp_path / "run", GUIDED | {"teacher": {"run": str(whole)}} | settings)
    assert not (tmp_path / "run").exists()


def test_what_an_encoder_cannot_do_is_told_before_the_teacher_is_trained(
    crops: Path, tmp_path: Path
) -> None:
    losses = LOSSES + [{"part": "ClusterNCE", "view": f"part{i}"} for i in (1, 2, 3)]
    with pytest.raises(ConfigError, match="needs a feature map of at least 3 rows"):
        train(crops, tmp_path / "run", GUIDED | {"encoder.parts": 3, "losses": losses})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("bn", ["batch", "running"])
def test_a_teacher_tells_without_changing(bn: Any) -> None:
    teacher = build_encoder(SPEC)
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    images = torch.rand(4, 3, 64, 32)
    told = embed(teacher, images, Teacher(bn=bn))["global"]
    assert not told.requires_grad
    assert all(torch.equal(before[key], value) for key, value in teacher.state_dict().items())
    teacher.train(bn == "batch")
    torch.testing.assert_close(told, teacher.embed(images)["global"].detach())


def test_following_moves_parameters_and_statistics() -> None:
    teacher, student = build_encoder(SPEC, seed=0), build_encoder(SPEC, seed=1)
    student(torch.rand(4, 3, 64, 32))
    pairs = zip(teacher.state_dict().items(), student.state_dict().values(), strict=True)
    expected = {
        key: 0.9 * own + 0.1 * other if own.is_floating_point() else own.clone()
        for (key, own), other in pairs
    }
    follow(teacher, student, momentum=0.9)
    for key, value in teacher.state_dict().items():
        torch.testing.assert_close(value, expected[key])
