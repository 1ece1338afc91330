"""docs/reproduce.md: its commands build, its figures are the tables', its sums are right."""

import contextlib
import math
import re
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import typer.main
from torch.utils.flop_counter import FlopCounterMode

from resight.cli import app
from resight.clustering import Switch
from resight.data.layouts import layout_named
from resight.data.published import PUBLISHED
from resight.errors import ConfigError
from resight.graph import Fused
from resight.losses import Distillation, InstanceLoss
from resight.methods import DATA_SETS, METHODS, recipe_for, table_of
from resight.models import EncoderSpec, build_encoder
from resight.models.backbones import BACKBONES
from resight.recipe import Recipe, misfits, parse_settings

PAGE = Path(__file__).parents[1] / "docs" / "reproduce.md"
TEXT = PAGE.read_text(encoding="utf-8")
FOLDERS = {folder: name for name, folder in DATA_SETS.items()}
BORROWED = {  # settings of another data set, as the notes say
    ("CUHK03", "market1501"),
    *((folder, "market1501-paper") for folder in ("MSMT17", "PersonX", "VeRi-776")),
}
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(resight [^`]+)`")
COMMANDS = sorted(
    {line for block in BLOCK.findall(TEXT) for line in block.splitlines() if line[:1] not in "#"}
    | set(SPAN.findall(TEXT))
)
PROGRAM = typer.main.get_command(app)
GIGA, TERA, PETA = 1e9, 1e12, 1e15


def options(line: str) -> tuple[str, dict[str, Any]]:
    """The command's name, and its options as the command line itself reads them."""
    program, *words = shlex.split(line, comments=True)
    assert program == "resight"
    command: Any = PROGRAM
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    asked = dict(command.make_context(command.name, words).params)
    if asked.get("published") and asked.get("method", "") is None:
        asked["method"] = "cluster-contrast"
    return command.name, asked


def recipe_of(asked: dict[str, Any]) -> Recipe:
    """As `train` and `ablate` make it of these options."""
    short = {"encoder.backbone": asked.get("backbone"), "encoder.weights": asked.get("weights")}
    given = {key: value for key, value in short.items() if value is not None}
    base = recipe_for(asked["method"], published=asked["published"])
    return base.override({**parse_settings(asked["set_"] or []), **given})


def rows(heading: str) -> list[list[str]]:
    """The cells of all tables on the page whose first column has this heading."""
    found, inside = [], False
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif not inside:
            inside = cells[0] == heading
        elif set(line) - set("|-"):
            found.append(cells)
    return found


RESULTS = [(row[0], row[1].strip("`"), row[2:6], row[6]) for row in rows("result")]


def test_the_page_was_read() -> None:
    assert sum(line.startswith("resight ablate") for line in COMMANDS) > 30
    assert len(RESULTS) == 10 + 3 + 8 + 9 + 18 + 3 + 3 + 3 + 2 + 3 + 4


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_build_recipes_that_fit_together(line: str) -> None:
    name, asked = options(line)
    if name not in ("train", "ablate"):
        return
    recipe = recipe_of(asked)
    assert misfits(recipe) == []
    assert recipe.encoder.backbone in BACKBONES
    assert asked["layout"] == "auto" or layout_named(asked["layout"]) is not None
    folder, published = str(asked["data"]), asked["published"]
    own = FOLDERS.get(folder) == published.removesuffix("-paper")
    assert own or (folder, published) in BORROWED
    if name == "ablate":
        for row in table_of(asked["method"], asked["table"]).rows:
            assert misfits(row.recipe(recipe)) == []


def test_an_unknown_name_in_a_command_is_found() -> None:
    for wrong in ("--method cgcc", "--for marked1501", "--set memory.moment=1"):
        _, asked = options(f"resight train Market-1501 --for market1501 {wrong}")
        with pytest.raises(ConfigError):
            recipe_of(asked)


def test_every_table_of_every_method_has_a_command() -> None:
    named = {(a["method"], a["table"]) for name, a in map(options, COMMANDS) if name == "ablate"}
    assert named == {(m.name, table) for m in METHODS.values() for table in m.tables}


def test_figures_are_percent_and_the_readers_column_is_empty() -> None:
    for label, _, figures, own in RESULTS:
        printed = [float(figure) for figure in figures if figure != "–"]
        assert len(printed) in (2, 4), label
        assert 10 < printed[0] < printed[1] < 100, label
        assert printed[1:] == sorted(printed[1:]), label
        assert own == ""


@cache
def printed_for(paper: str, published: str, data_set: str) -> list[tuple[Recipe, Any]]:
    """The recipes of all rows of a paper's tables, and their mAP and Rank-1 on this data set."""
    base, found = recipe_for(paper, published=published), []
    for row in (row for table in METHODS[paper].tables.values() for row in table.rows):
        if data_set in row.paper and not row.evaluate:
            with contextlib.suppress(ConfigError):  # a row that waits for a file of weights
                found.append((row.recipe(base), row.paper[data_set]))
    return found


def of_tables(asked: dict[str, Any]) -> list[tuple[float, float]]:
    """What the paper's tables print for the recipe of this command."""
    paper = "acfl" if asked["method"].startswith("acfl") else asked["method"]
    data_set = FOLDERS.get(str(asked["data"]), "")
    wanted = replace(recipe_of(asked), name=paper)
    rows_of_paper = printed_for(paper, asked["published"], data_set)
    return [figures for recipe, figures in rows_of_paper if recipe == wanted]


def test_figures_are_those_of_the_tables() -> None:
    compared = 0
    for label, line, figures, _ in RESULTS:
        _, asked = options(line)
        if asked["method"] == "cluster-contrast" and not asked["published"].endswith("-paper"):
            continue  # of a later version of the paper than its tables
        there = of_tables(asked)
        assert not there or (float(figures[0]), float(figures[1])) in there, label
        compared += bool(there)
    assert compared >= 1 + 8 + 27 + 12 + 4


@pytest.mark.parametrize("cells", rows("network"), ids=lambda cells: f"{cells[0]} {cells[1]}")
def test_operations_are_those_of_the_counter(cells: list[str]) -> None:
    height, width = map(int, re.findall(r"\d+", cells[1]))
    for backbone in re.findall(r"`(\w+)`", cells[0]):
        is_vit = backbone == "vit_small"
        spec = EncoderSpec(
            backbone,
            weights="none",
            pooling="token" if is_vit else "gem",
            last_stride=2 if is_vit else 1,
        )
        assert [f"{value:.1f}" for value in operations(spec, height, width)] == cells[2:]


def operations(spec: EncoderSpec, height: int, width: int) -> list[float]:
    """GFLOP of an image: forward; forward and backward; forward and the gradient to the image."""
    with torch.device("meta"):
        encoder = build_encoder(spec)
    pair = torch.zeros(2, 3, height, width, device="meta")
    found = []
    for weights, image, backward in ((1, 0, False), (1, 0, True), (0, 1, True)):
        encoder.requires_grad_(bool(weights))
        with FlopCounterMode(display=False) as counter:
            out = encoder.embed(pair.clone().requires_grad_(bool(image)))["global"].sum()
            if backward:
                out.backward()
        found.append(counter.get_total_flops() / len(pair) / GIGA)
    return found


GFLOP = {  # by backbone, at 256 x 128: forward; forward and backward; to the image
    backbone: [float(value) for value in cells[2:]]
    for cells in rows("network")
    for backbone in re.findall(r"`(\w+)`", cells[0])
    if cells[1] == "256 × 128"
}
SECONDS = {cells[0].split(" (")[0]: cells[1:3] for cells in rows("t")}
COUNTS = {b.name.removesuffix(" (V1 or V2)"): b.splits for b in PUBLISHED}


def cost(recipe: Recipe) -> float:
    """GFLOP to train on an image, of a student without its teacher's pass."""
    _, trained, to_image = GFLOP[recipe.encoder.backbone]
    made = [t for t in recipe.losses if isinstance(t, InstanceLoss) and t.positives == "generated"]
    return trained + sum(term.steps * to_image + trained for term in made)


def stage(recipe: Recipe, n: int, m: int, column: int) -> tuple[float, float]:
    """FLOP of a run and seconds of its clustering, without the run of its teacher."""
    forward, optim, epochs = GFLOP[recipe.encoder.backbone][0], recipe.optim, recipe.total_epochs
    in_epoch = optim.iterations * recipe.batches.identities * recipe.batches.instances or n
    images = optim.epochs * in_epoch
    trained = images * cost(recipe)
    if recipe.teacher is not None:
        assert any(isinstance(term, Distillation) for term in recipe.losses)
        trained += images * forward + recipe.teacher.warm_up * in_epoch * cost(recipe)
    seen = epochs * n + (math.ceil(epochs / 5) + 1) * m
    kinds = [kind_of(recipe, epoch) for epoch in range(epochs)]
    seconds = sum(float(SECONDS[kind][column]) for kind in kinds)
    return (trained + seen * forward) * GIGA, seconds


def kind_of(recipe: Recipe, epoch: int) -> str:
    if isinstance(recipe.graph, Fused):
        return "three graphs, DBSCAN, silhouettes"
    switched = isinstance(recipe.clusterer, Switch) and epoch >= recipe.clusterer.epoch
    return f"graph, {'HDC' if switched else 'DBSCAN'}, silhouettes"


@pytest.mark.parametrize("cells", rows("run"), ids=lambda cells: cells[0])
def test_hours_are_what_the_formula_gives(cells: list[str]) -> None:
    method, folder = re.findall(r"`([\w-]+)`", cells[0])
    recipe = recipe_for(method, published=FOLDERS[folder])
    splits = COUNTS[folder]
    n, m = (splits[s].images or 0 for s in ("train", "query"))
    m += splits["gallery"].images or 0
    column = ("Market-1501", "MSMT17").index(folder)
    runs = [recipe] if recipe.teacher is None else [recipe.of_teacher(), recipe]
    work, seconds = map(sum, zip(*(stage(run, n, m, column) for run in runs), strict=True))
    hours = [work / (speed * TERA) / 3600 for speed in (20, 50, 100)]
    told = [f"{work / PETA:.0f}", *(f"{h:.1f}" for h in hours), f"{seconds / 3600:.2f}"]
    assert cells[1:] == told


@pytest.mark.parametrize("cells", rows("data set"), ids=lambda cells: cells[0])
def test_sizes_are_what_the_formulas_give(cells: list[str]) -> None:
    name = "CUHK03 labelled, new protocol" if cells[0].startswith("CUHK03") else cells[0]
    splits = COUNTS[name]
    images = sum(split.images or 0 for split in splits.values())
    stores = [images * side * width * 3 / GIGA for side, width in ((256, 128), (224, 224))]
    features = 4 * (splits["train"].images or 0) * 2048 / GIGA
    assert cells[1:] == [f"{images:,}", *(f"{gb:.2f} GB" for gb in (*stores, features))]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (PAGE.parent / target).exists(), target
    assert "docs/reproduce.md" in (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
