"""Ablations: rows and seeds as runs, whatever ends them, and the table that they end in."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from drawn import TINY, draw
from interrupted import Stop, stop_after
from safetensors.torch import load_file

import resight
from resight.api import ablating
from resight.api.ablation_table import Ablation, RowResult
from resight.errors import ConfigError, CostError, RunError
from resight.training import train as loop

SHORT = {"optim.epochs": 1, "optim.iterations": 1}
SETTINGS = TINY | SHORT
SETTINGS_LP = {
    **{key: value for key, value in SETTINGS.items() if not key.startswith("graph.")},
    "graph.graph.k1": 6,
    "graph.graph.k2": 3,
}
ROWS = ["Baseline", "Both"]


def no_training(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a finished run is trained again")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops with identities, in the layout of Market-1501."""
    root = tmp_path_factory.mktemp("market") / "town"
    for folder in ("bounding_box_train", "query", "bounding_box_test"):
        draw(root / folder, identities=8, shots=2)
    return root


def ablate(data: Path, out: Path, **changed: Any) -> Ablation:
    asked: dict[str, Any] = {
        "method": "cgc",
        "table": "1",
        "rows": ROWS,
        "seeds": 2,
        "settings": SETTINGS,
    }
    return resight.ablate(data, out=out, **asked | changed)


def named(found: Ablation) -> dict[str, RowResult]:
    """The rows that have figures or a problem."""
    return {row.name: row for row in found.rows if row.figures or row.problem}


