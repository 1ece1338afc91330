from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resight.errors import RunError
from resight.reporting.query_rows import in_order, read_query_rows

COLUMNS = {
    "camera": ["c1", None],
    "ap_step": [1.0, 0.5],
    "ap_market": [1.0, 0.4],
    "first": [1, 3],
}


def test_rows_are_read_and_older_files_lack_a_column(tmp_path):
    file = tmp_path / "evaluation.parquet"
    assert read_query_rows(file) is None
    pq.write_table(pa.table(COLUMNS), file)
    rows = read_query_rows(file)
    assert rows.cameras == ("c1", None)
    assert rows.failed.tolist() == [False, True]
    assert rows.wrong_cameras is None
    pq.write_table(pa.table({**COLUMNS, "first_wrong_camera": [None, "c2"]}), file)
    assert read_query_rows(file).wrong_cameras == (None, "c2")


def test_a_file_of_another_kind_is_refused(tmp_path):
    file = tmp_path / "evaluation.parquet"
    pq.write_table(pa.table({"first": [1]}), file)
    with pytest.raises(RunError, match="lacks camera, ap_step, ap_market: evaluate the run again"):
        read_query_rows(file)


@pytest.mark.parametrize(
    ("column", "values"), [("first", ["a", "b"]), ("first", [1, None]), ("ap_step", [None, 1.0])]
)
def test_cells_that_are_no_numbers_are_refused(tmp_path, column, values):
    file = tmp_path / "evaluation.parquet"
    pq.write_table(pa.table({**COLUMNS, column: values}), file)
    with pytest.raises(RunError, match=r"evaluation.parquet is damaged .* evaluate the run again"):
        read_query_rows(file)


def test_names_that_are_no_text_are_refused(tmp_path):
    file = tmp_path / "evaluation.parquet"
    broken = pa.array([b"c1", b"\xff"]).view(pa.string())
    pq.write_table(pa.table({**COLUMNS, "camera": broken}), file)
    with pytest.raises(RunError, match=r"evaluation\.parquet is damaged"):
        read_query_rows(file)


def test_names_are_ordered_as_people_do():
    assert in_order({"c10", "c2", "10", "9", "a"}) == ["9", "10", "a", "c2", "c10"]
