"""Crops listed in a CSV or Parquet file."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from resight.data.columns import Columns
from resight.errors import DataError
from resight.records import SPLITS

logger = logging.getLogger(__name__)

TABLE_SUFFIXES = (".csv", ".parquet")
COLUMNS = ("path", "camera", "identity", "split", "time")

_USUAL_NAMES = {
    "file": "path",
    "filename": "path",
    "file_name": "path",
    "image": "path",
    "img": "path",
    "cam": "camera",
    "camid": "camera",
    "cam_id": "camera",
    "pid": "identity",
    "person_id": "identity",
    "vehicle_id": "identity",
    "subset": "split",
    "test": "gallery",
    "val": "gallery",
    "probe": "query",
    "training": "train",
}


def is_table(file: Path) -> bool:
    """Whether a file's name says that it is a table of crops."""
    return file.suffix.lower() in TABLE_SUFFIXES


def read_table(file: Path) -> Columns:
    """Read a CSV (commas, UTF-8, a header) or Parquet table of crops.

    `path` is required and relative to the table's folder; `camera`, `identity`, `split` (train,
    query, gallery) and `time` (seconds, or ISO 8601) are optional. An empty identity is unknown.
    Raises DataError for a table that cannot be read, a missing or misspelt column, an empty
    cell where none may be, and values that do not exist.
    """
    try:
        names = _column_names(file)
        known = [name for name in COLUMNS if name in names]
        _check_columns(file, names)
        table = _load(file, known)
        cells = {name: [_text(cell) for cell in table.column(name).to_pylist()] for name in known}
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DataError(f"cannot read the table {file}: {error}") from error
    if not table.num_rows:
        raise DataError(f"the table {file} has no rows below its header")
    return Columns(
        paths=[Path(path).as_posix() for path in _filled(file, "path", cells["path"])],
        splits=_splits(file, cells["split"]) if "split" in cells else None,
        cameras=_filled(file, "camera", cells["camera"]) if "camera" in cells else None,
        identities=cells.get("identity"),
        times=_times(file, cells["time"]) if "time" in cells else None,
    )


def seconds(text: str | None) -> float:
    """Seconds from a number or an ISO 8601 date (UTC unless it says otherwise); None gives NaN.

    Raises ValueError for any other text, and for infinity.
    """
    if text is None:
        return math.nan
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
    else:
        if math.isinf(number):
            raise ValueError(f"{text} is no time")
        return number
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def suggestion(word: str, known: Sequence[str]) -> str:
    """', did you mean …?' for the known word that is nearest to `word`, or nothing."""
    usual = _USUAL_NAMES.get(word.lower().strip())
    near = [usual] if usual in known else get_close_matches(word.lower().strip(), known, n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _column_names(file: Path) -> list[str]:
    if file.suffix.lower() == ".parquet":
        return list(pa.parquet.read_schema(file).names)
    with pa.csv.open_csv(file) as reader:
        return list(reader.schema.names)


def _load(file: Path, columns: list[str]) -> pa.Table:
    if file.suffix.lower() == ".parquet":
        return pa.parquet.read_table(file, columns=columns)
    options = pa.csv.ConvertOptions(
        include_columns=columns,
        column_types={name: pa.string() for name in columns},
        strings_can_be_null=True,
        null_values=[""],
    )
    return pa.csv.read_csv(file, convert_options=options)


def _check_columns(file: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"the table {file} has the column {twice[0]!r} more than once")
    if len(names) == 1 and any(separator in names[0] for separator in ";\t|"):
        raise DataError(f"the columns of the table {file} should be separated by commas")
    free = [name for name in COLUMNS if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    for name in unknown:
        hint = suggestion(name, free)
        if hint:
            raise DataError(f"the table {file} has an unknown column {name!r}{hint} Rename it")
    if "path" in free:
        raise DataError(
            f"the table {file} has no column 'path': it has {', '.join(map(repr, names))}; "
            f"resight reads {', '.join(COLUMNS)}"
        )
    if unknown:
        logger.warning("%s: ignored the columns %s", file, ", ".join(map(repr, unknown)))


def _text(cell: object) -> str | None:
    """A cell as the name that it stands for; 3.0 is 3, as whole numbers beside gaps are stored."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)) or cell == "":
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, datetime) else str(cell)


def _filled(file: Path, column: str, cells: list[str | None]) -> list[str]:
    filled = [cell for cell in cells if cell is not None]
    if len(filled) < len(cells):
        raise DataError(
            f"the table {file} has an empty {column!r} in row {cells.index(None) + 1} and in "
            f"{len(cells) - len(filled)} of {len(cells)} rows: fill it in or leave the rows out"
        )
    return filled


def _splits(file: Path, cells: list[str | None]) -> list[str]:
    splits = _filled(file, "split", cells)
    for row, split in enumerate(splits, start=1):
        if split not in SPLITS:
            raise DataError(
                f"the table {file} has the split {split!r} in row {row}, expected one of "
                f"{', '.join(SPLITS)}{suggestion(split, SPLITS)}"
            )
    return splits


def _times(file: Path, cells: list[str | None]) -> list[float]:
    times = []
    for row, cell in enumerate(cells, start=1):
        try:
            times.append(seconds(cell))
        except ValueError as error:
            raise DataError(
                f"the table {file} has the time {cell!r} in row {row}, expected seconds or an "
                "ISO 8601 date such as 2024-05-01T12:30:00"
            ) from error
    return times
