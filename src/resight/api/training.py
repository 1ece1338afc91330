"""`resight train` and `resight resume`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from resight.api.clustering import bytes_of
from resight.api.evaluating import evaluate
from resight.api.reporting import report
from resight.data import ImageStore, read_crops
from resight.data.feedback import Decision
from resight.data.feedback import read as read_decisions
from resight.device import Precision
from resight.methods import default_for, recipe_for
from resight.recipe import Recipe
from resight.training.run_folder import RunFolder, RunSettings, new_run_path
from resight.training.teacher import FOLDER, find_teacher
from resight.training.train import check, prepare, run

log = logging.getLogger(__name__)


def train(
    data: str | Path,
    *,
    out: str | Path | None = None,
    method: str | None = None,
    published: str | None = None,
    recipe: str | Path | Recipe | None = None,
    settings: Mapping[str, Any] | None = None,
    layout: str = "auto",
    camera_pattern: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    compile: bool = False,
    strict: bool = False,
    evaluate_every: int = 5,
    memory: int | str | None = None,
    feedback: str | Path | None = None,
) -> Path:
    """Train an encoder on unlabelled crops, evaluate and report it; returns the run folder.

    data: a folder or table that `read_crops` reads. out: a new run folder (default: a free name
    under runs/). method: one that `list_methods()` names (default: camera-contrast where several
    cameras are known, else cluster-contrast); published: the data set whose published settings to
    take; recipe: a Recipe or a YAML file instead of a method. settings: overrides such as
    {"optim.epochs": 20}. evaluate_every: epochs between evaluations on labelled query and gallery
    crops, 0 for none. memory: bytes that clustering may use besides the features, or "8G".
    feedback: a gallery or a .jsonl file with what people decided about pairs of crops; the
    pseudo-labels of every epoch obey it, and the run keeps a copy. Identities, when the data have
    them, are only reported.

    A recipe with a teacher that is trained first does that in the folder's `teacher`, a run of its
    own, and then trains the student.

    Raises ResightError subclasses for everything that the caller can mend.
    """
    crops = read_crops(data, layout=layout, camera_pattern=camera_pattern)
    method = method or default_for(crops, published=published)
    chosen = _teacher_anywhere(_recipe(method, published, recipe).override(settings or {}))
    asked = RunSettings(
        data=str(Path(data).absolute()),
        root=str(crops.root.absolute()),
        layout=layout,
        camera_pattern=camera_pattern,
        seed=seed,
        device=device,
        precision=precision,
        compile=compile,
        strict=strict,
        evaluate_every=evaluate_every,
        memory=None if memory is None else bytes_of(memory),
        feedback=None if feedback is None else str(Path(feedback).absolute()),
    )
    decisions = None if feedback is None else read_decisions(feedback)
    path = new_run_path(Path("runs"), _name(data, chosen)) if out is None else Path(out)
    RunFolder.check_free(path)
    store = ImageStore.open(crops, size=chosen.size, strict=strict)
    check(chosen, asked, store, decisions)
    return _stages(RunFolder.create(path, chosen, asked, decisions), chosen, asked, store)


def resume(
    run_folder: str | Path, *, device: str | None = None, memory: int | str | None = None
) -> Path:
    """Continue a run after its last finished epoch; returns the run folder.

    device, memory: instead of those that the run was started with; None keeps these. On the same
    CPU the weights become, bit for bit, those of the run that was never stopped. A run that is
    finished is evaluated and reported again. Raises RunError when `run_folder` is none.
    """
    folder = RunFolder.open(run_folder)
    asked, recipe = folder.settings(), folder.recipe()
    if device is not None:
        asked = replace(asked, device=device)
    if memory is not None:
        asked = replace(asked, memory=bytes_of(memory))
    crops = read_crops(asked.data, layout=asked.layout, camera_pattern=asked.camera_pattern)
    store = ImageStore.open(crops, size=recipe.size, strict=asked.strict)
    check(recipe, asked, store, folder.decisions())
    return _stages(folder, recipe, asked, store)


def _stages(folder: RunFolder, recipe: Recipe, asked: RunSettings, store: ImageStore) -> Path:
    """Train the teacher, where the recipe has one to train, and then the encoder itself."""
    if recipe.teacher is not None and recipe.teacher.is_trained_first:
        path = folder.path / FOLDER
        first = _opened(path, recipe.of_teacher(), asked, folder.decisions())
        if not (first.is_finished and (path / "report.html").exists()):
            log.info("first stage: the teacher, in %s", path)
            _stage(first, recipe.of_teacher(), asked, store)
        log.info("second stage: the student")
    return _stage(folder, recipe, asked, store)


def _opened(
    path: Path, recipe: Recipe, asked: RunSettings, decisions: Sequence[Decision] | None
) -> RunFolder:
    is_run = (path / "run.json").exists()
    return RunFolder.open(path) if is_run else RunFolder.create(path, recipe, asked, decisions)


def _stage(folder: RunFolder, recipe: Recipe, asked: RunSettings, store: ImageStore) -> Path:
    if store.broken:
        folder.write_json("unreadable.json", {b.path: b.reason for b in store.broken})
    teacher = find_teacher(recipe, folder.path, seed=asked.seed)
    learner = prepare(recipe, asked, store, teacher, folder.decisions())
    run(folder, learner, evaluate_every=asked.evaluate_every)
    evaluate(folder.path)
    report(folder.path)
    return folder.path


def _teacher_anywhere(recipe: Recipe) -> Recipe:
    """The recipe, with the run of its teacher found from any folder that it is resumed from."""
    teacher = recipe.teacher
    if teacher is None or teacher.run is None:
        return recipe
    return replace(recipe, teacher=replace(teacher, run=str(Path(teacher.run).absolute())))


def _recipe(method: str, published: str | None, recipe: str | Path | Recipe | None) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if recipe is None:
        return recipe_for(method, published=published)
    return Recipe.read(recipe)


def _name(data: str | Path, recipe: Recipe) -> str:
    return f"{Path(data).absolute().stem}-{recipe.name}"
