"""Wildlife: a table of identity and path, as the wildlife-datasets package writes metadata.csv."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from resight.data.columns import Columns
from resight.errors import DataError

logger = logging.getLogger(__name__)

METADATA = "metadata.csv"

_UNKNOWN = ("", "unknown", "nan", "none")
_MARKS = {"image_id", "orientation", "species", "date"}
_OWN = {"camera", "time"}
_SPLITS = {
    "train": "train",
    "query": "query",
    "gallery": "gallery",
    "database": "gallery",
    "test": "gallery",
}


def read_wildlife(place: Path) -> Columns:
    """A CSV with identity and path, or the folder of a metadata.csv; paths start from its folder.

    `date` gives times; what is no ISO 8601 date, like a bare year, is unknown. `split` (train,
    query, gallery; database and test are gallery) is optional. "unknown" is no identity. There
    are no cameras: an `orientation` is the side of the animal that is seen.
    """
    file = place / METADATA if place.is_dir() else place
    rows = _rows(file)
    identities = [_identity(row["identity"]) for row in rows]
    return Columns(
        paths=_paths(file, rows),
        splits=_splits(file, rows) if "split" in rows[0] else None,
        identities=identities,
        times=_times(file, rows) if "date" in rows[0] else None,
    )


def fits_wildlife(place: Path) -> bool:
    """Whether the table has identity and path, and a column that only wildlife tables have."""
    file = place / METADATA if place.is_dir() else place
    if file.suffix.lower() != ".csv" or not file.is_file():
        return False
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            names = set(next(csv.reader(lines), []))
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return {"identity", "path"} <= names and bool(names & _MARKS) and not names & _OWN


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, restval="")
            missing = [
                name for name in ("identity", "path") if name not in (reader.fieldnames or ())
            ]
            if missing:
                raise DataError(
                    f"{file} has no column {missing[0]!r}, which the layout 'wildlife' needs"
                )
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read the table {file}: {error}") from error
    if not rows:
        raise DataError(f"the table {file} has no rows below its header")
    if "bbox" in rows[0]:
        logger.warning("%s: the boxes in the column 'bbox' are not cut out", file)
    return rows


def _paths(file: Path, rows: Sequence[dict[str, str]]) -> list[str]:
    for number, row in enumerate(rows, start=1):
        if not row["path"]:
            raise DataError(f"the table {file} has an empty 'path' in row {number}")
    return [Path(row["path"]).as_posix() for row in rows]


def _identity(text: str) -> str | None:
    return None if text.strip().lower() in _UNKNOWN else text


def _splits(file: Path, rows: Sequence[dict[str, str]]) -> list[str]:
    for number, row in enumerate(rows, start=1):
        if row["split"] not in _SPLITS:
            raise DataError(
                f"the table {file} has the split {row['split']!r} in row {number}, expected one of "
                f"{', '.join(_SPLITS)}"
            )
    return [_SPLITS[row["split"]] for row in rows]


def _times(file: Path, rows: Sequence[dict[str, str]]) -> list[float]:
    times = [_seconds(row["date"]) for row in rows]
    unread = sum(
        math.isnan(time) and bool(row["date"]) for time, row in zip(times, rows, strict=True)
    )
    if unread:
        logger.warning("%s: %s dates are no full ISO 8601 dates", file, f"{unread:,}")
    return times


def _seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
