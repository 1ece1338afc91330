"""A whole run: from a recipe and crops to a trained encoder, resumable at every epoch."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch

from resight.clustering.quality import against_identities, label_free
from resight.data import ImageStore
from resight.data.colour import colour_histogram
from resight.device import Device
from resight.errors import ConfigError, DataError
from resight.evaluation import evaluate
from resight.models import build_encoder, save
from resight.recipe import Recipe
from resight.records import Features, IntArray
from resight.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from resight.training.epoch import EpochResult, Learner, run_epoch
from resight.training.extract import extract
from resight.training.feed import Feed
from resight.training.run_folder import RunFolder, RunSettings

log = logging.getLogger(__name__)


def prepare(recipe: Recipe, settings: RunSettings, store: ImageStore) -> Learner:
    """Everything that training needs, before anything is written.

    Raises ResightError subclasses when the recipe, the settings and the crops do not fit together.
    """
    if settings.seed < 0:
        raise ConfigError(f"seed is {settings.seed}, expected 0 or more")
    rows = np.flatnonzero(store.crops.splits == "train")
    if len(rows) < 2:
        raise DataError(
            f"{settings.data} has {len(rows)} readable training crops: at least 2 needed"
        )
    recipe.check(store.crops.select(rows))
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
        memory=settings.memory,
        colour=colour_histogram(store.images[rows]) if recipe.graph.colour else None,
    )


def run(folder: RunFolder, learner: Learner, *, evaluate_every: int) -> None:
    """Train until the recipe's last epoch, from wherever the folder's checkpoint stands.

    After every epoch the labels, the checkpoint, the log and the model are replaced, each in one
    step; whatever ends the process loses at most the running epoch. evaluate_every: epochs between
    evaluations, 0 for none.
    """
    epochs = learner.recipe.optim.epochs
    crops = learner.crops.select(learner.rows)
    with folder.lock():
        progress = load_checkpoint(folder.checkpoint, learner.encoder, learner.optimizer)
        if progress is None:
            progress = Progress(0, ())
        else:
            folder.check_crops(progress.epochs_done - 1, crops)
            _write_state(folder, learner, progress)
        _announce(learner, progress)
        for epoch in range(progress.epochs_done, epochs):
            result = run_epoch(learner, epoch)
            record = _record(epoch, result, learner, folder)
            if _is_due(epoch, evaluate_every, epochs):
                record |= held_out(learner)
            progress = Progress(epoch + 1, (*progress.log, record))
            folder.write_labels(epoch, crops, result.labels)
            save_checkpoint(folder.checkpoint, learner.encoder, learner.optimizer, progress)
            _write_state(folder, learner, progress)
            log.info("%s", describe(record, epochs))


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


def _record(epoch: int, result: EpochResult, learner: Learner, folder: RunFolder) -> dict[str, Any]:
    """What the log keeps of an epoch; figures that need identities only report."""
    pseudo, graph = result.labelling.pseudo, result.labelling.graph
    cameras, identities = learner.crops.cameras, learner.crops.identities
    optim = learner.recipe.optim
    record: dict[str, Any] = {
        "epoch": epoch + 1,
        "loss": result.loss,
        "lr": optim.lr * optim.schedule(epoch, optim.epochs),
        "seconds": result.seconds,
        **label_free(
            result.labels,
            cameras=None if cameras is None else cameras[learner.rows],
            previous=folder.read_labels(epoch - 1) if epoch else None,
        ),
        "silhouette": label_free(pseudo.labels, graph=graph)["silhouette"],
    }
    if result.labelling.settings is not None:
        record["proposed"] = result.labelling.settings
    if result.labelling.rescue is not None:
        record["rescue"] = result.labelling.rescue
    if identities is not None and np.any(identities[learner.rows] > 0):
        record["against_identities"] = against_identities(result.labels, identities[learner.rows])
    return record


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


def describe(record: dict[str, Any], epochs: int) -> str:
    """One line of an epoch's record for people."""
    line = (
        f"epoch {record['epoch']}/{epochs}  loss {record['loss']:.3f}  "
        f"{record['clusters']} clusters  {record['outliers']} outliers  "
        f"{sum(record['seconds'].values()):.0f} s"
    )
    figures = record.get("evaluation", {})
    if "mAP" in figures:
        line += f"  mAP {figures['mAP']:.1f}"
    return line
