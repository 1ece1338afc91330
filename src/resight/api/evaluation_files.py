"""What an evaluation leaves in a run folder, for reports and comparisons."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resight.evaluation import (
    Evaluation,
    Options,
    RankedList,
    automatic_protocol,
    first_wrong,
    ranked_lists,
)
from resight.evaluation import evaluate as evaluate_features
from resight.evaluation.bootstrap import intervals
from resight.evaluation.projection import projected
from resight.files import write_atomically
from resight.records import Crops, Features, IntArray
from resight.reporting.run_files import read_run
from resight.training.run_folder import RunFolder

if TYPE_CHECKING:
    from resight.api.evaluating import Judge

LEVEL = 0.95
CURVE = 50


def write_evaluation(
    folder: RunFolder,
    judge: Judge,
    features: Features,
    evaluation: Evaluation,
    comparison: list[dict[str, Any]],
    *,
    name: str = "evaluation",
) -> dict[str, Any]:
    """Write and return what a report shows: figures, notes, comparison, ranked lists, a map."""
    result: dict[str, Any] = {"root": str(judge.crops.root.absolute()), **evaluation.as_dict()}
    if judge.fuse is not None:
        result["fuse"] = judge.fuse
    if judge.ranker.name:
        result |= {"scores": judge.ranker.name, **judge.ranker.asked}
    if spans := _intervals(evaluation, judge.crops):
        result |= {"intervals": spans, "level": LEVEL}
    if comparison:
        result["comparison"] = comparison
    result["ranked_lists"] = _ranked_lists(judge, features, evaluation)
    result["map"] = _map(folder, features, judge.crops)
    folder.write_json(f"{name}.json", result)
    _write_queries(folder.path / f"{name}.parquet", judge, features, evaluation)
    return result


def compared(name: str, evaluation: Evaluation) -> dict[str, Any]:
    """A row of a comparison: its name, its figures, and CMC at ranks 1 … 50 where it has one."""
    row: dict[str, Any] = {"name": name, "figures": dict(evaluation.figures)}
    if evaluation.ranking is not None:
        first = evaluation.ranking.first[evaluation.ranking.counted]
        row["cmc"] = [100 * float(np.mean(first <= k)) for k in range(1, CURVE + 1)]
    return row


def last_labels(folder: RunFolder, crops: Crops) -> IntArray | None:
    """(N,) the pseudo-labels of the run's last epoch, -1 for others; None without any epoch."""
    labels = read_run(folder.path).labels
    if labels is None:
        return None
    names = labels.paths(np.arange(len(labels.labels)))
    number = dict(zip(names, labels.labels.tolist(), strict=True))
    return np.array([number.get(path, -1) for path in crops.paths], dtype=np.int64)


def _intervals(evaluation: Evaluation, crops: Crops) -> dict[str, list[float]]:
    """[low, high] in percent of each figure that is a mean over queries of several identities."""
    if evaluation.ranking is None or evaluation.queries is None or crops.identities is None:
        return {}
    identities = crops.identities[evaluation.queries]
    spans = intervals(evaluation.ranking, identities, level=LEVEL)
    return {name: [*span] for name, span in spans.items() if not np.isnan(span).any()}


def _map(folder: RunFolder, features: Features, crops: Crops) -> list[dict[str, Any]]:
    """Individuals on a plane; clusters of the last epoch where no identity is known."""
    labels = None
    if automatic_protocol(crops) == "label-free":
        labels = last_labels(folder, crops)
        if labels is None:
            return []
    return [asdict(point) for point in projected(features, crops, labels=labels)]


def _ranked_lists(judge: Judge, features: Features, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Best, typical and worst queries with their first answers, for pictures."""
    if automatic_protocol(judge.crops) == "label-free":
        return []
    scores = judge.ranker.scores
    if evaluation.trial is None:
        options = Options(ap=judge.options.ap)
        evaluation = evaluate_features(features, judge.crops, options=options, scores=scores)
    return [
        _with_captions(ranked, judge.crops)
        for ranked in ranked_lists(features, judge.crops, evaluation, scores=scores)
    ]


def _with_captions(ranked: RankedList, crops: Crops) -> dict[str, Any]:
    def crop(row: int) -> dict[str, Any]:
        identity = None
        if crops.identities is not None and crops.identities[row] > 0:
            identity = crops.identity_names[crops.identities[row] - 1]
        told = {"path": crops.paths[row], "camera": _camera(crops, row), "identity": identity}
        return told if crops.boxes is None else {**told, "box": crops.boxes[row].tolist()}

    return {
        "kind": ranked.kind,
        "query": crop(ranked.row),
        "ap": ranked.ap,
        "matches": [
            {
                **crop(hit.row),
                "similarity": hit.similarity,
                "right": hit.right,
                "dropped": hit.dropped,
            }
            for hit in ranked.hits
        ],
    }


def _camera(crops: Crops, row: int) -> str | None:
    if crops.cameras is None or row < 0:
        return None
    camera: str = crops.camera_names[crops.cameras[row]]
    return camera


def _write_queries(file: Path, judge: Judge, features: Features, evaluation: Evaluation) -> None:
    """A row per counted query, or no file where the figures are no means over queries."""
    crops, ranking, queries = judge.crops, evaluation.ranking, evaluation.queries
    if ranking is None or queries is None or crops.identities is None:
        file.unlink(missing_ok=True)
        return
    wrong = np.full(len(queries), -1)
    if evaluation.trial is not None:
        wrong = first_wrong(features, crops, evaluation, scores=judge.ranker.scores)
    counted = np.flatnonzero(ranking.counted)
    rows = queries[counted]
    wrong_cameras = [_camera(crops, row) for row in wrong[counted]]
    columns = {
        "path": [crops.paths[row] for row in rows],
        "identity": [crops.identity_names[i - 1] for i in crops.identities[rows]],
        "camera": pa.array([_camera(crops, row) for row in rows], pa.string()),
        "ap_step": ranking.ap_step[counted],
        "ap_market": ranking.ap_market[counted],
        "inp": ranking.inp[counted],
        "first": ranking.first[counted],
        "first_wrong_camera": pa.array(wrong_cameras, pa.string()),
    }
    write_atomically(file, lambda draft: pq.write_table(pa.table(columns), draft))
