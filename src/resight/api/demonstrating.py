"""`resight demo`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from resight.api.evaluating import Judge, summary
from resight.api.evaluation_files import compared, write_evaluation
from resight.api.reporting import report
from resight.clustering import TrueLabels
from resight.data import ImageStore, read_crops
from resight.data.demo import render_world
from resight.device import Device
from resight.methods import default_for, recipe_for
from resight.models import load
from resight.recipe import Recipe
from resight.training.run_folder import RunFolder, RunSettings
from resight.training.train import prepare, run

log = logging.getLogger(__name__)

PROTOCOL = "camera-pairs"
SHORT = {"optim.epochs": 10}


def demo(
    out: str | Path = "demo",
    *,
    world: str = "standard",
    identities: int = 180,
    train_identities: int = 120,
    cameras: int = 6,
    shots: int = 4,
    bound: bool = False,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Path:
    """Render a small town, learn to find its people again without labels, and report.

    out: a folder that gets `world-…` (the pictures, reused by later calls) and `run-…`. The first
    `train_identities` are trained on, the others only searched for: none of them is seen in
    training. bound: also train the same network, with the same settings, on the true labels.
    settings: overrides of the recipe, e.g. {"optim.epochs": 2}. Returns the run folder.

    An interrupted demo continues when it is called again. Raises ResightError subclasses for what
    the caller can mend.
    """
    name = f"{world}-{identities}-{cameras}x{shots}-seed{seed}"
    place = Path(out)
    data = render_world(
        place / f"world-{name}-{train_identities}",
        world=world,
        identities=identities,
        train_identities=train_identities,
        cameras=cameras,
        shots=shots,
        seed=seed,
    )
    crops = read_crops(data)
    recipe = recipe_for(default_for(crops)).override({**SHORT, **(settings or {})})
    store = ImageStore.open(crops, size=recipe.size)
    asked = RunSettings(
        data=str(data.absolute()),
        root=str(crops.root.absolute()),
        seed=seed,
        device=device,
        evaluate_every=2,
    )
    folder = _trained(place / f"run-{name}", recipe, asked, store)
    supervised = replace(recipe, name="with labels", clusterer=TrueLabels())
    labelled = _trained(place / f"bound-{name}", supervised, asked, store) if bound else None
    _compare(folder, labelled, Judge(store, Device.choose(device), protocol=PROTOCOL), seed)
    report(folder.path)
    return folder.path


def _trained(path: Path, recipe: Recipe, asked: RunSettings, store: ImageStore) -> RunFolder:
    """The finished run at `path`: new, continued, or already there."""
    there = (path / "run.json").exists()
    folder = RunFolder.open(path) if there else None
    learner = prepare(folder.recipe() if folder else recipe, asked, store)
    folder = folder or RunFolder.create(path, recipe, asked)
    run(folder, learner, evaluate_every=asked.evaluate_every)
    return folder


def _compare(folder: RunFolder, bound: RunFolder | None, judge: Judge, seed: int) -> None:
    """Write the evaluation of the run beside its baselines and, where there is one, its bound."""
    features = judge.embed(load(folder.path)[0])
    evaluation = judge.figures(features)
    comparison = judge.baselines(folder.recipe().encoder, seed=seed)
    comparison.append(compared("trained without labels", evaluation))
    if bound is not None:
        labelled = judge.figures(judge.embed(load(bound.path)[0]))
        comparison.append(compared("trained with labels", labelled))
    write_evaluation(folder, judge, features, evaluation, comparison)
    for row in comparison:
        log.info("%-32s %s", row["name"], summary(row["figures"]))
