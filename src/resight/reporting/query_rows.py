"""How each query of an evaluation fared, as evaluation.parquet keeps it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from resight.records import BoolArray, IntArray
from resight.reporting.columns import read_columns

_CAMERA = "camera"
_NEEDED = {
    _CAMERA: pa.string(),
    "ap_step": pa.float64(),
    "ap_market": pa.float64(),
    "first": pa.int64(),
}
_WRONG = "first_wrong_camera"


@dataclass(frozen=True, eq=False)
class QueryRows:
    """The Q queries that count, of camera-pairs once for each camera searched in.

    first: (Q,) int64 rank of the first match from 1. ap_step, ap_market: (Q,) average precision in
    [0, 1] under both rules. cameras: each query's, None where unknown. wrong_cameras: those of the
    first wrong answers, None where they were not kept.
    """

    first: IntArray
    ap_step: npt.NDArray[np.float64]
    ap_market: npt.NDArray[np.float64]
    cameras: tuple[str | None, ...]
    wrong_cameras: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.first)

    @property
    def failed(self) -> BoolArray:
        """(Q,) queries whose first answer is wrong."""
        failed: BoolArray = self.first > 1
        return failed


def read_query_rows(file: Path) -> QueryRows | None:
    """The queries in `file`, None when there is no such file; raises RunError for a damaged one."""
    if not file.exists():
        return None
    table = read_columns(file, _NEEDED, advice="evaluate the run again", sparse=(_CAMERA,))
    wrong = _names(table, _WRONG) if _WRONG in table.column_names else None
    return QueryRows(
        first=table["first"].to_numpy(),
        ap_step=table["ap_step"].to_numpy(),
        ap_market=table["ap_market"].to_numpy(),
        cameras=_names(table, _CAMERA),
        wrong_cameras=wrong,
    )


def in_order(names: set[str]) -> list[str]:
    """Names as people sort them.

    >>> in_order({"c10", "c2", "c1"})
    ['c1', 'c2', 'c10']
    """
    return sorted(names, key=_natural)


def _natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts)


def _names(table: pa.Table, column: str) -> tuple[str | None, ...]:
    return tuple(None if v is None else str(v) for v in table[column].to_pylist())
