"""Ablations: rows and seeds as runs, whatever ends them, and the table that they end in."""

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
from safetensors.torch import load_file

import resight
from resight.api import ablating
from resight.api.ablation_table import Ablation, RowResult
from resight.errors import ConfigError, RunError

SHORT = {"optim.epochs": 1, "optim.iterations": 1}
SETTINGS = TINY | SHORT
SETTINGS_LP = {
    **{key: value for key, value in SETTINGS.items() if not key.startswith("graph.")},
    "graph.graph.k1": 6,
    "graph.graph.k2": 3,
}
ROWS = ["Baseline", "Both"]


class Stop(BaseException):
    """Ends an ablation from inside, as a signal does."""


def stop_after(calls: int, original: Callable[..., Any]) -> Callable[..., Any]:
    count = iter(range(calls))

    def stopping(*args: Any, **kwargs: Any) -> Any:
        if next(count, None) is None:
            raise Stop
        return original(*args, **kwargs)

    return stopping


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
    table = json.loads((whole / "table.json").read_text())
    baseline, both = table["rows"]
    for name, row in (("baseline", baseline), ("both", both)):
        found = [
            json.loads((whole / name / f"seed-{seed}/evaluation.json").read_text())["figures"]
            for seed in (0, 1)
        ]
        values = [figures["mAP"] for figures in found]
        assert row["mean"]["mAP"] == pytest.approx(sum(values) / 2)
        assert row["spread"]["mAP"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
        assert row["seeds"] == 2
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
    stamp = (out / "both/seed-0/model.safetensors").stat().st_mtime_ns
    found = ablate(town, out, rows=["Both", "baseline-cgl"], seeds=1)
    assert [row.name for row in found.rows] == ["Baseline + CGL", "Both"]
    assert (out / "both/seed-0/model.safetensors").stat().st_mtime_ns == stamp
    assert (out / "baseline-cgl/seed-0/report.html").exists()


@pytest.mark.parametrize("writes", [0, 4, 9, 14])
def test_a_stopped_ablation_continues(
    writes: int, town: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", stop_after(writes, os.replace))
        with pytest.raises(Stop):
            ablate(town, out, seeds=1)
    ablate(town, out, seeds=1)
    for name in ("baseline", "both"):
        assert_same_weights(out / name / "seed-0", whole / name / "seed-0")
    assert len(json.loads((out / "table.json").read_text())["rows"]) == 2
    assert not list(out.rglob("*.tmp"))


def test_a_failing_row_stops_no_other(town: Path, tmp_path: Path) -> None:
    found = lp(town, tmp_path / "out", table="XI", rows=["4 parts", "2 parts"])
    good, bad = found.rows
    assert good.problem is None
    assert len(good.figures) == 1
    assert bad.problem is not None
    assert "feature map of at least 4 rows" in bad.problem
    assert bad.problem in (tmp_path / "out/table.md").read_text()
    assert json.loads((tmp_path / "out/table.json").read_text())["rows"][1]["mean"]["mAP"] is None


def test_an_ablation_without_any_figures_is_an_error(town: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no row of 'Table XIII.*--set encoder\.weights=FILE"):
        lp(town, tmp_path / "out", table="XIII", rows=["Other weights, LP"], settings={})


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
    found = lp(town, tmp_path / "out", table="VII", rows=rows)
    out = found.path
    assert len(list(out.glob("alpha-*/*/run.json"))) == 1
    fused = json.loads((out / "alpha-0.2/seed-0.json").read_text())
    plain = json.loads((out / "alpha-0/seed-0/evaluation.json").read_text())
    assert fused["fuse"] == 0.2
    assert "fuse" not in plain
    assert [row.figures[0]["mAP"] for row in found.rows] == [
        plain["figures"]["mAP"],
        fused["figures"]["mAP"],
    ]


def test_a_run_of_other_settings_is_not_taken_for_a_rows(
    town: Path, whole: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    recipe = out / "both/seed-0/recipe.yaml"
    recipe.write_text(recipe.read_text().replace("beta: 0.8", "beta: 0.7"))
    _, both = ablate(town, out).rows
    assert both.problem is not None
    assert "was trained with other settings" in both.problem
    assert len(both.figures) == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"table": "2", "rows": None}, "table '1' there, '2' asked for"),
        ({"settings": SETTINGS | {"optim.epochs": 3}}, "settings .* there, .* asked for"),
        ({"published": "market1501"}, "published None there, 'market1501' asked for"),
    ],
)
def test_another_request_is_refused(
    changed: dict[str, Any], told: str, town: Path, whole: Path
) -> None:
    with pytest.raises(RunError, match=f"holds another ablation .*{told}"):
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
    return RowResult(name, tuple({"mAP": v, "rank1": v + 10} for v in m_ap), paper)


def test_cells_of_ranked_rows(tmp_path: Path) -> None:
    rows = (result("a", 50.0, 52.0, market1501=(80.0, 90.0)), result("b", 54.0), result("c"))
    found = Ablation(tmp_path, "Table 0: x", "", rows, published="market1501-paper")
    assert found.header == ("", "mAP", "Rank-1", "gain over a", "paper, Market-1501")
    assert found.cells == (
        ("a", "51.0 ± 1.4 (2)", "61.0 ± 1.4 (2)", "", "80.0 / 90.0"),
        ("b", "54.0 (1)", "64.0 (1)", "+3.0 / +3.0", ""),
        ("c", "–", "–", "– / –", ""),
    )


def test_cells_of_crops_without_identities(tmp_path: Path) -> None:
    figures = {"clusters": 12.0, "outlier_share": 0.25, "silhouette": None, "mean_size": 3.0}
    rows = (RowResult("a", (figures,)), RowResult("b|c", problem="too few crops"))
    found = Ablation(tmp_path, "Table 0: x", "A note.", rows)
    assert found.header == ("", "clusters", "outlier share")
    assert found.cells == (("a", "12 (1)", "0.25 (1)"), ("b|c", "–", "–"))
    assert found.remarks == ("A note.", "b|c: too few crops")
    assert "| b/c |" in found.markdown()
