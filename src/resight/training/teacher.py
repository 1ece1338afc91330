"""The teacher of a run: where it comes from, what it says, how it follows the student."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from resight.errors import ConfigError
from resight.models import Encoder, EncoderSpec, build_encoder, load
from resight.models.statistics import kept_statistics
from resight.recipe import Recipe, Teacher

FOLDER = "teacher"


def find_teacher(recipe: Recipe, run: Path, *, seed: int) -> Encoder | None:
    """The teacher of the run at `run`, None for a recipe without one.

    Raises RunError when the run that should have trained it is none or has no model yet, and
    ConfigError when its encoder is not of the student's kind.
    """
    teacher = recipe.teacher
    if teacher is None:
        return None
    if teacher.epochs == 0:
        return build_encoder(recipe.encoder, seed=seed)
    source = run / FOLDER if teacher.run is None else Path(teacher.run)
    encoder, size = load(source)
    kind, wanted = _kind(encoder.spec, size), _kind(recipe.encoder, recipe.size)
    if kind != wanted:
        raise ConfigError(
            f"the teacher in {source} is another encoder ({_told(kind)}) than the recipe's "
            f"({_told(wanted)}): take a run with the same one, or set the recipe's encoder alike"
        )
    return encoder


def embed(teacher: Encoder, images: Tensor, settings: Teacher) -> dict[str, Tensor]:
    """{view: (B, D)} what students are compared with; no gradient, and no state changes."""
    teacher.train(settings.bn == "batch")
    with torch.no_grad(), kept_statistics(teacher):
        return teacher.embed(images)


@torch.no_grad()
def follow(teacher: Encoder, student: Encoder, *, momentum: float) -> None:
    """theta_t <- gamma theta_t + (1 - gamma) theta_s, with BatchNorm's statistics (LP, Eq. 12).

    momentum: gamma, 0 … 1.
    """
    here, there = _floats(teacher), _floats(student)
    torch._foreach_lerp_(here, there, 1 - momentum)


def _floats(encoder: Encoder) -> list[Tensor]:
    return [value for value in encoder.state_dict().values() if value.is_floating_point()]


def _kind(spec: EncoderSpec, size: tuple[int, int]) -> Mapping[str, object]:
    kind = {name: getattr(spec, name) for name in ("backbone", "pooling", "parts")}
    return {**kind, "size": size}


def _told(kind: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in kind.items())
