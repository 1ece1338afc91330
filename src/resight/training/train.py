"""A whole run: from a recipe and crops to a trained encoder, resumable at every epoch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resight.data import ImageStore
from resight.data.colour import colour_histogram
from resight.data.feedback import Decision
from resight.device import Device, keep_freed_memory
from resight.errors import ConfigError, DataError
from resight.evaluation import evaluate
from resight.models import Encoder, build_encoder, save
from resight.recipe import Recipe
from resight.records import Features, IntArray
from resight.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from resight.training.epoch import run_epoch
from resight.training.extract import extract
from resight.training.feed import Feed
from resight.training.feedback import check_decisions, find_links
from resight.training.learner import Learner
from resight.training.record import epoch_record
from resight.training.run_folder import RunFolder, RunSettings
from resight.training.teacher import find_teacher

log = logging.getLogger(__name__)


def check(
    recipe: Recipe,
    settings: RunSettings,
    store: ImageStore,
    decisions: Sequence[Decision] | None = None,
) -> None:
    """Raise what would keep these from being trained together, before anything is written.

    ConfigError and DataError say what does not fit, Contradiction which decisions do not; a
    teacher that was trained before is opened.
    """
    if settings.seed < 0:
        raise ConfigError(f"seed is {settings.seed}, expected 0 or more")
    rows = _rows(store)
    if len(rows) < 2:
        raise DataError(
            f"{settings.data} has {len(rows)} readable training crops: at least 2 needed"
        )
    recipe.check(store.crops.select(rows))
    if decisions is not None:
        check_decisions(decisions, store.crops)
    Device.choose(settings.device, settings.precision)  # type: ignore[arg-type]
    _check_encoder(recipe, seed=settings.seed)
    if recipe.teacher is not None and not recipe.teacher.is_trained_first:
        find_teacher(recipe, Path(), seed=settings.seed)


def _check_encoder(recipe: Recipe, *, seed: int) -> None:
    encoder = build_encoder(recipe.encoder, seed=seed).eval()
    try:
        with torch.inference_mode():
            encoder(torch.zeros(1, 3, *recipe.size))
    except AssertionError as error:  # how timm's transformers refuse a size
        height, width = recipe.size
        raise ConfigError(
            f"{recipe.encoder.backbone!r} takes no images of {height} x {width} "
            f"({str(error).rstrip('.')}): set another size, or another encoder.backbone"
        ) from error


def prepare(
    recipe: Recipe,
    settings: RunSettings,
    store: ImageStore,
    teacher: Encoder | None = None,
    decisions: Sequence[Decision] | None = None,
) -> Learner:
    """Everything that training needs.

    teacher: of a recipe that has one. decisions: people's on pairs, None where nobody was asked.
    """
    rows = _rows(store)
    device = Device.choose(settings.device, settings.precision)  # type: ignore[arg-type]
    encoder = build_encoder(recipe.encoder, seed=settings.seed).to(device.place)
    trained = [p for p in encoder.parameters() if p.requires_grad]
    optim = recipe.optim
    return Learner(
        recipe=recipe,
        encoder=encoder,
        forward=torch.compile(encoder) if settings.compile else encoder,  # type: ignore[arg-type]
        optimizer=torch.optim.Adam(trained, lr=optim.lr, weight_decay=optim.weight_decay),
        feed=Feed(store, device),
        crops=store.crops,
        rows=rows,
        device=device,
        seed=settings.seed,
        teacher=None if teacher is None else teacher.to(device.place).requires_grad_(False),
        memory=settings.memory,
        colour=colour_histogram(store.images[rows]) if recipe.graph.colour else None,
        links=None if decisions is None else find_links(decisions, store.crops, rows),
    )


def _rows(store: ImageStore) -> IntArray:
    return np.flatnonzero(store.crops.splits == "train")


def run(folder: RunFolder, learner: Learner, *, evaluate_every: int) -> None:
    """Train until the recipe's last epoch, from wherever the folder's checkpoint stands.

    After every epoch the labels, the checkpoint, the log and the model are replaced, each in one
    step; whatever ends the process loses at most the running epoch. evaluate_every: epochs between
    evaluations, 0 for none.
    """
    epochs = learner.recipe.total_epochs
    crops = learner.crops.select(learner.rows)
    keep_freed_memory()
    with folder.lock():
        progress = load_checkpoint(folder.checkpoint, **_state(learner))
        if progress is None:
            progress = Progress(0, ())
        else:
            folder.check_crops(progress.epochs_done - 1, crops)
            _write_state(folder, learner, progress)
        _announce(learner, progress)
        for number in range(progress.epochs_done, epochs):
            result = run_epoch(learner, number, progress.log)
            previous = folder.read_labels(number - 1) if number else None
            record = epoch_record(learner, number, result, previous)
            if _is_due(number, evaluate_every, epochs):
                record |= held_out(learner)
            progress = Progress(number + 1, (*progress.log, record))
            folder.write_labels(number, crops, result.labels, result.silhouettes)
            save_checkpoint(folder.checkpoint, progress, **_state(learner))
            _write_state(folder, learner, progress)
            log.info("%s", describe(record))


def _state(learner: Learner) -> dict[str, Any]:
    """What changes from epoch to epoch; a teacher, where it follows the student."""
    settings = learner.recipe.teacher
    follows = settings is not None and settings.momentum < 1
    return {
        "encoder": learner.encoder,
        "optimizer": learner.optimizer,
        "teacher": learner.teacher if follows else None,
    }


def _write_state(folder: RunFolder, learner: Learner, progress: Progress) -> None:
    """What follows from the checkpoint: written after it, and again on resuming."""
    folder.write_log(progress.log)
    save(learner.encoder, folder.path, size=learner.recipe.size)


def _announce(learner: Learner, progress: Progress) -> None:
    crops = learner.crops
    cameras = "no camera knowledge"
    if crops.cameras is not None:
        cameras = f"{len(np.unique(crops.cameras[learner.rows]))} cameras"
    supervised = ", with their true identities" if "TrueLabels" in learner.recipe.to_yaml() else ""
    log.info(
        "training %r on %d crops (%s)%s, %s",
        learner.recipe.name,
        len(learner.rows),
        cameras,
        supervised,
        learner.device.describe(),
    )
    if progress.epochs_done:
        log.info("continuing after epoch %d", progress.epochs_done)


def _is_due(epoch: int, every: int, epochs: int) -> bool:
    return every > 0 and ((epoch + 1) % every == 0 or epoch + 1 == epochs)


def held_out(learner: Learner) -> dict[str, Any]:
    """Figures of the encoder as it is now on the labelled query and gallery crops, if any."""
    crops = learner.crops
    if crops.identities is None:
        return {}
    rows = np.flatnonzero((crops.splits != "train") & (crops.identities >= 0))
    if not len(rows):
        return {}
    features = features_of(learner, rows)
    return {"evaluation": dict(evaluate(features, crops.select(rows)).figures)}


def features_of(learner: Learner, rows: IntArray) -> Features:
    """Embeddings of these rows of the store."""
    return extract(
        learner.encoder,
        learner.feed,
        learner.crops,
        learner.device,
        rows=rows,
        forward=learner.forward,
    )


def describe(record: dict[str, Any]) -> str:
    """One line of an epoch's record for people."""
    line = (
        f"{record['title']}  loss {record['loss']:.3f}  "
        f"{record['clusters']} clusters  {record['outliers']} outliers  "
        f"{sum(record['seconds'].values()):.0f} s"
    )
    if feedback := record.get("feedback"):
        line += f"  {feedback['violated']} of {feedback['pairs']} decided pairs violated"
    figures = record.get("evaluation", {})
    if "mAP" in figures:
        line += f"  mAP {figures['mAP']:.1f}"
    return line
