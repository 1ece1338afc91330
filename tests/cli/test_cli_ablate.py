"""`resight ablate` and the tables and recipes that `resight methods` shows."""

from pathlib import Path
from typing import Any

import pytest
from drawn import TINY, options

import resight as package
from resight.methods import METHODS, recipe_for

SHORT = options(TINY | {"optim.epochs": 1, "optim.iterations": 1})


def test_a_table_is_trained_and_printed(crops: Path, tmp_path: Path, resight: Any) -> None:
    words = ("--method", "cgc", "--table", "1", "--seeds", "1", "--out", tmp_path / "out", *SHORT)
    result = resight("ablate", crops, *words, "--rows", "Both", "--rows", "baseline")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].startswith("Table 1: confidence-guided centroids")
    assert "paper, MSMT17 (other data)" in lines[1]
    assert [line.split()[0] for line in lines[2:6]] == ["Baseline", "Baseline", "Baseline", "Both"]
    assert ["–" in line for line in lines[2:6]] == [False, True, True, False]
    assert "85.3 / 94.2" in lines[5]
    assert lines[-1] == f"{tmp_path}/out/table.md"
    again = resight("ablate", crops, *words, "--rows", "Both", "--set", "optim.lr=0.1")
    assert again.code == 2
    assert "holds another ablation, which differs in --set optim.lr: " in again.err
    assert len(again.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--method", "3c", "--table", "3"), "3c has no table '3'; there are 1, 2, 4, fig5"),
        (("--method", "c3", "--table", "3"), "unknown method 'c3'"),
        (("--method", "3c", "--table", "1", "--rows", "HDK"), "did you mean HDC"),
        (("--method", "3c", "--table", "1", "--set", "memory.momentun=0"), "did you mean momentum"),
    ],
)
def test_mistakes_are_told(words: tuple[str, ...], told: str, crops: Path, resight: Any) -> None:
    result = resight("ablate", crops, *words)
    assert result.code == 2
    assert told in result.err
    assert "Traceback" not in result.err


def test_the_table_has_to_be_named(crops: Path, resight: Any) -> None:
    result = resight("ablate", crops, "--method", "3c")
    assert result.code == 2
    assert "--table" in result.err


def test_all_rows_are_trained_by_default(
    crops: Path, resight: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trained = []

    def train(data: Path, *, out: Path, **_: Any) -> Path:
        trained.append(str(out.relative_to("runs")))
        out.mkdir(parents=True)
        (out / "model.safetensors").write_bytes(b"weights")
        return out

    def evaluate(*_: Any, **__: Any) -> dict[str, Any]:
        return {"figures": {"mAP": 50.0, "rank1": 60.0}}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("resight.api.ablating.train", train)
    monkeypatch.setattr("resight.api.ablating.evaluate", evaluate)
    settings = {key: TINY[key] for key in TINY if not key.startswith("graph.")}
    result = resight("ablate", crops, "--method", "lp", "--table", "v", *options(settings))
    assert result.code == 0
    folder = "town-lp-table-v"
    rows = ("average", "maximum", "gem")
    assert trained[:2] == [f"{folder}/teacher-of-average/seed-0", f"{folder}/average/seed-0"]
    assert {name for name in trained if "teacher" not in name} == {
        f"{folder}/{row}/seed-{seed}" for row in rows for seed in range(3)
    }
    assert (tmp_path / "runs" / folder / "table.md").exists()


def test_tables_are_listed(resight: Any) -> None:
    listed = resight("methods", "tables", "3c")
    assert listed.code == 0
    assert "    1  Table 1: clustering" in listed.out
    assert "(8 rows)" in listed.out
    assert "no tables of its own" in resight("methods", "tables", "acfl-c").out
    everything = resight("methods", "tables").out
    assert "\n3c\n" + listed.out in everything
    assert all(name in everything for name in METHODS)
    assert resight("methods", "tables", "4c").code == 2


def test_all_methods_are_listed(resight: Any) -> None:
    lines = resight("methods").out.splitlines()
    assert [line.split()[0] for line in lines[::2]] == [*METHODS]


@pytest.mark.parametrize("name", ["3c", "lp"])
def test_a_shown_recipe_is_the_methods(name: str, resight: Any) -> None:
    fitted = resight("methods", "show", name).out
    assert package.Recipe.from_yaml(fitted) == recipe_for(name)
    assert fitted.splitlines()[1] == "# Settings fitted to the data."
    published = resight("methods", "show", name, "--for", "msmt17").out
    assert package.Recipe.from_yaml(published) == recipe_for(name, published="msmt17")
    assert published.count("  # ") > fitted.count("  # ") > 5
