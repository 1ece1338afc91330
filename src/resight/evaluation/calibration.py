"""The threshold that tells the same individual from others at a wanted rate of false accepts."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from resight.errors import ConfigError, DataError, RunError
from resight.evaluation.pairs import BINS, GENUINE, IMPOSTOR, Pairs, edge
from resight.evaluation.rates import Rate, clustered_rate
from resight.evaluation.sides import unit_rows
from resight.evaluation.similarity import check_finite
from resight.evaluation.truth import check_integers
from resight.files import as_json, write_atomically
from resight.records import BoolArray, FloatArray, IntArray

log = logging.getLogger(__name__)

Source = Literal["identities", "pseudo-labels"]

FILE = "threshold.json"
WEIGHTS = "model.safetensors"
FORMAT = 1
FALSE_ACCEPTS = 30
PARTS = 256
LEVEL = 0.95
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
        return not known or self.weights == weights_digest(folder)


def weights_digest(folder: Path) -> str:
    """The hexadecimal SHA-256 of the model.safetensors in a folder.

    Raises RunError when it cannot be read.
    """
    file = folder / WEIGHTS
    try:
        with file.open("rb") as weights:
            return hashlib.file_digest(weights, "sha256").hexdigest()
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from error


def calibrate(
    vectors: FloatArray,
    identities: IntArray,
    cameras: IntArray | None = None,
    *,
    far: float = 0.001,
    source: Source = "identities",
    notes: tuple[str, ...] = (),
) -> Threshold:
    """The lowest threshold at which at most `far` of the impostor pairs are accepted.

    All pairs of the N crops count, those in different cameras where cameras are given; see `Pairs`.
    vectors: (N, D) of any floating type, compared in float32. identities: (N,) int64; -1 plays no
    part, 0 is a distractor. far: in (0, 1). Where even equal features are accepted too often, the
    threshold is above 1, nothing is accepted, and a note says so.

    Thresholds are multiples of 2^-14 (6e-5), so that the one returned is at most so much above the
    lowest of all real numbers; the rates are those at the returned one, counted exactly from
    float32 similarities. Their intervals are `clustered_rate`'s. At least 30 / far impostor pairs
    are asked for, so that the threshold rests on about 30 false accepts (Doddington et al. 2000).

    Raises ConfigError for a rate out of range or too low for these pairs, DataError for NaN or
    infinite features and without any genuine pair, ValueError for arrays that do not fit together.
    """
    if not 0 < far < 1:
        raise ConfigError(f"far is {far:g}, expected a rate between 0 and 1, such as 0.001")
    _check_shapes(vectors, identities, cameras)
    check_finite(vectors, "features")
    rows = np.flatnonzero(identities >= 0)
    unit = unit_rows(vectors[rows].astype(np.float32, copy=False))
    pairs = Pairs(unit, identities[rows], None if cameras is None else cameras[rows])
    counts = pairs.histograms()
    _check_counts(counts, far, across=cameras is not None)
    index = _lowest(counts[IMPOSTOR], far)
    errors = pairs.errors(edge(index))
    return Threshold(
        similarity=edge(index),
        far=far,
        false_accept=clustered_rate(*errors[IMPOSTOR], sharing=2, level=LEVEL),
        false_reject=clustered_rate(*errors[GENUINE], level=LEVEL),
        genuine=_coarse(counts[GENUINE]),
        impostor=_coarse(counts[IMPOSTOR]),
        source=source,
        cross_camera=cameras is not None,
        crops=len(rows),
        identities=len(np.unique(pairs.identities[pairs.identities > 0])),
        notes=notes if index < BINS else (*notes, _nothing(far)),
    )


def _nothing(far: float) -> str:
    return (
        f"the threshold accepts no pair at all: more than {far:g} of the pairs of different "
        "individuals are as alike as copies of one crop"
    )


def _lowest(impostors: IntArray, far: float) -> int:
    """The lowest bin from which on at most `far` of the pairs are accepted."""
    accepted = np.append(np.cumsum(impostors[::-1])[::-1], 0)  # (BINS + 1,)
    return int(np.argmax(accepted / impostors.sum() <= far))


def _coarse(counts: IntArray) -> tuple[int, ...]:
    """(BINS,) counts in PARTS equal parts of -1 … 1."""
    width = (BINS - 1) // PARTS
    parts = np.add.reduceat(counts[:-1], np.arange(0, BINS - 1, width))
    parts[-1] += counts[-1]
    return tuple(parts.tolist())


def _check_shapes(vectors: FloatArray, identities: IntArray, cameras: IntArray | None) -> None:
    if vectors.ndim != 2:
        raise ValueError(f"vectors have shape {vectors.shape}, expected (N, D)")
    for name, values in (("identities", identities), ("cameras", cameras)):
        check_integers(name, values, len(vectors))


def _check_counts(counts: IntArray, far: float, *, across: bool) -> None:
    impostors, genuine = int(counts[IMPOSTOR].sum()), int(counts[GENUINE].sum())
    where = " in different cameras" if across else ""
    if not genuine or not impostors:
        raise DataError(
            f"there are {genuine:,} genuine and {impostors:,} impostor pairs of crops{where}: a "
            "threshold needs both, give crops of several individuals, each seen more than once"
        )
    needed = math.ceil(FALSE_ACCEPTS / far)
    if impostors < needed:
        lowest = _rounded_up(FALSE_ACCEPTS / impostors)
        advice = f"ask for {lowest:g} or more" if lowest < 0.5 else "no rate can be told of so few"
        raise ConfigError(
            f"a false-accept rate of {far:g} needs {needed:,} impostor pairs, these crops have "
            f"{impostors:,}{where}: {advice}, or give more labelled crops"
        )


def _rounded_up(rate: float) -> float:
    """To two digits."""
    unit = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return math.ceil(rate / unit) * unit


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
