"""`resight export` and `resight.export` on a run that was trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import Run
from drawn import CAMERA, TINY

import resight as package
from resight.api.exporting import _cameras
from resight.errors import RunError
from resight.reporting.run_files import EpochLabels


@pytest.fixture(scope="module")
def run(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    return package.train(crops, out=out, camera_pattern=CAMERA, settings=TINY)


def test_a_run_is_exported_with_its_card(run: Path, crops: Path) -> None:
    done = package.export(run, "torchscript")
    assert done.folder == run / "export" / "torchscript-plain"
    card = (done.folder / "README.md").read_text()
    assert f"Crops of `{crops.name}`, used without labels. Crops in the last epoch: 72." in card
    assert "Cameras: 2." in card
    assert not any(str(part) in card for part in (run.parent, crops.parent, Path.home()))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 32, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        package.load(done.folder).embed_pixels(pixels),
        package.load(run, precision="float32").embed_pixels(pixels),
        atol=1e-5,
    )


def test_the_command_tells_the_difference_and_the_file(
    resight: Run, run: Path, tmp_path: Path
) -> None:
    result = resight("export", run, "--to", "safetensors", "--out", tmp_path / "out")
    assert result.code == 0
    assert result.out == (
        f"largest difference from PyTorch: 0.0e+00\n{tmp_path / 'out' / 'model.safetensors'}\n"
    )


def test_a_threshold_goes_along_when_it_is_of_these_weights(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    threshold = package.calibrate(run, far=0.1)
    copied = tmp_path / "out" / "threshold.json"
    package.export(run, "safetensors", out=copied.parent)
    assert copied.read_bytes() == (run / copied.name).read_bytes()
    card = (copied.parent / "README.md").read_text()
    assert f"from a similarity of {threshold.similarity:.4f} on" in card
    assert all(f"- {note}" in card for note in threshold.notes)
    replace(threshold, weights="00").write(run / copied.name)
    caplog.clear()
    package.export(run, "safetensors", out=copied.parent)
    (run / copied.name).unlink()
    assert not copied.exists()
    assert "No threshold was calibrated for these" in (copied.parent / "README.md").read_text()
    stale, left_out = (record.message for record in caplog.records)
    assert "threshold.json was calibrated with other weights" in stale
    assert left_out == f"{run / copied.name} is left out of the export"


def test_crops_of_unknown_camera_are_no_camera() -> None:
    table = pa.table({"path": ["a", "b", "c"], "label": [0, 0, 1], "camera": ["1", None, "2"]})
    assert _cameras(EpochLabels(1, table)) == 2


def test_mistakes_end_in_a_sentence(resight: Run, run: Path) -> None:
    result = resight("export", run, "--preset", "deepsort")
    assert result.code == 2
    assert result.err == (
        "resight: preset 'deepsort' is unknown: use one of plain, boxmot, ultralytics\n"
    )


def test_the_function_keeps_its_name(run: Path, tmp_path: Path) -> None:
    for _ in range(2):  # importing a package of its name would hide it
        assert package.export(run, "safetensors", out=tmp_path / "out").difference == 0


def test_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run folder \(it has no run\.json\)"):
        package.export(tmp_path)
