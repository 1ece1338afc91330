"""The files of a run folder, as a report reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa

from resight.errors import RunError
from resight.evaluation.threshold import FILE as THRESHOLD
from resight.evaluation.threshold import Threshold
from resight.records import IntArray
from resight.reporting.columns import read_columns
from resight.reporting.query_rows import QueryRows, read_query_rows
from resight.reporting.thumbnails import Box, box_of

T = TypeVar("T")

_NEEDED = {"path": pa.string(), "label": pa.int64()}
_SHAPES: Mapping[str, type] = {
    "root": str,
    "figures": dict,
    "intervals": dict,
    "notes": list,
    "cmc": list,
    "comparison": list,
    "ranked_lists": list,
    "map": list,
    "cameras": list,
    "matrices": dict,
    "camera_matrix": dict,
}


@dataclass(frozen=True, eq=False)
class EpochLabels:
    """Pseudo-labels of one epoch: a table of `path`, `label` and perhaps `camera`, N rows."""

    epoch: int
    table: pa.Table

    @cached_property
    def labels(self) -> IntArray:
        """(N,) int64, -1 for outliers."""
        return cast(IntArray, self.table["label"].to_numpy().astype(np.int64))

    def paths(self, rows: IntArray) -> list[str]:
        """The paths of these rows."""
        return [str(path) for path in self.table["path"].take(pa.array(rows)).to_pylist()]

    def cameras(self, rows: IntArray) -> list[str]:
        """The names of these rows' cameras, without the unknown ones; [] where none are kept."""
        if "camera" not in self.table.column_names:
            return []
        names = self.table["camera"].take(pa.array(rows)).to_pylist()
        return [str(name) for name in names if name is not None]

    def boxes(self, rows: IntArray) -> list[Box | None]:
        """Where these rows are cut from their frames, None for files of their own."""
        if "box" not in self.table.column_names:
            return [None] * len(rows)
        kept = self.table["box"].take(pa.array(rows)).to_pylist()
        try:
            return [box_of({"box": box}) for box in kept]
        except (TypeError, ValueError) as error:
            raise RunError(
                f"the boxes of epoch {self.epoch}'s labels are damaged: {error}"
            ) from error


@dataclass(frozen=True, eq=False)
class RunFiles:
    """What a run folder holds; everything but `about` and `recipe` may be empty.

    about: run.json. recipe: the text of recipe.yaml. epochs: the log, by epoch. labels: those of
    the last epoch. queries: how each query of the evaluation fared. threshold: what `resight
    calibrate` found. finished: when the last epoch ended (or the run began).
    """

    path: Path
    about: dict[str, Any]
    recipe: str
    epochs: tuple[dict[str, Any], ...]
    labels: EpochLabels | None
    evaluation: dict[str, Any]
    queries: QueryRows | None
    threshold: Threshold | None
    finished: datetime

    @property
    def root(self) -> Path:
        """The folder that paths of crops start from."""
        known = (self.evaluation.get("root"), self.about.get("root"), self.about.get("data"))
        return Path(str(next((path for path in known if path), self.path)))


def read_run(path: Path) -> RunFiles:
    """Read the run folder at `path`.

    Raises RunError when run.json or recipe.yaml is missing or any file cannot be understood.
    """
    log, evaluation = path / "log.jsonl", path / "evaluation.json"
    about = _read(path / "run.json", _json_object)
    recipe = _read(path / "recipe.yaml", str)
    return RunFiles(
        path=path,
        about=about,
        recipe=recipe,
        epochs=_read(log, _json_lines) if log.exists() else (),
        labels=read_last_labels(path / "labels"),
        evaluation=_read(evaluation, _evaluation) if evaluation.exists() else {},
        queries=read_query_rows(path / "evaluation.parquet"),
        threshold=Threshold.read(path) if (path / THRESHOLD).exists() else None,
        finished=datetime.fromtimestamp(
            (log if log.exists() else path / "run.json").stat().st_mtime, tz=UTC
        ),
    )


def _read(file: Path, parse: Callable[[str], T]) -> T:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(
            f"cannot read {file} ({error.strerror}): a report needs a folder that "
            "`resight train` wrote"
        ) from error
    except ValueError as error:
        raise RunError(f"{file} is damaged: {error}") from error


def _json_object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {type(value).__name__}")
    return value


def _evaluation(text: str) -> dict[str, Any]:
    found = _json_object(text)
    for name, kind in _SHAPES.items():
        _check(found.get(name), kind, name)
    for entry in found.get("comparison") or []:
        if not isinstance(entry, dict):
            raise ValueError(f"comparison should hold objects, found {type(entry).__name__}")
        _check(entry.get("figures"), dict, "figures of a comparison")
    return found


def _check(value: object, kind: type, name: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{name} should be a {kind.__name__}, found {type(value).__name__}")


def _json_lines(text: str) -> tuple[dict[str, Any], ...]:
    records = [_json_object(line) for line in text.splitlines() if line.strip()]
    if not all(isinstance(record.get("epoch"), int) for record in records):
        raise ValueError("a line has no whole number under 'epoch'")
    return tuple(sorted(records, key=lambda record: record["epoch"]))


def read_last_labels(folder: Path) -> EpochLabels | None:
    """The labels of the last epoch that `folder` has, None without any.

    Raises RunError when their file cannot be understood.
    """
    files = {int(file.stem.removeprefix("epoch_")): file for file in _label_files(folder)}
    if not files:
        return None
    epoch = max(files)
    advice = "move it away to see the labels of the epoch before"
    return EpochLabels(epoch, read_columns(files[epoch], _NEEDED, advice=advice))


def _label_files(folder: Path) -> list[Path]:
    return [
        file
        for file in folder.glob("epoch_*.parquet")
        if file.stem.removeprefix("epoch_").isdecimal()
    ]
