"""Parquet files of a run, checked before anything is drawn from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resight.errors import RunError


def read_columns(
    file: Path,
    needed: Mapping[str, pa.DataType],
    *,
    advice: str,
    sparse: Collection[str] = (),
) -> pa.Table:
    """The table in `file`, its `needed` columns cast to these types.

    sparse: those of them that may have empty cells. Other columns stay as they are. Raises
    RunError, with `advice`, for a file that cannot be understood or lacks a column.
    """
    try:
        table = pq.read_table(file)
        table.validate(full=True)
        lacking = [name for name in needed if name not in table.column_names]
        if lacking:
            raise RunError(f"{file} lacks {', '.join(lacking)}: {advice}")
        for name, kind in needed.items():
            place = table.column_names.index(name)
            table = table.set_column(place, name, table[name].cast(kind))
            if table[name].null_count and name not in sparse:
                raise ValueError(f"{name} has {table[name].null_count} empty cells")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RunError(f"{file} is damaged ({error}): {advice}") from error
    return table
