"""`resight ablate`: a table of a paper, trained anew on other data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from resight.api.ablation_folder import AblationFolder, Request
from resight.api.ablation_table import Ablation, RowResult, SeedFigures
from resight.api.clustering import bytes_of
from resight.api.evaluating import evaluate
from resight.api.training import resume, train
from resight.data import ImageStore, read_crops
from resight.device import Device, Precision
from resight.errors import ConfigError, ResightError, RunError
from resight.evaluation import automatic_protocol
from resight.files import digest_of
from resight.methods import Row, Table, recipe_for, table_of
from resight.parts import near
from resight.recipe import Recipe, misfits
from resight.records import Crops
from resight.training.run_folder import RunFolder, RunSettings
from resight.training.train import check

log = logging.getLogger(__name__)

ENDS_IN = ("model.safetensors", "evaluation.json", "report.html")


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

    The same call again continues: finished runs are kept, interrupted ones resumed, on another
    device or with other memory if so asked; more seeds or other rows may be asked for, and the
    table shows all that are finished. Rows with the same training share runs, and so do their
    teachers. All rows are checked before the first is trained. A row that raises a ResightError is
    noted with its sentence and stops no other.

    Raises ConfigError for unknown names and when no row can be trained, RunError when `out` holds
    something else or another process is at it.
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
    name = f"{Path(data).absolute().stem}-{method}-table-{table.casefold()}"
    folder = AblationFolder(Path("runs") / name if out is None else Path(out))
    folder.check(request)
    crops = read_crops(data, layout=layout, camera_pattern=camera_pattern)
    Device.choose(device, precision)
    options = {
        "layout": layout,
        "camera_pattern": camera_pattern,
        "device": device,
        "precision": precision,
        "compile": compile,
        "strict": strict,
        "memory": None if memory is None else bytes_of(memory),
    }
    runs = _Runs(folder, Path(data), chosen, base, options, automatic_protocol(crops))
    problems = runs.problems(wanted, crops)
    if len(problems) == len(wanted) and not folder.is_claimed:
        raise _no_row(chosen, problems)
    with folder.lock():
        folder.claim(request)
        return _run_all(runs, chosen, wanted, range(seeds), problems, published)


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


def _run_all(
    runs: _Runs,
    table: Table,
    wanted: Sequence[Row],
    seeds: range,
    problems: Mapping[str, str],
    published: str | None,
) -> Ablation:
    """Train row by row, and write the table of all finished rows after each."""
    path = runs.folder.path
    log.info("%s: %d rows, %d seeds each, in %s", table.title, len(wanted), len(seeds), path)
    results = {row.name: RowResult(row.name, runs.kept(row), row.paper) for row in table.rows}
    for row in wanted:
        before = replace(results[row.name], problem=problems.get(row.name))
        results[row.name] = _run_row(runs, row, seeds, before)
        found = Ablation(path, table.title, table.note, tuple(results.values()), published)
        found.write()
    if not any(results[row.name].figures for row in wanted):
        raise _no_row(table, {row.name: results[row.name].problem or "" for row in wanted})
    return found


def _no_row(table: Table, problems: Mapping[str, str]) -> ConfigError:
    """What keeps the rows from being trained, rows with the same problem together."""
    alike: dict[str, list[str]] = {}
    for name, problem in problems.items():
        alike.setdefault(problem, []).append(name)
    told = "; ".join(f"{', '.join(names)}: {problem}" for problem, names in alike.items())
    return ConfigError(f"no row of {table.title!r} can be trained: {told}")


def _run_row(runs: _Runs, row: Row, seeds: range, before: RowResult) -> RowResult:
    """The row with the seeds that it lacked, and the problem of the first that it still lacks."""
    missing = [seed for seed in seeds if seed not in before.figures]
    if not missing:
        return replace(before, problem=None)
    if before.problem is not None:
        log.warning("row %r: %s", row.name, before.problem)
        return before
    figures: dict[int, SeedFigures] = {**before.figures}
    problem = None
    for seed in missing:
        log.info("row %r, seed %d", row.name, seed)
        try:
            figures[seed] = runs.figures(row, seed)
        except ResightError as error:
            log.warning("row %r, seed %d: %s", row.name, seed, error)
            problem = problem or str(error)
    return replace(before, figures=dict(sorted(figures.items())), problem=problem)


class _Runs:
    """The runs of an ablation: where each of them lies, trained when it is first asked for."""

    def __init__(
        self,
        folder: AblationFolder,
        data: Path,
        table: Table,
        base: Recipe,
        options: Mapping[str, Any],
        protocol: str,
    ) -> None:
        self.folder = folder
        self._data = data
        self._base = base
        self._options = options
        self._protocol = protocol
        self._recipes = _recipes(table, base)
        self._places = _places(self._recipes)

    def problems(self, rows: Sequence[Row], crops: Crops) -> dict[str, str]:
        """What would keep each row from being trained; nothing of those that can be."""
        names = ("layout", "camera_pattern", "device", "precision", "strict")
        asked = RunSettings(
            data=str(self._data), root=str(crops.root), **{n: self._options[n] for n in names}
        )
        checked: dict[Recipe, str | None] = {}
        found = {}
        for row in rows:
            try:
                recipe = row.recipe(self._base)
            except ConfigError as error:
                found[row.name] = str(error)
                continue
            if recipe not in checked:
                checked[recipe] = _problem(recipe, asked, crops)
            if problem := checked[recipe]:
                found[row.name] = problem
        return found

    def kept(self, row: Row) -> dict[int, SeedFigures]:
        """The figures of the seeds that are finished; of other models and options, none."""
        found: dict[int, SeedFigures] = {}
        recipe = self._recipes.get(row.slug)
        if recipe is None:
            return found
        for seed in self.folder.seeds(row.slug):
            with suppress(ResightError):
                run = self._run(recipe, seed)
                if not _is_done(run):
                    continue
                _check_recipe(run, recipe)
                figures = self.folder.kept(row.slug, seed, of=self._of(run, row))
                if figures is not None:
                    found[seed] = figures
        return found

    def figures(self, row: Row, seed: int) -> SeedFigures:
        """Evaluate a row's run, which is trained or continued until done, and keep the figures."""
        run = self._trained(self._recipes[row.slug], seed)
        names = ("layout", "camera_pattern", "device", "precision")
        reading = {name: self._options[name] for name in names}
        of = self._of(run, row)
        figures: SeedFigures = evaluate(run, self._data, **row.evaluate, **reading)["figures"]
        self.folder.keep(row.slug, seed, figures, of=of)
        return figures

    def _of(self, run: Path, row: Row) -> dict[str, Any]:
        """What a row's figures are of: the weights, and the options of the evaluation."""
        return {
            "model": digest_of(run / "model.safetensors"),
            "options": {"protocol": self._protocol, **row.evaluate},
        }

    def _run(self, recipe: Recipe, seed: int) -> Path:
        return self.folder.run(self._places[recipe], seed)

    def _trained(self, recipe: Recipe, seed: int) -> Path:
        """The finished run of a recipe; a teacher that is trained first is a run of its own."""
        run = self._run(recipe, seed)
        is_started = (run / "run.json").exists()
        if is_started:
            _check_recipe(run, recipe)
            if _is_done(run):
                return run
        teacher = recipe.teacher
        if teacher is not None and teacher.is_trained_first:
            source = self._trained(_of_teacher(recipe), seed).absolute()
            told = replace(teacher, run=str(source), epochs=None)
            recipe = replace(recipe, teacher=told)
        options = self._options
        if is_started:
            return resume(run, device=options["device"], memory=options["memory"])
        return train(self._data, out=run, recipe=recipe, seed=seed, evaluate_every=0, **options)


