"""Wildlife: a table of identity and path, as the wildlife-datasets package writes metadata.csv."""

from __future__ import annotations

import csv
import logging
import math
import re
from collections import Counter
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
_OTHER_SEPARATORS = re.compile(r"[;\t|]")
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
    """Whether the table has identity and path, and a column that only wildlife tables have.

    Other separators than commas, capitals and blanks fit, so that reading tells of them.
    """
    file = place / METADATA if place.is_dir() else place
    if file.suffix.lower() != ".csv" or not file.is_file():
        return False
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            header = next(csv.reader(lines), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    cells = (name for cell in header for name in _OTHER_SEPARATORS.split(cell))
    names = {name.strip().lower() for name in cells}
    return {"identity", "path"} <= names and bool(names & _MARKS) and not names & _OWN


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, restval="")
            _check_header(file, reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read the table {file}: {error}") from error
    if not rows:
        raise DataError(f"the table {file} has no rows below its header")
    long = next((number for number, row in enumerate(rows, start=1) if None in row), None)
    if long is not None:
        raise DataError(f"the table {file} has more cells in row {long} than its header")
    if "bbox" in rows[0]:
        logger.warning("%s: the boxes in the column 'bbox' are not cut out", file)
    return rows


def _check_header(file: Path, names: Sequence[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"the table {file} has the column {twice!r} more than once")
    missing = next((name for name in ("identity", "path") if name not in names), None)
    if missing is None:
        return
    if len(names) == 1 and _OTHER_SEPARATORS.search(names[0]):
        raise DataError(f"the columns of the table {file} should be separated by commas")
    told = ", ".join(map(repr, names)) or "none"
    raise DataError(
        f"{file} has no column {missing!r}, which the layout 'wildlife' needs: it has {told}"
    )


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