def written(out: Path) -> dict[str, Any]:
    """The rows of table.json that have figures."""
    rows = json.loads((out / "table.json").read_text())["rows"]
    return {row["name"]: row for row in rows if row["figures"]}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def assert_same_weights(run: Path, other: Path) -> None:
    ours, theirs = weights(run), weights(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.fixture(scope="module")
def whole(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ablation that was never stopped."""
    return ablate(town, tmp_path_factory.mktemp("whole") / "out").path


def test_rows_and_seeds_are_runs(whole: Path) -> None:
    runs = sorted(str(file.parent.relative_to(whole)) for file in whole.glob("*/*/run.json"))
    assert runs == ["baseline/seed-0", "baseline/seed-1", "both/seed-0", "both/seed-1"]
    for run in runs:
        assert (whole / run / "report.html").exists()
    settings = yaml.safe_load((whole / "baseline/seed-1/recipe.yaml").read_text())
    assert settings["targets"]["part"] == "HardTargets"
    assert settings["optim"]["epochs"] == 1
    assert json.loads((whole / "baseline/seed-1/run.json").read_text())["seed"] == 1
    assert not list(whole.rglob("*.tmp"))


def test_the_table_has_means_spreads_gains_and_the_papers_figures(whole: Path) -> None:
    baseline, both = written(whole).values()
    for name, row in (("baseline", baseline), ("both", both)):
        found = [
            json.loads((whole / name / f"seed-{seed}/evaluation.json").read_text())["figures"]
            for seed in (0, 1)
        ]
        values = [figures["mAP"] for figures in found]
        assert row["mean"]["mAP"] == pytest.approx(sum(values) / 2)
        assert row["spread"]["mAP"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
        assert row["seeds"] == [0, 1]
    gain = both["mean"]["rank1"] - baseline["mean"]["rank1"]
    assert both["gain"]["rank1"] == pytest.approx(gain)
    assert both["paper"]["msmt17"] == [34.6, 63.4]
    text = (whole / "table.md").read_text()
    assert "paper, Market-1501 (other data)" in text
    assert "82.4 / 92.5" in text
    assert f"{baseline['mean']['mAP']:.1f} ± {baseline['spread']['mAP']:.1f} (2)" in text


def test_the_same_call_keeps_finished_runs(
    town: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (whole / "table.json").read_bytes()
    monkeypatch.setattr(ablating, "train", no_training)
    monkeypatch.setattr(ablating, "resume", no_training)
    ablate(town, whole)
    assert (whole / "table.json").read_bytes() == before


def test_other_rows_and_more_seeds_join(town: Path, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    before = written(out)
    stamp = (out / "both/seed-0/model.safetensors").stat().st_mtime_ns
    found = ablate(town, out, rows=["Both", "baseline-cgl"], seeds=1)
    assert {row.name: [*row.figures] for row in found.rows} == {
        "Baseline": [0, 1],
        "Baseline + CGC": [],
        "Baseline + CGL": [0],
        "Both": [0, 1],
        "Ground truth": [],
    }
    assert (out / "both/seed-0/model.safetensors").stat().st_mtime_ns == stamp
    assert (out / "baseline-cgl/seed-0/report.html").exists()
    after = written(out)
    assert {name: after[name] for name in before} == before
    gain = after["Baseline + CGL"]["mean"]["mAP"] - before["Baseline"]["mean"]["mAP"]
    assert after["Baseline + CGL"]["gain"]["mAP"] == pytest.approx(gain)
    assert "| Baseline + CGC | – | – | – / – |" in (out / "table.md").read_text()


def test_a_call_that_ends_early_leaves_the_other_rows_in_the_table(
    town: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    monkeypatch.setattr(ablating, "train", stop_after(1, ablating.train))
    with pytest.raises(Stop):
        ablate(town, out, rows=["Baseline + CGC", "Baseline + CGL"], seeds=1)
    assert [*written(out)] == ["Baseline", "Baseline + CGC", "Both"]


def test_a_run_that_was_cut_short_is_continued_though_it_was_evaluated(
    town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {
        "settings": SETTINGS | {"optim.epochs": 2, "optim.lr": 0.01},
        "rows": ["Both"],
        "seeds": 1,
    }
    run = tmp_path / "out/both/seed-0"
    with monkeypatch.context() as patch:
        patch.setattr(loop, "run_epoch", stop_after(1, loop.run_epoch))
        with pytest.raises(Stop):
            ablate(town, tmp_path / "out", **asked)
    resight.evaluate(run)
    resight.report(run)
    half = weights(run)
    found = named(ablate(town, tmp_path / "out", **asked))["Both"]
    assert len((run / "log.jsonl").read_text().splitlines()) == 2
    assert not all(torch.equal(half[key], value) for key, value in weights(run).items())
    assert found.figures[0] == resight.evaluate(run)["figures"]


@pytest.mark.parametrize("name", ["evaluation.json", "model.safetensors"])
def test_what_a_finished_run_lacks_is_made(
    name: str, town: Path, whole: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    (out / "both/seed-0" / name).unlink()
    ablate(town, out, seeds=1)
    assert (out / "both/seed-0" / name).exists()
    assert_same_weights(out / "both/seed-0", whole / "both/seed-0")
    assert written(out) == written(whole)


def test_figures_are_of_the_run_that_is_there_now(
    town: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    mine, other = out / "both/seed-0", whole / "both/seed-1"
    shutil.rmtree(mine)
    shutil.copytree(other, mine)
    monkeypatch.setattr(ablating, "train", no_training)
    found = ablate(town, out, rows=["Baseline"])
    assert [*named(found)["Both"].figures] == [1]
    both = named(ablate(town, out))["Both"].figures
    assert both[0] == both[1] == written(whole)["Both"]["figures"][1]


@pytest.mark.parametrize("damage", ["{", "[]", '{"figures": {"mAP": 99.0}}'])
def test_figures_of_nothing_known_are_made_anew(
    damage: str, town: Path, whole: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    (out / "both/seed-0.json").write_text(damage)
    ablate(town, out)
    assert written(out) == written(whole)


def test_an_evaluation_by_another_protocol_is_not_taken_for_a_rows(
    town: Path, whole: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    resight.evaluate(out / "both/seed-0", protocol="label-free")
    (out / "both/seed-0.json").unlink()
    ablate(town, out, seeds=1)
    assert written(out) == written(whole)
    own = json.loads((out / "both/seed-0/evaluation.json").read_text())
    assert own["protocol"] == "label-free"


def test_a_started_run_gets_the_device_and_memory_that_are_asked_for_now(
    town: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    (out / "both/seed-0/report.html").unlink()
    told: list[Any] = []

    def resume(run: Path, **options: Any) -> Path:
        told.append((run, options))
        return run

    monkeypatch.setattr(ablating, "resume", resume)
    ablate(town, out, seeds=1, device="cpu", memory="1G")
    assert told == [(out / "both/seed-0", {"device": "cpu", "memory": 2**30})]


def test_what_runs_are_asked_for_reaches_them(
    town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {
        "layout": "market1501",
        "camera_pattern": None,
        "device": "cpu",
        "precision": "float32",
        "compile": True,
        "strict": True,
        "memory": 2**30,
    }
    told: dict[str, Any] = {}

    def train(data: Path, *, out: Path, recipe: Any, seed: int, **options: Any) -> Path:
        told.update(options)
        raise CostError("told enough")

    monkeypatch.setattr(ablating, "train", train)
    with pytest.raises(ConfigError, match="told enough"):
        ablate(town, tmp_path / "out", **asked)
    assert told == {**asked, "evaluate_every": 0}


def test_a_crop_that_cannot_be_read_is_an_error_when_strict(tmp_path: Path) -> None:
    data = draw(tmp_path / "data", identities=6)
    (data / "0099_c1s1_000000_00.png").write_bytes(b"no picture")
    with pytest.raises(ConfigError, match=r"no row of 'Table 1.*0099_c1s1_000000_00\.png"):
        ablate(data, tmp_path / "out", strict=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("writes", [0, 4, 6, 9, 11])
def test_a_stopped_ablation_continues(
    writes: int, town: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", stop_after(writes, os.replace))
        with pytest.raises(Stop):
            ablate(town, out, rows=["Both"], seeds=1)
    ablate(town, out, rows=["Both"], seeds=1)
    assert_same_weights(out / "both/seed-0", whole / "both/seed-0")
    assert (out / "both/seed-0/report.html").exists()
    assert written(out)["Both"]["figures"] == written(whole)["Both"]["figures"][:1]
    assert not list(out.rglob("*.tmp"))


def test_a_row_that_cannot_work_stops_no_other(town: Path, tmp_path: Path) -> None:
    found = lp(town, tmp_path / "out", table="XI", rows=["4 parts", "2 parts"])
    good, bad = named(found)["2 parts"], named(found)["4 parts"]
    assert good.problem is None
    assert len(good.figures) == 1
    assert bad.problem is not None
    assert "feature map of at least 4 rows" in bad.problem
    assert bad.problem in (tmp_path / "out/table.md").read_text()
    assert sorted(f.parent.parent.name for f in found.path.glob("*/*/run.json")) == [
        "2-parts",
        "teacher-of-2-parts",
    ]


def failing_at(seed: int, original: Callable[..., Any]) -> Callable[..., Any]:
    def train(*args: Any, **options: Any) -> Any:
        if options["seed"] == seed and "baseline" in options["out"].parts:
            raise CostError("the GPU is out of memory: set memory")
        return original(*args, **options)

    return train


def test_a_run_that_fails_stops_no_other(
    town: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    shutil.rmtree(out / "baseline")
    shutil.rmtree(out / "both/seed-1")
    with monkeypatch.context() as patch:
        patch.setattr(ablating, "train", failing_at(0, ablating.train))
        found = named(ablate(town, out))
    assert {name: [*row.figures] for name, row in found.items()} == {
        "Baseline": [1],
        "Both": [0, 1],
    }
    assert found["Baseline"].problem == "the GPU is out of memory: set memory"
    assert "Baseline: the GPU is out of memory" in (out / "table.md").read_text()
    again = named(ablate(town, out))
    assert [*again["Baseline"].figures] == [0, 1]
    assert again["Baseline"].problem is None


def test_an_ablation_in_which_no_run_ends_well_is_an_error(
    town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablating, "train", failing_at(0, ablating.train))
    with pytest.raises(ConfigError, match=r"trained: Baseline: the GPU is out of memory"):
        ablate(town, tmp_path / "out", rows=["Baseline"], seeds=1)


def test_nothing_is_claimed_when_no_row_can_work(town: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"no row of 'Table XIII.*--set encoder\.weights=FILE"):
        lp(town, out, table="XIII", rows=["Other weights, LP"], settings={})
    with pytest.raises(ConfigError, match=r"be trained: Baseline, Both: [^;]*nothing"):
        ablate(town, out, settings=SETTINGS | {"encoder.weights": str(tmp_path / "nothing")})
    assert not out.exists()


def test_a_recipe_that_does_not_fit_is_told_before_its_teacher_is_trained(
    town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablating, "train", no_training)
    with pytest.raises(ConfigError, match="holds Distillation alone"):
        lp(
            town,
            tmp_path / "out",
            table="II",
            rows=["Baseline + FP + LP"],
            settings=SETTINGS_LP | {"losses": [{"part": "Distillation", "view": "global"}]},
        )
    assert not (tmp_path / "out").exists()


def test_finished_rows_need_nothing_that_training_needs(
    town: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))

    def check(*_: Any) -> None:
        raise ConfigError("the file of the weights is gone")

    monkeypatch.setattr(ablating, "check", check)
    found = named(ablate(town, out))
    assert all(row.problem is None for row in found.values())
    more = named(ablate(town, out, seeds=3))
    assert more["Both"].problem == "the file of the weights is gone"
    assert len(more["Both"].figures) == 2


def test_an_ablation_in_use_is_left_alone(town: Path, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    drafts = [out / ".table.md.99.tmp", out / "both/.seed-0.json.99.tmp"]
    for draft in drafts:
        draft.write_text("half")
    with (out / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="is being trained by another process"):
            ablate(town, out)
        assert all(draft.exists() for draft in drafts)
    ablate(town, out)
    assert not any(draft.exists() for draft in drafts)


@pytest.fixture(scope="module")
def purified(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lp") / "out"
    lp(town, out, table="II", rows=["Baseline + FP + LP"])
    return out


def lp(town: Path, out: Path, **changed: Any) -> Ablation:
    return ablate(town, out, **{"method": "lp", "settings": SETTINGS_LP, "seeds": 1} | changed)


def test_a_row_is_the_teacher_of_another(purified: Path, town: Path, tmp_path: Path) -> None:
    student, teacher = purified / "baseline-fp-lp/seed-0", purified / "baseline-fp/seed-0"
    assert (teacher / "report.html").exists()
    assert not (student / "teacher").exists()
    alone = resight.train(
        town,
        out=tmp_path / "alone",
        method="lp",
        evaluate_every=0,
        settings=SETTINGS_LP,
    )
    assert_same_weights(student, alone)
    assert_same_weights(teacher, alone / "teacher")


def test_rows_with_the_same_training_share_its_run(town: Path, tmp_path: Path) -> None:
    rows = ["alpha 0", "alpha 0.2"]
    found = named(lp(town, tmp_path / "out", table="VII", rows=rows))
    out = tmp_path / "out"
    assert len(list(out.glob("alpha-*/*/run.json"))) == 1
    file = out / "alpha-0.2/seed-0.json"
    fused = json.loads(file.read_text())
    plain = json.loads((out / "alpha-0/seed-0/evaluation.json").read_text())
    assert fused["of"]["options"] == {"protocol": "market1501", "fuse": 0.2}
    assert "fuse" not in plain
    assert [row.figures[0]["mAP"] for row in found.values()] == [
        plain["figures"]["mAP"],
        fused["figures"]["mAP"],
    ]
    shutil.copy(out / "alpha-0/seed-0.json", file)
    again = lp(town, out, table="VII", rows=["alpha 0.2"])
    assert json.loads(file.read_text()) == fused
    assert named(again) == found


def test_a_run_of_other_settings_is_not_taken_for_a_rows(
    town: Path, whole: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    recipe = out / "both/seed-0/recipe.yaml"
    recipe.write_text(recipe.read_text().replace("beta: 0.8", "beta: 0.7"))
    both = named(ablate(town, out))["Both"]
    assert both.problem is not None
    assert "was trained with other settings" in both.problem
    assert [*both.figures] == [1]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"table": "2", "rows": None}, "in table"),
        ({"settings": SETTINGS | {"optim.epochs": 3}}, r"in --set optim\.epochs"),
        ({"settings": {**SHORT}}, r"in (--set [\w.]+, )+--set encoder\.\w+(, --set [\w.]+)*"),
        ({"published": "market1501", "strict": True}, "in published, strict"),
        ({"published": "market1501"}, "in published"),
    ],
)
def test_another_request_is_refused(
    changed: dict[str, Any], told: str, town: Path, whole: Path
) -> None:
    with pytest.raises(RunError, match=f"holds another ablation, which differs {told}: "):
        ablate(town, whole, **changed)


def test_a_folder_of_other_things_is_refused(town: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="holds other files"):
        ablate(town, tmp_path)
    with pytest.raises(RunError, match="is a file"):
        ablate(town, tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"table": "7"}, "cgc has no table '7'; there are 1, 2, fig4"),
        ({"method": "3x"}, "unknown method '3x'"),
        ({"rows": ["Bot"]}, "has no row 'Bot'; did you mean Both"),
        ({"seeds": 0}, "seeds is 0, expected at least 1"),
        ({"settings": {"optim.epoch": 3}}, "did you mean epochs"),
        ({"published": "market"}, "did you mean market1501"),
        ({"device": "gpu"}, "device 'gpu'"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    changed: dict[str, Any], told: str, town: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told.replace("(", r"\(")):
        ablate(town, tmp_path / "out", **changed)
    assert not (tmp_path / "out").exists()


def result(name: str, *m_ap: float, **paper: tuple[float, float]) -> RowResult:
    figures = {seed: {"mAP": v, "rank1": v + 10} for seed, v in enumerate(m_ap)}
    return RowResult(name, figures, paper)


def test_cells_of_ranked_rows(tmp_path: Path) -> None:
    rows = (result("a", 50.0, 52.0, market1501=(80.0, 90.0)), result("b", 54.0), result("c"))
    found = Ablation(tmp_path, "Table 0: x", "", rows, published="market1501-paper")
    assert found.header == ("", "mAP", "Rank-1", "gain over a", "paper, Market-1501")
    assert found.cells == (
        ("a", "51.0 ± 1.4 (2)", "61.0 ± 1.4 (2)", "", "80.0 / 90.0"),
        ("b", "54.0 (1)", "64.0 (1)", "+3.0 / +3.0", ""),
        ("c", "–", "–", "– / –", ""),
    )


def test_gains_are_over_the_first_row_alone(tmp_path: Path) -> None:
    rows = (result("a"), result("b", 54.0), result("c", 55.0))
    found = Ablation(tmp_path, "Table 0: x", "", rows)
    assert found.header == ("", "mAP", "Rank-1")
    assert found.cells[:2] == (("a", "–", "–"), ("b", "54.0 (1)", "64.0 (1)"))
    assert "gain" not in found.as_dict()["rows"][1]


def test_cells_of_crops_without_identities(tmp_path: Path) -> None:
    figures = {"clusters": 12.0, "outlier_share": 0.25, "silhouette": None, "mean_size": 3.0}
    rows = (RowResult("a", {0: figures}), RowResult("b|c", problem="too few crops"))
    found = Ablation(tmp_path, "Table 0: x", "A note.", rows)
    assert found.header == ("", "clusters", "outlier share")
    assert found.cells == (("a", "12 (1)", "0.25 (1)"), ("b|c", "–", "–"))
    assert found.remarks == ("A note.", "b|c: too few crops")
    assert "| b/c |" in found.markdown()
