"""`resight ablate`: a table of a paper, trained anew on other data."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import resight
from resight.api.ablation_table import Ablation, RowResult
from resight.api.clustering import bytes_of
from resight.api.evaluating import evaluate
from resight.api.training import resume, train
from resight.data import read_crops
from resight.device import Device, Precision
from resight.errors import ConfigError, ResightError, RunError
from resight.files import as_json, write_atomically
from resight.methods import Row, Table, recipe_for, table_of
from resight.parts import near
from resight.recipe import Recipe
from resight.training.run_folder import RunFolder

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass(frozen=True)
class Request:
    """What decides the figures of an ablation; all else may differ when it is continued."""

    data: str
    method: str
    table: str
    published: str | None
    settings: Mapping[str, Any]
    layout: str
    camera_pattern: str | None
    precision: str
    strict: bool


def ablate(
    data: str | Path,
    *,
    method: str,
    table: str,
    out: str | Path | None = None,
    published: str | None = None,
    seeds: int = 3,
    rows: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    layout: str = "auto",
    camera_pattern: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    compile: bool = False,
    strict: bool = False,
    memory: int | str | None = None,
) -> Ablation:
    """Train every row of a table of a method's paper with several seeds, and compare the rows.

    data: a folder or table that `read_crops` reads. method, table: as `resight methods tables`
    lists them. out: a folder (default: runs/DATA-METHOD-table-TABLE) that gets a run folder
    ROW/seed-N for each row and seed, ablation.json, table.md and table.json. published: the data
    set whose published settings to take; the paper's figures of it are then shown as comparable.
    seeds: how many, from 0 on. rows: names of some of the rows. settings: overrides for every row;
    what a row varies is the row's. The rest is as in `train`.

    The same call again continues: finished runs are kept, interrupted ones resumed; more seeds or
    other rows may be asked for. Rows with the same training share runs, and so do their teachers.
    A row that raises a ResightError is noted with its sentence and stops no other.

    Raises ConfigError for unknown names and when no row can be trained, RunError when `out` holds
    something else.
    """
    chosen = table_of(method, table)
    base = recipe_for(method, published=published).override(settings or {})
    if seeds < 1:
        raise ConfigError(f"seeds is {seeds}, expected at least 1")
    request = Request(
        data=str(Path(data).absolute()),
        method=method,
        table=table.casefold(),
        published=published,
        settings=dict(settings or {}),
        layout=layout,
        camera_pattern=camera_pattern,
        precision=precision,
        strict=strict,
    )
    wanted = _chosen_rows(chosen, rows)
    read_crops(data, layout=layout, camera_pattern=camera_pattern)
    Device.choose(device, precision)
    name = f"{Path(data).absolute().stem}-{method}-table-{table.casefold()}"
    path = Path("runs") / name if out is None else Path(out)
    options = {
        "layout": layout,
        "camera_pattern": camera_pattern,
        "device": device,
        "precision": precision,
        "compile": compile,
        "strict": strict,
        "memory": None if memory is None else bytes_of(memory),
    }
    runs = _Runs(path, Path(data), chosen, base, options)
    _claim(path, request)
    return _run_all(runs, chosen, wanted, range(seeds), published)


def _chosen_rows(table: Table, names: Sequence[str] | None) -> tuple[Row, ...]:
    """The rows of these names, or of folders named so, in the table's order; all for none."""
    if not names:
        return table.rows
    known = {row.slug: row for row in table.rows}
    slugs = [Row(name).slug for name in names]
    for name, slug in zip(names, slugs, strict=True):
        if slug not in known:
            raise ConfigError(
                f"{table.title} has no row {name!r}; {near(name, [r.name for r in table.rows])}"
            )
    return tuple(row for slug, row in known.items() if slug in slugs)


def _claim(path: Path, request: Request) -> None:
    """Write the request to a new folder, or check that it is the one that the folder is of."""
    file = path / "ablation.json"
    asked = json.loads(as_json(asdict(request)))
    if not file.exists():
        if path.is_file():
            raise RunError(f"{path} is a file: choose a folder with --out")
        if path.is_dir() and any(not f.name.startswith(".") for f in path.iterdir()):
            raise RunError(f"{path} holds other files: choose an empty or new folder with --out")
        about = {"format": FORMAT, "resight": resight.__version__, **asked}
        write_atomically(file, lambda draft: draft.write_text(as_json(about, indent=2)))
        return
    there = _read(file)
    if there.get("format") not in range(1, FORMAT + 1):
        raise RunError(f"{file} is not of this resight's format {FORMAT}: update resight")
    differing = [
        f"{key} {there.get(key)!r} there, {value!r} asked for"
        for key, value in asked.items()
        if there.get(key) != value
    ]
    if differing:
        raise RunError(
            f"{path} holds another ablation ({'; '.join(differing)}): "
            "choose another folder with --out"
        )