def _problem(recipe: Recipe, asked: RunSettings, crops: Crops) -> str | None:
    """What would keep a recipe from being trained on these crops."""
    try:
        check(recipe, asked, ImageStore.open(crops, size=recipe.size, strict=asked.strict))
    except ResightError as error:
        return str(error)
    return None


def _recipes(table: Table, base: Recipe) -> dict[str, Recipe]:
    """The recipe of each row by its folder, of rows whose parts fit together."""
    found = {}
    for row in table.rows:
        with suppress(ConfigError):  # told when the rows are checked
            recipe = row.recipe(base)
            if not misfits(recipe):
                found[row.slug] = recipe
    return found


def _places(recipes: Mapping[str, Recipe]) -> dict[Recipe, str]:
    """The folder of each recipe that is trained: its row's, the first one's where rows share it."""
    places: dict[Recipe, str] = {}
    teachers: dict[Recipe, str] = {}
    for slug, recipe in recipes.items():
        places.setdefault(recipe, slug)
        if recipe.teacher is not None and recipe.teacher.is_trained_first:
            teachers.setdefault(_of_teacher(recipe), f"teacher-of-{slug}")
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


def _is_done(run: Path) -> bool:
    """Whether a run is trained to its last epoch, and then evaluated and reported."""
    is_run = (run / "run.json").exists() and all((run / name).exists() for name in ENDS_IN)
    return is_run and RunFolder.open(run).is_finished
