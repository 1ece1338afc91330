"""`resight export`."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

from resight.evaluation.threshold import FILE as THRESHOLD
from resight.evaluation.threshold import Threshold
from resight.exporting import PRESETS, Export, Facts, model_card, write_export
from resight.inference.described import Format
from resight.reporting.run_files import EpochLabels, RunFiles, read_run
from resight.training.run_folder import RunFolder

__all__ = ["Export", "export", "presets"]

log = logging.getLogger(__name__)

FOLDER = "export"


def presets() -> Mapping[str, str]:
    """What `preset` can be, with a line about each."""
    return {name: preset.line for name, preset in PRESETS.items()}


def export(
    run_folder: str | Path,
    to: Format = "onnx",
    *,
    preset: str = "plain",
    out: str | Path | None = None,
    opset: int | None = None,
) -> Export:
    """Write a run's encoder in a form that runs elsewhere, with a model card.

    to: "onnx", "torchscript" or "safetensors". preset: what the network takes. "plain": uint8 RGB
    of any size, resized and normalised inside; "boxmot": float RGB / 255 at the encoder's size,
    less ImageNet's mean and divided by its deviation; "ultralytics": float RGB / 255 of any width,
    resized and normalised inside. out: a new or empty folder, or one of an earlier export (default:
    export/ in the run). opset: of ONNX, 18 by default and at least.

    The export embeds the whole image, parts or none. It is run in its own runtime on batches of 1,
    2 and 7 images and compared with PyTorch. `resight.load` opens the folder, or the file. The
    run's calibrated threshold goes along; one of other weights than the run has now is left out,
    which is logged.

    Raises ConfigError for settings that do not fit together or a package that is not installed,
    RunError for no run or one without an encoder, and ResightError, with nothing written, when a
    component differs by more than 1e-3.
    """
    folder = RunFolder.open(run_folder)
    files = read_run(folder.path)
    threshold = _threshold(files)
    facts = _facts(folder, files, threshold)
    return write_export(
        folder.path,
        folder.path / FOLDER / f"{to}-{preset}" if out is None else Path(out),
        card=lambda described, file, gap: model_card(facts, described, file=file, difference=gap),
        to=to,
        preset=preset,
        opset=opset,
        beside=() if threshold is None else (folder.path / THRESHOLD,),
    )


def _threshold(files: RunFiles) -> Threshold | None:
    """The calibrated threshold of a run's encoder, None without one that is of its weights."""
    if files.threshold is None or files.threshold.is_of(files.path):
        return files.threshold
    log.warning("%s is left out of the export", files.path / THRESHOLD)
    return None


def _facts(folder: RunFolder, files: RunFiles, threshold: Threshold | None) -> Facts:
    """What is known of a run, without a path of this machine."""
    return Facts(
        name=folder.path.absolute().name,
        data=Path(folder.settings().data).name,
        recipe=folder.recipe(),
        digest=hashlib.sha256(files.recipe.encode()).hexdigest(),
        finished=files.finished,
        epochs=len(files.epochs),
        crops=None if files.labels is None else len(files.labels.labels),
        cameras=None if files.labels is None else _cameras(files.labels),
        decided=len(folder.decisions() or ()),
        evaluation=files.evaluation,
        similarity=None if threshold is None else threshold.similarity,
        far=None if threshold is None else threshold.far,
        threshold_of="" if threshold is None else threshold.source,
        threshold_notes=() if threshold is None else threshold.notes,
    )


def _cameras(labels: EpochLabels) -> int | None:
    """How many cameras saw the crops; None where they are not known."""
    if "camera" not in labels.table.column_names:
        return None
    return len(set(labels.table["camera"].to_pylist()) - {None})
