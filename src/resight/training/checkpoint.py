"""Training state on disk: everything that the next epoch depends on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from resight.errors import RunError
from resight.files import write_atomically
from resight.models import Encoder

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Progress:
    """How far a run is: finished epochs, their log records, the latest labels."""

    epochs_done: int
    log: tuple[dict[str, Any], ...]


def save_checkpoint(
    path: Path,
    progress: Progress,
    *,
    encoder: Encoder,
    optimizer: torch.optim.Optimizer,
    teacher: Encoder | None = None,
) -> None:
    """Replace the checkpoint in one step: a crash leaves the old one or the new one.

    teacher: one that changes while the encoder is trained.
    """
    state = {
        "format": FORMAT,
        "encoder": encoder.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epochs_done": progress.epochs_done,
        "log": list(progress.log),
    }
    if teacher is not None:
        state["teacher"] = teacher.state_dict()
    write_atomically(path, lambda draft: _save(state, draft))


def _save(state: dict[str, Any], path: Path) -> None:
    """Through Python's file, whose OSError says that the disk is full; torch hides it."""
    try:
        with path.open("wb") as file:
            torch.save(state, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _short(error: Exception) -> str:
    return f"{error}".partition("\n")[0][:120]


def load_checkpoint(
    path: Path,
    *,
    encoder: Encoder,
    optimizer: torch.optim.Optimizer,
    teacher: Encoder | None = None,
) -> Progress | None:
    """Restore all of them in place; None when no epoch was finished yet.

    Raises RunError when the file is damaged or of a newer format.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["format"] > FORMAT:
            raise RunError(
                f"{path} has format {state['format']}, this resight reads up to {FORMAT}: "
                "update resight"
            )
        encoder.load_state_dict(state["encoder"])
        optimizer.load_state_dict(state["optimizer"])
        if teacher is not None:
            teacher.load_state_dict(state["teacher"])
        return Progress(int(state["epochs_done"]), tuple(state["log"]))
    except RunError:
        raise
    except Exception as error:  # torch.load's own errors share no base class
        raise RunError(
            f"{path} cannot be read ({_short(error)}): the file is damaged: "
            "remove it to train again from the first epoch"
        ) from error
