"""Runs compared: differences, their intervals, differing settings, and what cannot be compared."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn import TINY, draw

import resight
from resight.errors import ConfigError, RunError
from resight.evaluation.bootstrap import paired
from resight.evaluation.ranking import Ranking
from resight.models import build_encoder, save
from resight.recipe import Recipe
from resight.training.run_folder import RunFolder, RunSettings

QUERIES = 90
IDENTITIES = np.random.default_rng(0).integers(1, 14, QUERIES)
CROPS = {"count": 300, "digest": "0a"}


def columns(seed: int) -> dict[str, Any]:
    """What `resight evaluate` keeps of each query."""
    rng = np.random.default_rng(seed)
    return {
        "path": [f"{i:04d}.jpg" for i in range(QUERIES)],
        "identity": [f"person {i:02d}" for i in IDENTITIES],
        "camera": [f"c{i % 3}" for i in range(QUERIES)],
        "gallery_camera": pa.array([None] * QUERIES, pa.string()),
        "ap_step": rng.random(QUERIES),
        "ap_market": rng.random(QUERIES),
        "inp": rng.random(QUERIES),
        "first": rng.integers(1, 4, QUERIES),
    }


def ranking(table: dict[str, Any], rule: str = "step") -> Ranking:
    values = [table[name] for name in ("ap_step", "ap_market", "inp")]
    return Ranking(*values, first=table["first"], searched=table["first"] > 0, rule=rule)


def make_run(
    path: Path,
    table: dict[str, Any] | None,
    *,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    **about: Any,
) -> Path:
    """A run with an evaluation, without training or evaluating anything."""
    recipe = Recipe().override(TINY | (settings or {}))
    folder = RunFolder.create(path, recipe, RunSettings("town", "town", seed=seed))
    told = {"protocol": "market1501", "ap": "step", "options": {}, "crops": CROPS}
    folder.write_json("evaluation.json", {**told, **about})
    if table is not None:
        pq.write_table(pa.table(table), path / "evaluation.parquet")
    return path


@pytest.mark.parametrize("rule", ["step", "market"])
def test_differences_are_those_of_the_paired_bootstrap(tmp_path: Path, rule: str) -> None:
    tables = [columns(seed) for seed in range(3)]
    runs = [make_run(tmp_path / str(i), table, ap=rule) for i, table in enumerate(tables)]
    found = resight.compare(runs, level=0.9, samples=200, seed=3)
    rankings = [ranking(table, rule) for table in tables]
    assert (found.protocol, found.ap, found.level) == ("market1501", rule, 0.9)
    assert (found.queries, found.identities) == (QUERIES, len(np.unique(IDENTITIES)))
    assert [one.run for one in found.runs] == [str(path) for path in runs]
    assert found.runs[0].differences == {}
    for one, mine in zip(found.runs, rankings, strict=True):
        every = mine.figures()
        assert one.figures == {name: every[name] for name in ("mAP", "rank1", "mINP")}
        spans = paired(rankings[0], mine, IDENTITIES, level=0.9, samples=200, seed=3)
        for name, difference in one.differences.items():
            assert difference.value == pytest.approx(every[name] - rankings[0].figures()[name])
            assert (difference.low, difference.high) == pytest.approx(spans[name])


def test_the_order_of_the_queries_does_not_matter(tmp_path: Path) -> None:
    table, order = columns(1), np.random.default_rng(2).permutation(QUERIES)
    shuffled = {name: np.array(column)[order].tolist() for name, column in table.items()}
    runs = [make_run(tmp_path / "a", table), make_run(tmp_path / "b", shuffled)]
    for difference in resight.compare(runs).runs[1].differences.values():
        assert (difference.value, difference.low, difference.high) == pytest.approx((0, 0, 0))


def test_pairs_of_cameras_count_alike(tmp_path: Path) -> None:
    galleries = np.array([f"c{1 + i % 2 + i % 3}" for i in range(QUERIES)])
    tables = [{**columns(seed), "gallery_camera": galleries} for seed in (7, 8)]
    order = np.random.default_rng(2).permutation(QUERIES)
    tables[1] = {name: np.array(column)[order] for name, column in tables[1].items()}
    runs = [make_run(tmp_path / str(i), table) for i, table in enumerate(tables)]
    found = resight.compare(runs, samples=100)
    groups = np.unique(
        [*zip(tables[0]["camera"], galleries, strict=True)], axis=0, return_inverse=True
    )
    mine, other = (
        replace(ranking(table), groups=groups[1].ravel()) for table in (tables[0], columns(8))
    )
    spans = paired(mine, other, IDENTITIES, samples=100)
    assert found.runs[0].figures["mAP"] == pytest.approx(mine.figures()["mAP"])
    for name, difference in found.runs[1].differences.items():
        assert difference.value == pytest.approx(other.figures()[name] - mine.figures()[name])
        assert (difference.low, difference.high) == pytest.approx(spans[name])


def test_settings_that_differ_are_told_and_no_others(tmp_path: Path) -> None:
    table = columns(1)
    runs = [
        make_run(tmp_path / "a", table),
        make_run(tmp_path / "b", table, seed=4, settings={"graph.k1": 7}, rerank=True),
        make_run(
            tmp_path / "c", table, settings={"clusterer": {"part": "KMeans", "n_clusters": 9}}
        ),
    ]
    settings = resight.compare(runs).settings
    assert settings["graph.k1"] == (6, 7, 6)
    assert settings["seed"] == (0, 4, 0)
    assert settings["clusterer.part"] == ("DBSCAN", "DBSCAN", "KMeans")
    assert settings["clusterer.eps"] == (0.5, 0.5, None)
    assert settings["evaluation.rerank"] == (None, True, None)
    assert all(
        name.startswith("clusterer.")
        for name in {*settings} - {"graph.k1", "seed"} - {"evaluation.rerank"}
    )
    assert resight.compare([runs[0], runs[0]]).settings == {}


def test_other_evaluations_are_compared_by_their_file(tmp_path: Path) -> None:
    tables = [columns(seed) for seed in (5, 6)]
    run = make_run(tmp_path / "run", tables[0])
    again = run / "evaluation-reranked.json"
    again.write_text((run / "evaluation.json").read_text())
    pq.write_table(pa.table(tables[1]), again.with_suffix(".parquet"))
    found = resight.compare([run, again])
    assert [one.run for one in found.runs] == [str(run), str(again)]
    assert found.runs[0].figures["mAP"] == ranking(tables[0]).figures()["mAP"]
    assert found.runs[1].figures["mAP"] == ranking(tables[1]).figures()["mAP"]
    with pytest.raises(RunError, match=r"evaluation-town\.json does not exist"):
        resight.compare([run, run / "evaluation-town.json"])


def test_what_evaluate_writes_can_be_compared(crops: Path, tmp_path: Path) -> None:
    recipe = Recipe().override(TINY)
    runs = []
    for seed in (0, 1):
        run = tmp_path / str(seed)
        asked = RunSettings(
            str(crops), str(crops), camera_pattern=r"(?P<identity>\d+)_c(?P<camera>\d)", seed=seed
        )
        RunFolder.create(run, recipe, asked)
        save(build_encoder(recipe.encoder, seed=seed), run, size=recipe.size)
        runs.append(run)
    judged = [resight.evaluate(run) for run in runs]
    found = resight.compare(runs)
    assert (found.queries, found.identities) == (72, 12)
    for one, result in zip(found.runs, judged, strict=True):
        assert one.figures == pytest.approx({name: result["figures"][name] for name in one.figures})
    again = resight.evaluate(runs[0], rerank=True)
    found = resight.compare([runs[0], runs[0] / "evaluation-reranked.json"])
    assert found.runs[1].figures["mAP"] == pytest.approx(again["figures"]["mAP"])
    assert found.settings["evaluation.rerank"] == (None, True)


def test_as_json(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(i), columns(i), seed=i) for i in range(2)]
    found = resight.compare(runs)
    plain = json.loads(found.as_json())
    assert plain["runs"][1]["differences"]["mAP"]["value"] == found.runs[1].differences["mAP"].value
    assert plain["settings"] == {"seed": [0, 1]}
    assert plain["notes"]


def refusal(*runs: Path, **options: Any) -> str:
    with pytest.raises(RunError) as refused:
        resight.compare(runs, **options)
    return str(refused.value)


def test_other_queries_or_protocols_are_refused(tmp_path: Path) -> None:
    table = columns(1)
    base = make_run(tmp_path / "base", table)
    fewer = {name: column[10:] for name, column in table.items()}
    told = refusal(base, make_run(tmp_path / "fewer", fewer))
    assert "on 90 queries" in told
    assert "on 80, 80 of them the same" in told
    renamed = {**table, "identity": ["person 99", *table["identity"][1:]]}
    assert "on 90, 89 of them the same" in refusal(base, make_run(tmp_path / "other", renamed))
    market = make_run(tmp_path / "market", table, ap="market")
    assert "'market1501' (ap step)" in refusal(base, market)
    crossed = make_run(tmp_path / "crossed", table, protocol="cross-camera")
    assert "under 'cross-camera'" in refusal(base, crossed)


def test_other_galleries_or_options_are_refused(tmp_path: Path) -> None:
    """The queries are the same: only what they are searched for among is not."""
    table = columns(1)
    base = make_run(tmp_path / "base", table)
    fewer = make_run(tmp_path / "fewer", table, crops={"count": 299, "digest": "0b"})
    told = refusal(base, fewer)
    assert f"{base} was evaluated on 300 crops and {fewer} on 299" in told
    assert "not all of them the same" in told
    assert "evaluate both on the same data" in told
    same_count = make_run(tmp_path / "other", table, crops={"count": 300, "digest": "0c"})
    assert "on 300, not all of them the same" in refusal(base, same_count)
    near, far = (
        make_run(tmp_path / f"{s}", table, protocol="time-excluded", options={"within": s})
        for s in (5.0, 60.0)
    )
    assert "with within 5.0" in refusal(near, far)
    assert "with within 60.0: evaluate both alike" in refusal(near, far)
    old = make_run(tmp_path / "old", table, crops=None)
    assert "does not say which crops it is of: evaluate the run again" in refusal(base, old)
    assert "is damaged" in refusal(base, make_run(tmp_path / "odd", table, crops=[3]))
    assert "is damaged" in refusal(base, make_run(tmp_path / "rule", table, ap="trapezoid"))


def test_a_gallery_that_changed_is_noticed(tmp_path: Path) -> None:
    """One more crop in the gallery, or one with another picture, and the queries as they were."""
    data, recipe = draw(tmp_path / "town"), Recipe().override(TINY)
    table = "path,identity,camera,split\n"
    for file in sorted(data.glob("*.png")):
        split = "query" if file.stem.endswith("000000_00") else "gallery"
        table += f"{file.name},{file.name[:4]},{file.name[6]},{split}\n"
    crops = data / "crops.csv"
    crops.write_text(table)
    run = tmp_path / "run"
    RunFolder.create(run, recipe, RunSettings(str(crops), str(data)))
    save(build_encoder(recipe.encoder), run, size=recipe.size)
    resight.evaluate(run)
    before = shutil.copytree(run, tmp_path / "before")
    resight.evaluate(run)
    assert resight.compare([before, run]).runs[1].differences["mAP"].value == 0
    gallery = data / "0012_c2s1_000002_00.png"
    gallery.write_bytes((data / "0001_c1s1_000001_00.png").read_bytes())
    resight.evaluate(run)
    assert "on 72 crops" in refusal(before, run)
    assert "on 72, not all of them the same" in refusal(before, run)
    crops.write_text(table.replace("0012_c2s1_000002_00.png,0012,2,gallery\n", ""))
    resight.evaluate(run)
    assert "on 71, not all of them the same" in refusal(before, run)


def test_runs_without_results_per_query_are_refused(tmp_path: Path) -> None:
    table = columns(1)
    base = make_run(tmp_path / "base", table)
    assert "parquet does not exist" in refusal(base, make_run(tmp_path / "none", None))
    free = make_run(tmp_path / "free", None, protocol="label-free")
    plain = json.loads((free / "evaluation.json").read_text())
    del plain["ap"]
    (free / "evaluation.json").write_text(json.dumps(plain))
    assert "no result per query" in refusal(free, base)
    lacking = {name: column for name, column in table.items() if name != "inp"}
    assert "lacks inp" in refusal(base, make_run(tmp_path / "lacking", lacking))
    broken = make_run(tmp_path / "broken", table)
    (broken / "evaluation.parquet").write_bytes(b"no table")
    assert "is damaged" in refusal(base, broken)
    (broken / "evaluation.json").write_text("[]")
    assert "is damaged" in refusal(base, broken)
    assert "not a run folder" in refusal(base, tmp_path)


def test_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    base = make_run(tmp_path / "base", columns(1))
    with pytest.raises(ConfigError, match="1 run to compare"):
        resight.compare([base])
    for options in ({"level": 1.0}, {"samples": 0}):
        with pytest.raises(ConfigError, match="samples is"):
            resight.compare([base, base], **options)
    with pytest.raises(ConfigError, match="seed is -1"):
        resight.compare([base, base], seed=-1)


def test_one_individual_has_no_interval(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from resight.cli import app

    tables = [{**columns(i), "identity": ["person 01"] * QUERIES} for i in range(2)]
    runs = [make_run(tmp_path / str(i), table) for i, table in enumerate(tables)]
    shown = CliRunner().invoke(app, ["compare", *map(str, runs)])
    assert shown.exit_code == 0
    assert "nan" not in shown.output
    value = resight.compare(runs).runs[1].differences["mAP"].value
    assert f"{value:+.1f} (no interval)" in shown.output


def test_the_command_shows_differences_and_settings(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from resight.cli import app

    runs = [make_run(tmp_path / str(i), columns(i), seed=i) for i in range(2)]
    shown = CliRunner().invoke(app, ["compare", *map(str, runs)])
    assert shown.exit_code == 0
    difference = resight.compare(runs).runs[1].differences["mINP"]
    assert (
        f"{difference.value:+.1f} ({difference.low:+.1f} … {difference.high:+.1f})" in shown.output
    )
    assert "seed" in shown.output
    plain = CliRunner().invoke(app, ["compare", *map(str, runs), "--json"])
    assert json.loads(plain.stdout) == json.loads(resight.compare(runs).as_json())
