"""`resight evaluate --fuse`."""

import json
from pathlib import Path
from typing import Any

import pytest
from drawn import TINY

import resight as package
from resight.models import build_encoder, save
from resight.recipe import Recipe
from resight.training.run_folder import RunFolder, RunSettings

LABELLED = r"(?P<identity>\d+)_c(?P<camera>\d)"


def make_run(path: Path, crops: Path, parts: int) -> Path:
    """A run with a model, without the training."""
    recipe = Recipe().override(TINY | {"encoder.parts": parts})
    settings = RunSettings(str(crops), str(crops), camera_pattern=LABELLED)
    RunFolder.create(path, recipe, settings)
    save(build_encoder(recipe.encoder), path, size=recipe.size)
    return path


@pytest.fixture(scope="module")
def parted(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("parted") / "run", crops, 2)


def figures(run: Path, crops: Path, **options: Any) -> dict[str, Any]:
    return package.evaluate(run, crops, camera_pattern=LABELLED, **options)


def test_a_fused_result_says_so(parted: Path, crops: Path, resight: Any) -> None:
    result = resight("evaluate", parted, crops, "--camera-pattern", LABELLED, "--fuse", 0.15)
    assert result.code == 0
    assert "fused 0.15" in result.out
    saved = json.loads((parted / "evaluation-town-fused.json").read_text())
    assert saved["fuse"] == 0.15
    told = "distances are fused, the weights of the views are global 0.7, part1 0.15, part2 0.15"
    assert saved["notes"][0] == told
    assert "global 0.7, part1 0.15" in " ".join(result.err.split())


def test_only_the_fused_result_differs_from_the_plain_one(parted: Path, crops: Path) -> None:
    plain, none, half = (figures(parted, crops, fuse=fuse) for fuse in (None, 0.0, 0.5))
    assert "fuse" not in plain
    assert not any("fused" in note for note in plain["notes"])
    assert none["figures"] == plain["figures"]
    assert none["ranked_lists"] == plain["ranked_lists"] != half["ranked_lists"]


def test_networks_are_compared_by_the_same_distances(parted: Path, crops: Path) -> None:
    """The run is untrained, so that both rows are the same network."""
    found = figures(parted, crops, fuse=0.3, baselines=True)
    rows = {row["name"]: row["figures"] for row in found["comparison"]}
    assert [*rows] == [
        "colour histograms",
        "untrained, fused 0.3",
        "trained without labels, fused 0.3",
    ]
    assert rows["untrained, fused 0.3"] == rows["trained without labels, fused 0.3"]


def test_what_cannot_be_fused_is_told(
    parted: Path, crops: Path, tmp_path: Path, resight: Any
) -> None:
    whole = make_run(tmp_path / "run", crops, 0)
    for run, fuse, told in (
        (whole, 0.15, "fuse=0.15 needs a model with parts"),
        (parted, 0.6, "fuse=0.6 should be between 0 and 0.5"),
        (parted, -1, "fuse=-1 should be between 0 and 0.5"),
    ):
        result = resight("evaluate", run, "--fuse", fuse)
        assert result.code == 2
        assert told in " ".join(result.err.split())
        assert "Traceback" not in result.err