def _run_all(
    runs: _Runs, table: Table, wanted: Sequence[Row], seeds: range, published: str | None
) -> Ablation:
    """Train row by row, and write the table after each."""
    log.info("%s: %d rows, %d seeds each, in %s", table.title, len(wanted), len(seeds), runs.path)
    results: list[RowResult] = []
    for row in wanted:
        results.append(_run_row(runs, row, seeds))
        found = Ablation(runs.path, table.title, table.note, tuple(results), published)
        found.write()
    if not any(result.figures for result in results):
        raise ConfigError(
            f"no row of {table.title!r} could be trained: {results[0].name}: {results[0].problem}"
        )
    return found


def _run_row(runs: _Runs, row: Row, seeds: range) -> RowResult:
    figures: list[Mapping[str, float | None]] = []
    problem = None
    for seed in seeds:
        log.info("row %r, seed %d", row.name, seed)
        try:
            figures.append(runs.figures(row, seed))
        except ConfigError as error:  # the same with any seed
            log.warning("row %r: %s", row.name, error)
            problem = str(error)
            break
        except ResightError as error:
            log.warning("row %r, seed %d: %s", row.name, seed, error)
            problem = problem or str(error)
    return RowResult(row.name, tuple(figures), row.paper, problem)


class _Runs:
    """The runs of an ablation: where each of them lies, trained when it is first asked for."""

    def __init__(
        self, path: Path, data: Path, table: Table, base: Recipe, options: Mapping[str, Any]
    ) -> None:
        self.path = path
        self._data = data
        self._base = base
        self._options = options
        self._places = _places(table, base)

    def figures(self, row: Row, seed: int) -> Mapping[str, float | None]:
        """The figures of a row, kept beside its run, which is trained or continued until done."""
        run = self._trained(row.recipe(self._base), seed)
        file = self.path / row.slug / f"seed-{seed}.json"
        if not file.exists():
            if row.evaluate:
                result = evaluate(run, self._data, **row.evaluate, **self._reading())
            else:
                result = _read(run / "evaluation.json")
            write_atomically(file, lambda draft: draft.write_text(as_json(result, indent=2)))
        return _figures(file)

    def _reading(self) -> dict[str, Any]:
        names = ("layout", "camera_pattern", "device", "precision")
        return {name: self._options[name] for name in names}

    def _trained(self, recipe: Recipe, seed: int) -> Path:
        """The finished run of a recipe; a teacher that is trained first is a run of its own."""
        folder = self.path / self._places[recipe] / f"seed-{seed}"
        if (folder / "evaluation.json").exists():
            _check_recipe(folder, recipe)
            return folder
        teacher = recipe.teacher
        if teacher is not None and teacher.is_trained_first:
            run = self._trained(_of_teacher(recipe), seed).absolute()
            told = replace(teacher, run=str(run), epochs=None)
            recipe = replace(recipe, teacher=told)
        if (folder / "run.json").exists():
            _check_recipe(folder, recipe)
            return resume(folder)
        return train(
            self._data, out=folder, recipe=recipe, seed=seed, evaluate_every=0, **self._options
        )


def _places(table: Table, base: Recipe) -> dict[Recipe, str]:
    """The folder of each recipe that is trained: its row's, the first one's where rows share it."""
    places: dict[Recipe, str] = {}
    teachers: dict[Recipe, str] = {}
    for row in table.rows:
        try:
            recipe = row.recipe(base)
        except ConfigError:
            continue  # told when the row's turn comes
        places.setdefault(recipe, row.slug)
        if recipe.teacher is not None and recipe.teacher.is_trained_first:
            teachers.setdefault(_of_teacher(recipe), f"teacher-of-{row.slug}")
    return teachers | places


def _of_teacher(recipe: Recipe) -> Recipe:
    """The recipe of the teacher, equal to that of a row that trains the same."""
    return replace(recipe.of_teacher(), name=recipe.name)


def _check_recipe(folder: Path, recipe: Recipe) -> None:
    """Raise RunError unless the run was started with this recipe, wherever its teacher lies."""
    if _without_run(RunFolder.open(folder).recipe()) != _without_run(recipe):
        raise RunError(
            f"{folder} was trained with other settings than its row has now, by another version "
            "of resight: choose another folder with --out"
        )


def _without_run(recipe: Recipe) -> Recipe:
    teacher = recipe.teacher
    if teacher is None or teacher.epochs == 0:
        return recipe
    return replace(recipe, teacher=replace(teacher, run=None, epochs=None))


def _figures(file: Path) -> Mapping[str, float | None]:
    figures = _read(file).get("figures")
    if not isinstance(figures, dict):
        raise RunError(f"{file} holds no figures: delete it, and the same command makes it anew")
    return figures


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from error
    except (TypeError, ValueError) as error:
        raise RunError(f"{file} is damaged, it should hold JSON: {error}") from error
