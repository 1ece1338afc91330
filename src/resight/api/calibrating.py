"""`resight calibrate`."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from resight.api.evaluation_files import last_labels
from resight.data import ImageStore, read_crops
from resight.device import Device, Precision
from resight.errors import ConfigError, DataError
from resight.evaluation.calibration import calibrate as calibrate_features
from resight.evaluation.threshold import FILE, WEIGHTS, Source, Threshold
from resight.files import digest_of
from resight.models import load
from resight.records import Crops, IntArray
from resight.training.extract import extract
from resight.training.feed import Feed
from resight.training.run_folder import RunFolder

__all__ = ["Threshold", "calibrate"]

log = logging.getLogger(__name__)

OPTIMISTIC = (
    "calibrated on pseudo-labels, which the encoder was trained to fit: expect more errors of both "
    "kinds, and calibrate on labelled crops where there are any"
)
TRAINED_ON = "calibrated on the crops that the encoder was trained on: expect more errors elsewhere"


def calibrate(
    run_folder: str | Path,
    data: str | Path | None = None,
    *,
    far: float = 0.001,
    layout: str = "auto",
    camera_pattern: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
) -> Threshold:
    """The distance up to which a run's encoder shows one individual, at a rate of false accepts.

    data: labelled crops, the run's own by default; the query and gallery crops where there are any,
    otherwise all. Where the run's own have no identities, the pseudo-labels of its last epoch stand
    in for them, which is optimistic and noted. Pairs of different cameras count where cameras are
    known. far: wanted share, in (0, 1), of pairs of different individuals that are accepted.

    The threshold, its error rates, both histograms of similarities and a digest of the weights are
    returned and written to the run folder as threshold.json, which `Threshold.read` reads; see
    `resight.evaluation.calibration.calibrate`.

    Raises ConfigError when there are too few pairs for the rate, DataError without identities.
    """
    if not 0 < far < 1:
        raise ConfigError(f"far is {far:g}, expected a rate between 0 and 1, such as 0.001")
    folder = RunFolder.open(run_folder)
    encoder, size = load(folder.path)
    place = Device.choose(device, precision)
    crops = _crops(folder, data, layout, camera_pattern)
    store = ImageStore.open(crops, size=size)
    own = data is None or os.path.abspath(data) == folder.settings().data
    known = _known(folder, store.crops, own=own)
    rows = np.flatnonzero(known.identities >= 0)
    features = extract(encoder.to(place.place), Feed(store, place), store.crops, place, rows=rows)
    cameras = store.crops.cameras
    threshold = calibrate_features(
        features.vectors,
        known.identities[rows],
        None if cameras is None else cameras[rows],
        far=far,
        source=known.source,
        notes=known.notes,
    )
    threshold = replace(threshold, weights=digest_of(folder.path / WEIGHTS))
    for note in threshold.notes:
        log.warning("%s", note)
    threshold.write(folder.path / FILE)
    return threshold


@dataclass(frozen=True, eq=False)
class _Known:
    """Who is who among N crops: (N,) int64, -1 for those that take no part."""

    identities: IntArray
    source: Source
    notes: tuple[str, ...] = ()


def _crops(
    folder: RunFolder, data: str | Path | None, layout: str, camera_pattern: str | None
) -> Crops:
    """The crops to calibrate on; raises DataError for other crops than the run's without labels."""
    if data is None:
        asked = folder.settings()
        return read_crops(asked.data, layout=asked.layout, camera_pattern=asked.camera_pattern)
    crops = read_crops(data, layout=layout, camera_pattern=camera_pattern)
    if not _labelled(crops):
        raise DataError(
            f"the {len(crops)} crops of {data} have no identities: give identities with the data, "
            "or leave it out to calibrate on the run's pseudo-labels"
        )
    return crops


def _labelled(crops: Crops) -> bool:
    return crops.identities is not None and bool((crops.identities > 0).any())


def _known(folder: RunFolder, crops: Crops, *, own: bool) -> _Known:
    """The identities of held-out crops, of all where none are, or the run's pseudo-labels."""
    if crops.identities is None or not _labelled(crops):
        return _pseudo_labels(folder, crops)
    held_out = crops.splits != "train"
    if held_out.any():
        return _Known(np.where(held_out, crops.identities, -1), "identities")
    return _Known(crops.identities, "identities", (TRAINED_ON,) if own else ())


def _pseudo_labels(folder: RunFolder, crops: Crops) -> _Known:
    """The last epoch's labels; outliers and crops that it does not hold take no part."""
    found = last_labels(folder, crops)
    if found is None:
        raise DataError(
            f"the crops of {folder.path} have no identities, and the run has no pseudo-labels: "
            "train it, or give labelled crops"
        )
    note = f"the last epoch's: {OPTIMISTIC}"
    return _Known(np.where(found >= 0, found + 1, -1), "pseudo-labels", (note,))
