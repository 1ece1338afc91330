"""The commands: light to start, helpful, and each a Python function too."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from drawn import TINY, options

import resight as package
from resight import cli

HEAVY = (
    "torch",
    "timm",
    "faiss",
    "numba",
    "scipy",
    "sklearn",
    "pyarrow",
    "matplotlib",
    "PIL",
    "h5py",
)
COMMANDS: dict[tuple[str, ...], str | None] = {
    ("demo",): "demo",
    ("train",): "train",
    ("resume",): "resume",
    ("evaluate",): "evaluate",
    ("report",): "report",
    ("cluster",): "cluster",
    ("ablate",): "ablate",
    ("compare",): "compare",
    ("calibrate",): "calibrate",
    ("index",): "index",
    ("search",): "search",
    ("serve",): "serve",
    ("export",): "export",
    ("gallery", "show"): None,
    ("gallery", "list"): None,
    ("gallery", "delete"): None,
    ("gallery", "expire"): None,
    ("gallery", "optimise"): None,
    ("gallery", "set"): None,
    ("methods",): "list_methods",
    ("methods", "show"): None,
    ("methods", "tables"): None,
    ("data", "check"): "check_data",
    ("data", "unpack"): "unpack_data",
}
SHORTHANDS = {"backbone", "weights", "epochs", "set_", "eps", "k1", "json_", "protocols"}


def loaded_by(program: str) -> set[str]:
    listing = f"import sys, json; sys.argv = ['resight', '--help']\n{program}"
    ending = "\nprint('\\n' + json.dumps([*sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", listing + ending], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_resight_is_light() -> None:
    assert not loaded_by("import resight") & {*HEAVY, "numpy", "typer"}


def test_help_loads_no_heavy_library() -> None:
    program = "from resight.cli import main\ntry: main()\nexcept SystemExit: pass"
    assert not loaded_by(program) & {*HEAVY}


def test_search_loads_what_it_needs() -> None:
    found = loaded_by("from resight.api import search")
    assert "resight.gallery.searching" in found
    assert not found & {"sklearn", "faiss", "numba", "matplotlib", "pandas", "fastapi"}


def test_the_table_of_commands_is_complete() -> None:
    top = typer.main.get_command(cli.app)
    found = set()
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        found |= {(name, sub) for sub in inner}
        if not inner or command.invoke_without_command:
            found.add((name,))
    assert found == set(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...], resight: Any) -> None:
    result = resight(*words, "--help")
    assert result.code == 0
    assert "Usage" in result.out


@pytest.mark.parametrize("name", [name for name in COMMANDS.values() if name])
def test_every_command_is_a_function(name: str) -> None:
    function = getattr(package, name)
    assert inspect.getdoc(function)
    assert name in package.__all__


@pytest.mark.parametrize(
    "name",
    [
        "demo",
        "train",
        "resume",
        "evaluate",
        "report",
        "cluster",
        "ablate",
        "compare",
        "calibrate",
        "index",
        "search",
    ],
)
def test_a_command_and_its_function_agree(name: str) -> None:
    command = next(c for c in cli.app.registered_commands if c.callback.__name__ == name)
    options = inspect.signature(command.callback).parameters
    arguments = inspect.signature(getattr(package, name)).parameters
    renamed = {"run": "run_folder", "runs": "run_folders"}
    known = {renamed.get(key, key) for key in options if key not in SHORTHANDS}
    assert known == set(arguments) - {"settings"}
    for key, option in options.items():
        argument = arguments.get(renamed.get(key, key))
        if argument is not None and option.default not in (inspect.Parameter.empty, None):
            assert str(option.default) == str(argument.default), key


def test_methods_are_listed_and_shown(resight: Any) -> None:
    assert "cluster-contrast" in resight("methods").out
    shown = resight("methods", "show", "cluster-contrast", "--for", "market1501").out
    assert package.Recipe.from_yaml(shown).name == "cluster-contrast"
    wrong = resight("methods", "show", "clustr-contrast")
    assert wrong.code == 2
    assert "did you mean cluster-contrast or" in wrong.err


def test_a_shown_recipe_trains(crops: Path, tmp_path: Path, resight: Any) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(resight("methods", "show", "cluster-contrast").out)
    words = ("--recipe", recipe, *options(TINY | {"optim.epochs": 1}))
    result = resight("train", crops, "--out", tmp_path / "run", *words)
    assert result.code == 0
    assert result.out.strip() == f"{tmp_path}/run/report.html"


def test_data_check_tells_what_was_read(crops: Path, tmp_path: Path, resight: Any) -> None:
    sheet = tmp_path / "sheet.png"
    assert resight("data", "check", crops, "--sheet", sheet).code == 0
    assert sheet.exists()


@pytest.fixture
def features(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((20, 24))
    rows = np.repeat(centres, 10, axis=0) + 0.5 * rng.standard_normal((200, 24))
    np.save(tmp_path / "crowd.npy", rows.astype(np.float32))
    np.save(tmp_path / "cameras.npy", rng.integers(0, 3, 200))
    return tmp_path / "crowd.npy"


def test_features_are_clustered_and_explained(features: Path, resight: Any) -> None:
    words = ("--cameras", features.with_name("cameras.npy"), "--explain")
    result = resight("cluster", features, *words)
    folder = features.with_name("crowd-clusters")
    assert result.code == 0
    assert result.out.strip().endswith(f"{folder}/labels.parquet")
    assert "of the nearest neighbours are from another camera" in result.out
    assert "separates the crops best" in " ".join(result.out.split())
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["clusters"] == 20
    assert summary["eps"] > 0


@pytest.mark.parametrize(
    ("words", "clusters"),
    [
        (("--eps", "0.5"), 20),
        (("--eps", "auto", "--k1", "9"), 20),
        (("--k1", "9"), 20),
        (("--eps", "0.001"), 0),
    ],
)
def test_eps_and_k1_have_short_options(
    words: tuple[str, ...], clusters: int, features: Path, tmp_path: Path, resight: Any
) -> None:
    result = resight("cluster", features, "--out", tmp_path / "out", *words)
    assert result.code == 0
    assert json.loads((tmp_path / "out/summary.json").read_text())["clusters"] == clusters
    assert ("of little use: no cluster" in result.out) == (clusters == 0)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--eps", "2"), "expected auto or 0 <= eps < 1"),
        (("--eps", "0.4", "--set", "clusterer.eps=0.5"), "contradicts the option"),
        (("--memory", "20K"), "the memory limit is"),
        (("--seed", "-1"), "seed is -1, expected 0 or more"),
        (("--memory", "plenty"), "expected a size like 8G"),
        (("--cameras", "nowhere.npy"), "cannot read cameras from nowhere.npy"),
        (("--set", "optim.epochs=3"), "clustering has no such setting"),
    ],
)
def test_what_cannot_be_clustered_is_told(
    words: tuple[str, ...], told: str, features: Path, resight: Any
) -> None:
    result = resight("cluster", features, *words)
    assert result.code == 2
    assert told in result.err
    assert "Traceback" not in result.err
    assert not features.with_name("crowd-clusters").exists()
