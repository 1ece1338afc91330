"""Each crop against all others, except those taken at nearly the same time."""

from __future__ import annotations

import numpy as np

from resight.errors import DataError
from resight.evaluation.needs import labels_of
from resight.evaluation.notes import counted_notes
from resight.evaluation.options import Options
from resight.evaluation.record import Evaluation, Trial, run_trial
from resight.evaluation.similarity import Scores
from resight.evaluation.truth import Excluded
from resight.records import Crops, Features, IntArray

NAME = "time-excluded"


def time_excluded(
    features: Features, crops: Crops, *, scores: Scores, options: Options
) -> Evaluation:
    """Each labelled crop against all others but those of its own track or moment.

    Removed for a query, whatever they show: crops of its track, and crops of its camera at most
    `options.within` seconds away; without cameras, all crops count as one camera's. A crop of
    unknown track (-1) or time (NaN) excludes nothing by it. Cameras play no other part, and splits
    none: for animals and videos, where neighbouring frames would answer for each other.
    Raises DataError when neither tracks nor times are known, when `within` is given without times,
    or when no query has a match.
    """
    _check_known(crops, options.within)
    queries = np.flatnonzero(labels_of(crops) > 0)
    excluded: list[Excluded] = []
    notes: list[tuple[int | np.intp, str]] = []
    if crops.tracks is not None:
        known = crops.tracks >= 0
        excluded.append(same_track(crops.tracks, queries))
        removed = "answers of the query's own track removed"
        notes.append((_others(excluded[-1], known[queries]), removed))
        notes.append((np.count_nonzero(~known), "crops of unknown track exclude none by it"))
    if crops.times is not None:
        known = ~np.isnan(crops.times)
        cameras = np.zeros(len(crops), np.int64) if crops.cameras is None else crops.cameras
        excluded.append(same_moment(crops.times, cameras, queries, within=options.within))
        where = "" if crops.cameras is None else " in its own camera"
        removed = f"answers within {options.within:g} s of the query{where} removed"
        notes.append((_others(excluded[-1], known[queries]), removed))
        notes.append((np.count_nonzero(~known), "crops of unknown time exclude none by it"))
    trial = Trial(queries, np.arange(len(crops)), by_camera=False, excluded=tuple(excluded))
    told = counted_notes(*notes)
    return run_trial(NAME, trial, features, crops, scores=scores, options=options, notes=told)


def same_track(tracks: IntArray, queries: IntArray) -> Excluded:
    """For each query, the crops of its track; none for tracks of -1."""
    order = np.argsort(tracks, kind="stable")
    mine = tracks[queries]
    starts = np.searchsorted(tracks[order], mine, side="left")
    stops = np.searchsorted(tracks[order], mine, side="right")
    return Excluded(order, starts, np.where(mine >= 0, stops, starts))


def same_moment(
    times: np.ndarray, cameras: IntArray, queries: IntArray, *, within: float
) -> Excluded:
    """For each query, the crops of its camera at most `within` seconds away; none for NaN times."""
    order = np.lexsort((times, cameras))  # NaN last within each camera
    starts = np.zeros(len(queries), np.int64)
    stops = np.zeros(len(queries), np.int64)
    for camera in np.unique(cameras[queries]):
        rows = np.flatnonzero(cameras[order] == camera)
        when = times[order[rows]]
        when = when[~np.isnan(when)]
        asked = np.flatnonzero((cameras[queries] == camera) & ~np.isnan(times[queries]))
        moment = times[queries[asked]]
        starts[asked] = rows[0] + np.searchsorted(when, moment - within, side="left")
        stops[asked] = rows[0] + np.searchsorted(when, moment + within, side="right")
    return Excluded(order, starts, stops)


def _others(excluded: Excluded, known: np.ndarray) -> int:
    """How many answers all queries exclude; a query whose place is known excludes itself too."""
    return int((excluded.stops - excluded.starts).sum() - np.count_nonzero(known))


def _check_known(crops: Crops, within: float) -> None:
    if crops.times is None and within > 0:
        raise DataError(
            f"the {len(crops)} crops have no times, so none can be left out for being within "
            f"{within:g} seconds; give times with the data"
        )
    if crops.times is None and crops.tracks is None:
        raise DataError(
            f"the {len(crops)} crops have neither tracks nor times; protocol {NAME!r} needs one of "
            "them, protocol 'all' needs neither"
        )
