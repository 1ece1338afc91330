"""Thresholds of runs: from labelled crops, and from pseudo-labels where there are none."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from drawn import CAMERA, TINY, draw

import resight
from resight.data import ImageStore, read_crops
from resight.device import Device
from resight.errors import ConfigError, DataError, RunError
from resight.evaluation.calibration import calibrate as calibrate_features
from resight.evaluation.threshold import WEIGHTS, Threshold
from resight.files import digest_of
from resight.models import build_encoder, load, save
from resight.recipe import Recipe
from resight.training.extract import extract
from resight.training.feed import Feed
from resight.training.run_folder import RunFolder, RunSettings

LABELLED = r"(?P<identity>\d+)_c(?P<camera>\d)"


def make_run(path: Path, crops: Path, pattern: str, labels: Any = None) -> Path:
    """A run with a model, and pseudo-labels where given, without the training."""
    recipe = Recipe().override(TINY)
    settings = RunSettings(str(crops), str(crops), camera_pattern=pattern)
    folder = RunFolder.create(path, recipe, settings)
    save(build_encoder(recipe.encoder), path, size=recipe.size)
    if labels is not None:
        read = read_crops(crops, camera_pattern=pattern)
        folder.write_labels(0, read, np.full(len(read), -1), np.zeros(len(read), np.float32))
        folder.write_labels(1, read, labels, np.zeros(len(read), np.float32))
    return path


def embedded(run: Path, crops: Path) -> Any:
    """The features of all crops, as read with identities."""
    encoder, size = load(run)
    place = Device.choose("cpu", "auto")
    store = ImageStore.open(read_crops(crops, camera_pattern=LABELLED), size=size)
    return extract(encoder, Feed(store, place), store.crops, place)


def test_labelled_crops_of_the_run(crops: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", crops, LABELLED)
    found = resight.calibrate(run, far=0.1, device="cpu")
    features = embedded(run, crops)
    known = features.crops
    expected = calibrate_features(features.vectors, known.identities, known.cameras, far=0.1)
    assert found.similarity == expected.similarity
    assert found.false_accept == expected.false_accept
    assert (found.source, found.cross_camera, found.crops) == ("identities", True, 72)
    assert Threshold.read(run) == found
    assert "trained on" in found.notes[0]


def test_a_threshold_belongs_to_the_weights(crops: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", crops, LABELLED)
    found = resight.calibrate(run, far=0.1)
    assert found.weights == digest_of(run / WEIGHTS)
    assert Threshold.read(run) == found
    recipe = Recipe().override(TINY)
    save(build_encoder(recipe.encoder, seed=7), run, size=recipe.size)
    assert "calibrated with other weights" in Threshold.read(run).notes[-1]
    assert Threshold.read(run).weights != digest_of(run / WEIGHTS)
    again = resight.calibrate(run, far=0.1)
    assert Threshold.read(run) == again
    assert "calibrated with other weights" not in " ".join(again.notes)


def test_other_damaged_files_of_the_run_do_not_matter(crops: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", crops, CAMERA, np.arange(72) // 6)
    expected = resight.calibrate(run, far=0.1)
    for name in ("threshold.json", "evaluation.json"):
        (run / name).write_text("{")
    assert resight.calibrate(run, far=0.1) == expected
    assert resight.evaluate(run)["map"]


def test_other_labelled_crops(crops: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", crops, CAMERA)
    other = shutil.copytree(crops, tmp_path / "other")
    found = resight.calibrate(run, other, far=0.1, camera_pattern=LABELLED)
    assert (found.source, found.notes) == ("identities", ())
    same = resight.calibrate(run, crops, far=0.1, camera_pattern=LABELLED)
    assert "trained on" in same.notes[0]
    with pytest.raises(DataError, match="have no identities: give identities"):
        resight.calibrate(run, crops, far=0.1, camera_pattern=CAMERA)


def test_held_out_crops_where_there_are_any(tmp_path: Path) -> None:
    root = draw(tmp_path / "town", identities=9)
    rows = [
        f"{file.name},{file.name[:4]},{file.name[6]},{'train' if file.name < '0004' else 'query'}"
        for file in sorted(root.iterdir())
    ]
    (root / "town.csv").write_text("\n".join(["path,identity,camera,split", *rows]) + "\n")
    run = make_run(tmp_path / "run", root / "town.csv", CAMERA)
    settings = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**settings, "camera_pattern": None}))
    found = resight.calibrate(run, far=0.2)
    assert (found.crops, found.identities, found.notes) == (36, 6, ())


def test_pseudo_labels_stand_in_and_are_called_optimistic(
    crops: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = np.arange(72) // 6
    labels[:3] = -1
    run = make_run(tmp_path / "run", crops, CAMERA, np.where(labels > 9, -1, labels))
    found = resight.calibrate(run, far=0.1)
    features = embedded(run, crops)
    identities = np.where((labels >= 0) & (labels <= 9), labels + 1, -1)
    expected = calibrate_features(features.vectors, identities, features.crops.cameras, far=0.1)
    assert found.similarity == expected.similarity
    assert found.false_reject == expected.false_reject
    assert (found.source, found.crops, found.identities) == ("pseudo-labels", 57, 10)
    assert found.notes[0].startswith("the last epoch's: calibrated on pseudo-labels")
    assert found.notes[0] in caplog.text


def test_crops_that_the_labels_do_not_hold_take_no_part(crops: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", crops, CAMERA, np.arange(72) // 6)
    file = run / "labels" / "epoch_002.parquet"
    pq.write_table(pq.read_table(file).slice(12), file)
    assert resight.calibrate(run, far=0.1).crops == 60


def test_what_cannot_be_calibrated_is_told(crops: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", crops, CAMERA)
    with pytest.raises(DataError, match="the run has no pseudo-labels"):
        resight.calibrate(run)
    with pytest.raises(ConfigError, match="far is 2"):
        resight.calibrate(run, far=2)
    labelled = make_run(tmp_path / "labelled", crops, LABELLED)
    with pytest.raises(ConfigError, match="needs 30,000 impostor pairs, these crops have 1,188"):
        resight.calibrate(labelled)
    with pytest.raises(RunError, match="not a run folder"):
        resight.calibrate(tmp_path)
    assert not (labelled / "threshold.json").exists()


def test_the_command_prints_the_threshold(crops: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from resight.cli import app

    run = make_run(tmp_path / "run", crops, LABELLED)
    shown = CliRunner().invoke(app, ["calibrate", str(run), "--far", "0.1"])
    assert shown.exit_code == 0
    found = Threshold.read(run)
    assert f"{found.distance:.5f}" in shown.output
    assert f"of {found.false_accept.pairs:,} pairs" in shown.output
    assert f"{run}/threshold.json" in shown.output.replace("\n", "")
