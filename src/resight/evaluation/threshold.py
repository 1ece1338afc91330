"""A calibrated threshold as it is kept beside a model, threshold.json; light to load."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from resight.errors import RunError
from resight.evaluation.rates import Rate
from resight.files import as_json, digest_of, write_atomically
from resight.records import BoolArray, FloatArray

log = logging.getLogger(__name__)

Source = Literal["identities", "pseudo-labels"]

FILE = "threshold.json"
WEIGHTS = "model.safetensors"
FORMAT = 1
PARTS = 256
STALE = (
    "calibrated with other weights than the model has now: its rates do not hold, calibrate again"
)


@dataclass(frozen=True)
class Threshold:
    """Two crops count as one individual from this similarity on, and what that costs.

    similarity: cosine; `distance` is 1 - similarity. far: the wanted rate of false accepts.
    false_accept, false_reject: the rates at the threshold among impostor and genuine pairs, with
    95% intervals. genuine, impostor: numbers of pairs in 256 equal parts of similarities -1 … 1.
    source: what told who is who. cross_camera: whether only pairs of different cameras counted.
    crops, identities: how many took part. notes: what to know before trusting it. weights: the
    hexadecimal SHA-256 of the encoder's model.safetensors, None where it is not known.
    """

    similarity: float
    far: float
    false_accept: Rate
    false_reject: Rate
    genuine: tuple[int, ...]
    impostor: tuple[int, ...]
    source: Source
    cross_camera: bool
    crops: int
    identities: int
    notes: tuple[str, ...] = ()
    weights: str | None = None

    @property
    def distance(self) -> float:
        """The largest accepted cosine distance."""
        return 1 - self.similarity

    def accepts(self, similarities: FloatArray) -> BoolArray:
        """Which of these cosines, float32 of any shape, are accepted."""
        accepted: BoolArray = similarities >= np.float32(self.similarity)
        return accepted

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all; raises ResightError when that cannot be done."""
        plain = {"format": FORMAT, **asdict(self), "distance": self.distance}
        for name in ("false_accept", "false_reject"):
            plain[name]["rate"] = getattr(self, name).value
        text = as_json(plain)
        write_atomically(path, lambda draft: draft.write_text(text))

    @classmethod
    def read(cls, path: str | Path) -> Threshold:
        """What `write` wrote; path: the file, or the run folder that holds it.

        Where the model beside it has other weights than it was calibrated with, that is logged and
        the last of its notes. Raises RunError when it is missing, damaged or of a newer format.
        """
        file = Path(path) / FILE if Path(path).is_dir() else Path(path)
        try:
            plain = json.loads(file.read_text())
        except FileNotFoundError as error:
            raise RunError(f"{file} does not exist: write it with `resight calibrate`") from error
        except (OSError, ValueError) as error:
            raise RunError(f"{file} cannot be read: {error}") from error
        if isinstance(plain, dict) and plain.get("format") not in range(1, FORMAT + 1):
            raise RunError(f"{file} is not of this resight's format {FORMAT}: update resight")
        try:
            found = cls(**_fields(plain))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{file} is damaged ({error}): calibrate again") from error
        if not found.is_of(file.parent):
            log.warning("%s was %s", file, STALE)
            return replace(found, notes=(*found.notes, STALE))
        return found

    def is_of(self, folder: Path) -> bool:
        """Whether it was calibrated with the weights in this folder, as far as both are known."""
        known = self.weights is not None and (folder / WEIGHTS).is_file()
        return not known or self.weights == digest_of(folder / WEIGHTS)


def _fields(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a Threshold from what `write` wrote."""
    rates = {
        name: Rate(**{key: plain[name][key] for key in ("errors", "pairs", "low", "high")})
        for name in ("false_accept", "false_reject")
    }
    lists = {name: tuple(plain[name]) for name in ("genuine", "impostor", "notes")}
    if {len(lists["genuine"]), len(lists["impostor"])} != {PARTS}:
        raise ValueError(f"its histograms should have {PARTS} parts")
    weights = plain.get("weights")
    if not isinstance(weights, str | None):
        raise ValueError(f"its weights are {weights}, expected a SHA-256")
    names = ("similarity", "far", "source", "cross_camera", "crops", "identities")
    return {**{name: plain[name] for name in names}, **rates, **lists, "weights": weights}
