"""`resight evaluate`: protocols, their options, and what is printed and written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from drawn import TINY
from drawn import save as save_picture

import resight as package
from resight.api.evaluating import protocols
from resight.errors import ConfigError
from resight.evaluation import PROTOCOLS
from resight.models import build_encoder, save
from resight.recipe import Recipe
from resight.training.run_folder import RunFolder, RunSettings

LABELLED = r"(?P<identity>\d+)_c(?P<camera>\d)s1_(?P<time>\d+)"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a model, without the training, on twelve individuals that are hard to tell."""
    place = tmp_path_factory.mktemp("evaluate")
    path, crops = place / "run", place / "crops"
    rng = np.random.default_rng(0)
    for identity in range(12):
        pattern = rng.integers(0, 256, (8, 4, 3))
        for shot in range(6):
            name = f"{identity + 1:04d}_c{shot // 3 + 1}s1_{shot % 3:06d}.png"
            save_picture(pattern + rng.normal(0, 250, pattern.shape), crops / name)
    recipe = Recipe().override(TINY)
    RunFolder.create(path, recipe, RunSettings(str(crops), str(crops), camera_pattern=LABELLED))
    save(build_encoder(recipe.encoder), path, size=recipe.size)
    return path


def evaluated(run: Path, name: str = "evaluation") -> dict[str, Any]:
    return dict(json.loads((run / f"{name}.json").read_text()))


def test_protocols_are_listed_with_a_line_and_their_options(resight: Any) -> None:
    result = resight("evaluate", "--protocols")
    assert result.code == 0
    told = " ".join(result.out.split())
    for name, listed in protocols().items():
        assert name in told
        assert len(listed.line) <= 100
    assert "--within" in told
    assert protocols() is PROTOCOLS


def test_figures_come_with_intervals_and_both_rules(run: Path, resight: Any) -> None:
    result = resight("evaluate", run)
    assert result.code == 0
    assert "mAP_market" in result.out
    assert "95% interval" in result.out
    found = evaluated(run)
    assert set(found["intervals"]) == set(found["figures"])
    for name, (low, high) in found["intervals"].items():
        assert low <= found["figures"][name] <= high


def test_each_counted_query_has_a_row(run: Path) -> None:
    found = package.evaluate(run)
    rows = pq.read_table(run / "evaluation.parquet").to_pydict()
    assert len(rows["path"]) == found["queries"] == len(set(rows["path"]))
    for name, column in (("mAP", "ap_step"), ("mAP_market", "ap_market"), ("mINP", "inp")):
        assert found["figures"][name] == pytest.approx(100 * np.mean(rows[column]))
    assert found["figures"]["rank1"] == pytest.approx(100 * np.mean(np.array(rows["first"]) == 1))
    for path, identity, camera in zip(rows["path"], rows["identity"], rows["camera"], strict=True):
        assert Path(path).name.startswith(f"{identity}_c{camera}")


def test_a_protocol_without_results_per_query_leaves_no_rows(run: Path) -> None:
    package.evaluate(run)
    found = package.evaluate(run, protocol="camera-pairs")
    assert not (run / "evaluation.parquet").exists()
    assert "intervals" not in found
    assert found["ranked_lists"]


def test_options_reach_the_protocol(run: Path, resight: Any) -> None:
    result = resight("evaluate", run, "--protocol", "time-excluded", "--within", 1)
    assert result.code == 0
    assert "answers within 1 s of the query in its own camera removed" in result.err
    near = package.evaluate(run, protocol="time-excluded", within=1.0)["figures"]
    assert near == evaluated(run)["figures"]
    assert near != package.evaluate(run, protocol="time-excluded")["figures"]
    result = resight("evaluate", run, "--protocol", "open-set", "--far", 0.2, "--seed", 3)
    assert result.code == 0
    assert "DIR@0.2" in result.out
    assert "(50%, seed 3) are left out of the gallery" in result.err
    assert len(evaluated(run)["curves"]["FAR"]) > 2
    drawn = package.evaluate(run, protocol="cuhk03-classic", trials=2)
    assert "12 identities, mean over 2 random galleries, seed 0" in drawn["notes"]


def test_an_option_of_another_protocol_is_a_mistake(run: Path, resight: Any) -> None:
    result = resight("evaluate", run, "--protocol", "all", "--within", 5)
    assert result.code == 2
    assert "'all' does not use within" in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("option", "file", "called"),
    [
        (["--rerank"], "evaluation-reranked", "re-ranked, k1 20, k2 6, lambda 0.3"),
        (["--expand", 3], "evaluation-expanded", "queries expanded by 3 answers"),
    ],
)
def test_other_scores_are_always_named(
    run: Path, resight: Any, option: list[Any], file: str, called: str
) -> None:
    plain = package.evaluate(run)
    result = resight("evaluate", run, *option, "--baselines")
    assert result.code == 0
    assert f"cross-camera, {called}\n" in result.out
    found = evaluated(run, file)
    assert found["scores"] == found["notes"][0] == called
    assert all(row["name"].endswith(called) for row in found["comparison"])
    assert found["figures"] != plain["figures"]
    assert (run / f"{file}.parquet").exists()
    assert evaluated(run)["figures"] == plain["figures"]
    assert "scores" not in plain


def test_choices_that_exclude_each_other(run: Path) -> None:
    with pytest.raises(ConfigError, match="alternatives"):
        package.evaluate(run, rerank=True, expand=3)
    with pytest.raises(ConfigError, match="ranks nothing"):
        package.evaluate(run, protocol="label-free", rerank=True)
    with pytest.raises(ConfigError, match="expand is 0"):
        package.evaluate(run, expand=0)
