"""The threshold that tells the same individual from others at a wanted rate of false accepts."""

from __future__ import annotations

import math

import numpy as np

from resight.errors import ConfigError, DataError
from resight.evaluation.pairs import BINS, GENUINE, IMPOSTOR, Pairs, edge
from resight.evaluation.rates import clustered_rate
from resight.evaluation.sides import unit_rows
from resight.evaluation.similarity import check_finite
from resight.evaluation.threshold import PARTS, Source, Threshold
from resight.evaluation.truth import check_integers
from resight.records import FloatArray, IntArray

FALSE_ACCEPTS = 30
LEVEL = 0.95


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
