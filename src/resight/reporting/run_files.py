"""The files of a run folder, as a report reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resight.errors import RunError
from resight.evaluation.calibration import FILE as THRESHOLD
from resight.evaluation.calibration import Threshold
from resight.records import IntArray
from resight.reporting.query_rows import QueryRows, read_query_rows
from resight.reporting.thumbnails import Box, box_of

T = TypeVar("T")

_NEEDED = ("path", "label")


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
        if "root" in self.evaluation:
            return Path(self.evaluation["root"])
        data = Path(str(self.about.get("data", self.path)))
        return data.parent if data.is_file() else data


def read_run(path: Path) -> RunFiles:
    """Read the run folder at `path`.

    Raises RunError when run.json or recipe.yaml is missing or any file cannot be understood.
    """
    log = path / "log.jsonl"
    about = _read(path / "run.json", _json_object)
    recipe = _read(path / "recipe.yaml", str)
    return RunFiles(
        path=path,
        about=about,
        recipe=recipe,
        epochs=_read(log, _json_lines) if log.exists() else (),
        labels=_last_labels(path / "labels"),
        evaluation=_optional_object(path / "evaluation.json"),
        queries=read_query_rows(path / "evaluation.parquet"),
        threshold=Threshold.read(path) if (path / THRESHOLD).exists() else None,
        finished=datetime.fromtimestamp(
            (log if log.exists() else path / "run.json").stat().st_mtime, tz=UTC
        ),
    )


def _optional_object(file: Path) -> dict[str, Any]:
    return _read(file, _json_object) if file.exists() else {}


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


def _json_lines(text: str) -> tuple[dict[str, Any], ...]:
    records = [_json_object(line) for line in text.splitlines() if line.strip()]
    if not all(isinstance(record.get("epoch"), int) for record in records):
        raise ValueError("a line has no whole number under 'epoch'")
    return tuple(sorted(records, key=lambda record: record["epoch"]))


def _last_labels(folder: Path) -> EpochLabels | None:
    files = {int(file.stem.removeprefix("epoch_")): file for file in _label_files(folder)}
    if not files:
        return None
    epoch = max(files)
    try:
        table = pq.read_table(files[epoch])
    except (OSError, pa.ArrowInvalid) as error:
        raise RunError(f"{files[epoch]} is damaged: {error}") from error
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise RunError(f"{files[epoch]} has columns {table.column_names}, lacks {missing}")
    return EpochLabels(epoch, table)


def _label_files(folder: Path) -> list[Path]:
    return [
        file
        for file in folder.glob("epoch_*.parquet")
        if file.stem.removeprefix("epoch_").isdecimal()
    ]
