"""Mean over ordered pairs of cameras, so that crowded cameras do not drown the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from resight.errors import DataError
from resight.evaluation.needs import cameras_of, crosses_cameras, labels_of
from resight.evaluation.notes import counted_notes
from resight.evaluation.options import Options
from resight.evaluation.ranking import Ranking, joined, rank_blocks
from resight.evaluation.record import Evaluation, Matrix, Trial
from resight.evaluation.similarity import Scores
from resight.records import Crops, Features, IntArray


def camera_pairs(
    features: Features, crops: Crops, *, scores: Scores, options: Options
) -> Evaluation:
    """Queries from camera a, gallery from camera b, averaged over all a != b with a match.

    Every figure is the plain mean over pairs, and has its (C, C) matrix. A crop is a query once for
    each other camera. Splits are ignored.
    Raises DataError without cameras, or when no identity was seen by two of them.
    """
    identities, cameras = labels_of(crops), cameras_of(crops)
    crossing = crosses_cameras(identities, cameras)
    if not crossing.any():
        raise DataError(
            f"protocol 'camera-pairs': no identity was seen by two of "
            f"{len(np.unique(cameras))} cameras; protocol 'all' ignores cameras"
        )
    seen = np.unique(cameras)
    columns = [
        _column(features, crops, np.flatnonzero(crossing & (cameras != b)), b, scores, options)
        for b in seen
    ]
    queries = np.concatenate([trial.queries for trial, _ in columns])
    galleries = np.repeat(seen, [len(trial.queries) for trial, _ in columns])
    places = np.searchsorted(seen, np.stack([cameras[queries], galleries]))
    groups = places[0] * len(seen) + places[1]
    ranking = replace(joined([ranking for _, ranking in columns]), groups=groups)
    matrices = _matrices(ranking, groups, len(seen))
    empty = np.count_nonzero(np.isnan(matrices["mAP"])) - len(seen)
    lone = np.count_nonzero((identities > 0) & ~crossing)
    notes = counted_notes(
        (
            empty,
            f"of {len(seen) * (len(seen) - 1)} camera pairs share no identity and are left out",
        ),
        (ranking.dropped, "searches in cameras that never saw the individual are left out"),
        (lone, "crops of identities seen by one camera only are not queries"),
        (np.count_nonzero(identities < 0), "crops with identity -1 (junk) removed"),
        (
            np.count_nonzero(identities == 0),
            "crops with identity 0 (distractors) are wrong for every query",
        ),
    )
    names = tuple(_name(crops, camera) for camera in seen)
    return Evaluation(
        "camera-pairs",
        ranking.figures(),
        notes,
        ranking=ranking,
        queries=queries,
        galleries=galleries,
        matrices=matrices,
        cameras=names,
    )


def _column(
    features: Features,
    crops: Crops,
    queries: IntArray,
    camera: int,
    scores: Scores,
    options: Options,
) -> tuple[Trial, Ranking]:
    """How queries fare in the gallery of one camera."""
    gallery = np.flatnonzero(cameras_of(crops) == camera)
    trial = Trial(queries, gallery, by_camera=False)
    truth = trial.truth(crops)
    blocks = scores(*trial.sides(features), truth.candidates)
    return trial, rank_blocks(blocks, truth, ap=options.ap)


def _matrices(ranking: Ranking, groups: IntArray, n: int) -> dict[str, Matrix]:
    """Per figure (n, n): queries' camera × gallery's camera. groups: (Q,) each query's cell."""
    cells = [ranking.select(groups == cell).figures() for cell in range(n * n)]
    return {name: np.array([cell[name] for cell in cells]).reshape(n, n) for name in cells[0]}


def _name(crops: Crops, camera: int) -> str:
    names = crops.camera_names
    return names[camera] if 0 <= camera < len(names) else str(camera)
