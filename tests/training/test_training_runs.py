"""Whole runs, tiny: what they write, and every part that a recipe can name."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from drawn import CAMERA, TINY, save

import resight
from resight.errors import ConfigError, DataError, NothingToLearnError, ResightError, RunError


def train(data: Path, out: Path, *, cameras: bool = True, **options: Any) -> Path:
    settings = TINY | options.pop("settings", {})
    pattern = CAMERA if cameras else None
    return resight.train(data, out=out, settings=settings, camera_pattern=pattern, **options)


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_a_run_without_labels_holds_everything(crops: Path, tmp_path: Path) -> None:
    run = train(crops, tmp_path / "run")
    assert [record["epoch"] for record in log_of(run)] == [1, 2]
    assert {"loss", "lr", "seconds", "clusters", "outliers", "silhouette"} <= log_of(run)[0].keys()
    assert json.loads((run / "evaluation.json").read_text())["protocol"] == "label-free"
    report = (run / "report.html").read_text()
    assert "<html" in report
    assert "Logged as" not in report, "a figure of the log has no description"
    assert "clusters on the map" in report
    assert resight.Recipe.read(run / "recipe.yaml").optim.epochs == 2
    table = pq.read_table(run / "labels" / "epoch_002.parquet")
    assert table.column_names == ["path", "label", "silhouette", "camera"]
    assert table.num_rows == 72
    assert set(table["camera"].to_pylist()) == {"1", "2"}
    assert not list(run.rglob("*.tmp"))


def test_the_log_lines_are_valid_json_without_nan(crops: Path, tmp_path: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    settings = {"clusterer": {"part": "DBSCAN", "eps": 0.01}, "optim.epochs": 1}
    run = train(crops, tmp_path / "run", settings=settings)
    json.loads((run / "log.jsonl").read_text(), parse_constant=refuse)
    json.loads((run / "evaluation.json").read_text(), parse_constant=refuse)


def test_without_cameras_the_run_says_so(
    crops: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "resight")
    run = train(crops, tmp_path / "run", cameras=False, settings={"optim.epochs": 1})
    assert "no camera knowledge" in caplog.text
    assert "camera_entropy" not in log_of(run)[0]
    assert pq.read_table(run / "labels" / "epoch_001.parquet").column_names == [
        "path",
        "label",
        "silhouette",
    ]


@pytest.mark.parametrize(
    "settings",
    [
        *({"memory.update": u} for u in ("vanilla", "average", "random", "easy", "hard")),
        {"memory.init": "random"},
        {"memory": {"part": "InstanceMemory"}},
        {"graph.colour": 0.0, "graph.centre_cameras": True},
        {"clusterer": {"part": "AutoDBSCAN"}},
        {"optim.iterations": 0},
    ],
    ids=str,
)
def test_parts_train_an_epoch(crops: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    run = train(crops, tmp_path / "run", settings=settings | {"optim.epochs": 1})
    assert math.isfinite(log_of(run)[0]["loss"])


def test_sample_fraction_trains_on_a_new_share_each_epoch(crops: Path, tmp_path: Path) -> None:
    run = train(crops, tmp_path / "run", settings={"sample_fraction": 0.5})
    files = sorted((run / "labels").iterdir())
    inside = [pq.read_table(f)["label"].to_numpy() >= 0 for f in files]
    assert all(0 < np.count_nonzero(rows) <= 36 for rows in inside)
    assert not np.array_equal(*inside)


def test_bf16_trains(crops: Path, tmp_path: Path) -> None:
    run = train(crops, tmp_path / "run", precision="bf16", settings={"optim.epochs": 1})
    assert math.isfinite(log_of(run)[0]["loss"])


def test_true_labels_are_the_clusters(crops: Path, tmp_path: Path) -> None:
    table = tmp_path / "crops.csv"
    paths = sorted(crops.iterdir())
    rows = [f"{path},{path.name[:4]},{path.name[6]}" for path in paths]
    table.write_text("\n".join(["path,identity,camera", *rows]) + "\n")
    settings = TINY | {"clusterer": {"part": "TrueLabels"}, "optim.epochs": 1}
    run = resight.train(table, out=tmp_path / "run", settings=settings)
    assert log_of(run)[0]["clusters"] == 12
    assert log_of(run)[0]["against_identities"]["ari"] == 1


def test_true_labels_need_identities(crops: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TrueLabels needs crops with identities"):
        train(crops, tmp_path / "run", settings={"clusterer": {"part": "TrueLabels"}})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("eps", "k1", "problem"),
    [(0.0, 6, "no cluster"), (0.99, 30, "one cluster")],
)
def test_clustering_that_goes_wrong_is_rescued_and_logged(
    crops: Path, tmp_path: Path, eps: float, k1: int, problem: str
) -> None:
    settings = {"clusterer": {"part": "DBSCAN", "eps": eps}, "graph.k1": k1}
    log = log_of(train(crops, tmp_path / "run", settings=settings))
    assert len(log) == 2
    for record in log:
        assert record["clusters"] > 1
        assert record["rescue"].startswith(problem)
        assert "for this epoch" in record["rescue"]
        assert "nine tenths within" in record["rescue"]


@pytest.mark.parametrize("clusterer", [{"part": "DBSCAN", "eps": 0.5}, {"part": "AutoDBSCAN"}])
def test_identical_images_end_in_advice(tmp_path: Path, clusterer: dict[str, Any]) -> None:
    for number in range(12):
        save(np.full((8, 4, 3), 90), tmp_path / "same" / f"{number}_c1.png")
    with pytest.raises(NothingToLearnError, match=r"clustering failed.*nearest other.*data check"):
        train(tmp_path / "same", tmp_path / "run", settings={"clusterer": clusterer})


def test_one_image_is_not_enough(tmp_path: Path) -> None:
    save(np.full((8, 4, 3), 90), tmp_path / "one" / "1_c1.png")
    with pytest.raises(DataError, match="1 readable training crops: at least 2"):
        train(tmp_path / "one", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_diverging_loss_keeps_the_finished_epochs(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resight.losses import ClusterNCE

    monkeypatch.setattr(ClusterNCE, "__call__", _nan_in_later_calls(ClusterNCE.__call__, after=3))
    with pytest.raises(ResightError, match=r"loss became nan in epoch 2/2: lower optim\.lr"):
        train(crops, tmp_path / "run")
    assert len(log_of(tmp_path / "run")) == 1
    resight.load(tmp_path / "run")


def _nan_in_later_calls(original: Any, *, after: int) -> Any:
    calls: list[None] = []

    def changed(self: Any, step: Any, targets: Any) -> Any:
        calls.append(None)
        return original(self, step, targets) * (math.nan if len(calls) > after else 1)

    return changed


def test_mistakes_leave_no_folder_in_the_way(crops: Path, tmp_path: Path) -> None:
    for wrong in ({"encoder.backbone": "resnt18"}, {"encoder.weights": "nowhere.pth"}):
        with pytest.raises(ConfigError):
            train(crops, tmp_path / "run", settings=wrong)
    for wrong in ({"device": "gpu"}, {"precision": "fp16"}, {"seed": -1}):
        with pytest.raises(ConfigError):
            train(crops, tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def test_an_existing_run_is_not_touched(crops: Path, tmp_path: Path) -> None:
    run = train(crops, tmp_path / "run", settings={"optim.epochs": 1})
    before = {f: f.read_bytes() for f in run.rglob("*") if f.is_file()}
    with pytest.raises(RunError, match="exists already: continue it with `resight resume"):
        train(crops, run)
    assert before == {f: f.read_bytes() for f in run.rglob("*") if f.is_file()}


def test_a_folder_with_other_files_is_no_place_for_a_run(crops: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(RunError, match="holds other files"):
        train(crops, tmp_path)


def test_a_start_that_was_cut_short_is_in_nobodys_way(crops: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text("name: old")
    run = train(crops, tmp_path / "run", settings={"optim.epochs": 1})
    assert len(log_of(run)) == 1


def test_the_recipes_needs_are_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        train(tmp_path / "nothing", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_size_that_a_transformer_cannot_take_is_told_first(crops: Path, tmp_path: Path) -> None:
    vit = {"encoder.backbone": "vit_small", "encoder.pooling": "token", "size": [72, 32]}
    told = r"'vit_small' takes no images of 72 x 32 \(.*72.*divisible by .*\): set another size"
    with pytest.raises(ConfigError, match=told):
        train(crops, tmp_path / "run", settings=vit)
    assert not (tmp_path / "run").exists()


def test_training_compares_the_feature_that_it_trains(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the encoder is tested with the feature before its neck."""
    from resight.models import Encoder
    from resight.training import epoch

    asked = []

    def spied(encoder: Encoder, *args: Any, **options: Any) -> Any:
        features = extract(encoder, *args, **options)
        neck = encoder.eval()
        images = neck.normalise(args[0].take(torch.arange(2)))
        with torch.inference_mode():
            asked.append((features.vectors[:2], neck.embed(images)["global"].numpy()))
        return features

    extract = epoch.extract
    monkeypatch.setattr(epoch, "extract", spied)
    settings = {"encoder.embedding": "pooled", "encoder.mirror": False, "optim.epochs": 1}
    train(crops, tmp_path / "run", settings=settings, precision="float32")
    found, expected = asked[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_figures_of_a_sampled_epoch_are_about_its_crops(crops: Path, tmp_path: Path) -> None:
    whole = log_of(train(crops, tmp_path / "whole"))
    half = log_of(train(crops, tmp_path / "half", settings={"sample_fraction": 0.5}))
    assert [record["crops"] for record in whole] == [72, 72]
    assert [record["crops"] for record in half] == [36, 36]
    assert all(record["outliers"] <= 36 for record in half)
    assert half[1]["outlier_share"] == half[1]["outliers"] / 36
    assert math.isfinite(half[1]["agreement"])


def test_memory_that_runs_out_is_one_sentence(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate")

    monkeypatch.setattr("resight.training.batches.train_step", full)
    with pytest.raises(ResightError, match=r"too little memory for batches of 4 crops: lower"):
        train(crops, tmp_path / "run")
