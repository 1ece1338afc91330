"""Mean over ordered pairs of cameras, so that crowded cameras do not drown the others."""

from __future__ import annotations

import numpy as np

from resight.errors import DataError
from resight.evaluation.needs import cameras_of, crosses_cameras, labels_of
from resight.evaluation.notes import counted_notes
from resight.evaluation.options import Options
from resight.evaluation.ranking import Ranking, rank_blocks
from resight.evaluation.record import Evaluation, Matrix, Trial
from resight.evaluation.similarity import Scores
from resight.records import Crops, Features, IntArray


def camera_pairs(
    features: Features, crops: Crops, *, scores: Scores, options: Options
) -> Evaluation:
    """Queries from camera a, gallery from camera b, averaged over all a != b with a match.

    Every figure is the plain mean over pairs, and has its (C, C) matrix. Splits are ignored.
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
    matrices = _matrices(columns, seen)
    figures = {name: float(np.nanmean(matrix)) for name, matrix in matrices.items()}
    empty = np.count_nonzero(np.isnan(matrices["mAP"])) - len(seen)
    lone = np.count_nonzero((identities > 0) & ~crossing)
    notes = counted_notes(
        (
            empty,
            f"of {len(seen) * (len(seen) - 1)} camera pairs share no identity and are left out",
        ),
        (lone, "crops of identities seen by one camera only are not queries"),
        (np.count_nonzero(identities < 0), "crops with identity -1 (junk) removed"),
        (
            np.count_nonzero(identities == 0),
            "crops with identity 0 (distractors) are wrong for every query",
        ),
    )
    names = tuple(_name(crops, camera) for camera in seen)
    return Evaluation("camera-pairs", figures, notes, matrices=matrices, cameras=names)


def _column(
    features: Features,
    crops: Crops,
    queries: IntArray,
    camera: int,
    scores: Scores,
    options: Options,
) -> tuple[IntArray, Ranking]:
    """The queries' cameras (Q,) and their ranking against the gallery of one camera."""
    cameras = cameras_of(crops)
    trial = Trial(queries, np.flatnonzero(cameras == camera), by_camera=False)
    truth = trial.truth(crops)
    blocks = scores(*trial.sides(features), truth.candidates)
    return cameras[queries], rank_blocks(blocks, truth, ap=options.ap)


def _matrices(columns: list[tuple[IntArray, Ranking]], seen: IntArray) -> dict[str, Matrix]:
    """Per figure (C, C): queries' camera × gallery's camera."""
    cells = [[ranking.select(of == a).figures() for of, ranking in columns] for a in seen]
    return {name: np.array([[cell[name] for cell in row] for row in cells]) for name in cells[0][0]}


def _name(crops: Crops, camera: int) -> str:
    names = crops.camera_names
    return names[camera] if 0 <= camera < len(names) else str(camera)
