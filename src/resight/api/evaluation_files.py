"""What an evaluation leaves in a run folder, for reports and comparisons."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from resight.evaluation import (
    PROTOCOLS,
    Evaluation,
    Options,
    RankedList,
    Ranking,
    automatic_protocol,
    first_wrong,
    ranked_lists,
)
from resight.evaluation import evaluate as evaluate_features
from resight.evaluation.bootstrap import intervals
from resight.evaluation.projection import projected
from resight.files import write_atomically
from resight.records import Crops, Features, IntArray
from resight.reporting.run_files import read_last_labels
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
    """Write and return what a report shows: figures, notes, comparison, ranked lists, a map.

    The rows per query of an earlier result go first, so that none are left beside other figures.
    """
    result: dict[str, Any] = {"root": str(judge.crops.root.absolute()), **evaluation.as_dict()}
    result["options"] = judge.used_options
    result["crops"] = fingerprint(judge.crops, judge.digests)
    if judge.fuse is not None:
        result["fuse"] = judge.fuse
    if judge.ranker.name:
        result |= {"scores": judge.ranker.name, **judge.ranker.asked}
    if spans := _intervals(evaluation, judge.crops):
        result |= {"intervals": spans, "level": LEVEL}
    if evaluation.ranking is not None:
        result["cmc"] = _cmc(evaluation.ranking)
    if comparison:
        result["comparison"] = comparison
    listed = _listed(judge, features, evaluation)
    result["ranked_lists"] = _ranked_lists(judge, features, listed)
    if listed.protocol != evaluation.protocol:
        result["notes"].append(f"the ranked lists are those of protocol {listed.protocol!r}")
    result["map"] = _map(folder, features, judge.crops)
    queries = _queries(judge, features, evaluation)
    file = folder.path / f"{name}.parquet"
    file.unlink(missing_ok=True)
    folder.write_json(f"{name}.json", result)
    if queries is not None:
        write_atomically(file, lambda draft: pq.write_table(queries, draft))
    return result


def fingerprint(crops: Crops, digests: npt.NDArray[np.str_]) -> dict[str, Any]:
    """How many crops there are, and a digest of their files and of all that is known of them.

    digests: (N,) of the files' bytes. Equal for equal crops wherever they lie.
    """
    known = {
        "paths": crops.paths,
        "bytes": digests.tolist(),
        "splits": crops.splits.tolist(),
        "identities": [_identity(crops, row) for row in range(len(crops))],
        "cameras": [_camera(crops, row) for row in range(len(crops))],
        "tracks": None if crops.tracks is None else crops.tracks.tolist(),
        "times": None if crops.times is None else crops.times.tolist(),
    }
    digest = blake2b(json.dumps(known).encode(), digest_size=16)
    return {"count": len(crops), "digest": digest.hexdigest()}


def compared(name: str, evaluation: Evaluation) -> dict[str, Any]:
    """A row of a comparison: its name, its figures, and CMC at ranks 1 … 50 where it has one."""
    row: dict[str, Any] = {"name": name, "figures": dict(evaluation.figures)}
    if evaluation.ranking is not None:
        row["cmc"] = _cmc(evaluation.ranking)
    return row


def last_labels(folder: RunFolder, crops: Crops) -> IntArray | None:
    """(N,) the pseudo-labels of the run's last epoch, -1 for others; None without any epoch."""
    labels = read_last_labels(folder.path / "labels")
    if labels is None:
        return None
    names = labels.paths(np.arange(len(labels.labels)))
    number = dict(zip(names, labels.labels.tolist(), strict=True))
    return np.array([number.get(path, -1) for path in crops.paths], dtype=np.int64)


def _cmc(ranking: Ranking) -> list[float]:
    """Percent at ranks 1 … 50."""
    return [100 * share for share in ranking.cmc_at(range(1, CURVE + 1)).values()]


def _intervals(evaluation: Evaluation, crops: Crops) -> dict[str, list[float]]:
    """[low, high] in percent of each figure that rests on queries of several identities."""
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


def _listed(judge: Judge, features: Features, evaluation: Evaluation) -> Evaluation:
    """The evaluation itself if it ranks a single gallery or none, else the automatic protocol's."""
    if evaluation.trial is not None or not PROTOCOLS[evaluation.protocol].ranks:
        return evaluation
    options = Options(ap=judge.options.ap)
    return evaluate_features(features, judge.crops, options=options, scores=judge.ranker.scores)


def _ranked_lists(judge: Judge, features: Features, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Best, typical and worst queries with their first answers, for pictures."""
    if evaluation.trial is None:
        return []
    lists = ranked_lists(features, judge.crops, evaluation, scores=judge.ranker.scores)
    return [_with_captions(ranked, judge.crops) for ranked in lists]


def _with_captions(ranked: RankedList, crops: Crops) -> dict[str, Any]:
    def crop(row: int) -> dict[str, Any]:
        known = _identity(crops, row)
        identity = known if isinstance(known, str) else None
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


def _identity(crops: Crops, row: int) -> str | int | None:
    """Its name, 0 for a distractor, -1 for junk, None where nothing is known."""
    if crops.identities is None:
        return None
    number = int(crops.identities[row])
    return crops.identity_names[number - 1] if number > 0 else number


def _camera(crops: Crops, row: int) -> str | None:
    if crops.cameras is None or row < 0:
        return None
    camera: str = crops.camera_names[crops.cameras[row]]
    return camera


def _queries(judge: Judge, features: Features, evaluation: Evaluation) -> pa.Table | None:
    """A row per counted query and gallery, None where nothing is ranked."""
    crops, ranking, queries = judge.crops, evaluation.ranking, evaluation.queries
    if ranking is None or queries is None:
        return None
    counted = np.flatnonzero(ranking.counted)
    rows = queries[counted]
    galleries: list[str | None] = [None] * len(rows)
    wrong_cameras = galleries
    if evaluation.galleries is not None:
        galleries = [crops.camera_names[camera] for camera in evaluation.galleries[counted]]
        failed = ranking.first[counted] > 1
        wrong_cameras = [name if f else None for name, f in zip(galleries, failed, strict=True)]
    elif evaluation.trial is not None:
        wrong = first_wrong(features, crops, evaluation, scores=judge.ranker.scores)
        wrong_cameras = [_camera(crops, row) for row in wrong[counted]]
    columns = {
        "path": [crops.paths[row] for row in rows],
        "identity": [_identity(crops, row) for row in rows],
        "camera": pa.array([_camera(crops, row) for row in rows], pa.string()),
        "gallery_camera": pa.array(galleries, pa.string()),
        "ap_step": ranking.ap_step[counted],
        "ap_market": ranking.ap_market[counted],
        "inp": ranking.inp[counted],
        "first": ranking.first[counted],
        "first_wrong_camera": pa.array(wrong_cameras, pa.string()),
    }
    return pa.table(columns)
