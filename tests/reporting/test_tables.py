from __future__ import annotations

import math

import pytest

from resight.errors import RunError
from resight.reporting.quantities import duration, quantity, short
from resight.reporting.tables import camera_matrix, cards, comparison, epoch_table


def test_the_run_is_found_in_its_comparison_and_gaps_are_points_of_map():
    mine = {"mAP": 60.0, "rank1": 80.0, "mAP_market": 59.0}
    other = {"mAP": 70.5, "rank1": None}
    entries = [{"name": "bound", "figures": other}, {"name": "ours", "figures": mine}]
    table = comparison({"figures": mine, "comparison": entries}, ())
    assert table.columns == ("mAP", "Rank-1")
    assert [(row.name, row.is_run, row.gap) for row in table.rows] == [
        ("bound", False, "−10.5"),
        ("ours", True, ""),
    ]
    assert [(cell.text, cell.bar) for cell in table.rows[0].cells] == [("70.5%", 70.5), ("–", None)]


def test_a_run_that_is_not_compared_is_a_row_of_its_own():
    table = comparison({"figures": {"mAP": 5.0}}, ())
    assert [(row.name, row.is_run) for row in table.rows] == [("this run", True)]
    assert not table.has_gaps


def test_gaps_have_one_decimal():
    entries = [{"name": name, "figures": {"mAP": gap}} for name, gap in (("a", 63.81), ("b", 5))]
    table = comparison({"figures": {"mAP": 60.0}, "comparison": entries}, ())
    assert [row.gap for row in table.rows] == ["−3.8", "+55.0", ""]


def test_cards_tell_the_intervals_that_are_known():
    found = {"mAP": [44.81, 73.6], "rank1": None, "mINP": [1.0, math.nan]}
    figures = {"mAP": 59.2, "rank1": 70.8, "mINP": 38.5}
    evaluation = {"figures": figures, "intervals": found, "level": 0.95}
    assert [card.interval for card in cards(evaluation, ())] == ["95%: 44.8 – 73.6", "", ""]
    assert [card.interval for card in cards({"figures": figures}, ())] == [""] * 3


def test_the_log_stands_in_for_a_missing_evaluation():
    records = [{"epoch": 1, "evaluation": {"mAP": 10.0}}, {"epoch": 2, "clusters": 7}]
    assert [card.value for card in cards({}, records)] == ["10.0%", "7"]
    assert comparison({}, records).rows[0].cells[0].text == "10.0%"
    assert comparison({}, ()) is None


def test_no_two_columns_have_one_name():
    figures = {"clusters": 11, "outliers": 44, "outlier_share": 0.306}
    assert comparison({"figures": figures}, ()).columns == ("clusters", "outliers")


def test_label_free_figures_have_no_bars():
    table = comparison({"figures": {"outlier_share": 0.1, "silhouette": math.nan}}, ())
    assert [cell.text for cell in table.rows[0].cells] == ["10.0%"]
    assert not table.has_bars


@pytest.mark.parametrize(
    "evaluation",
    [
        {"camera_matrix": {"cameras": ["a", "b"], "mAP": [[None, 50], [math.nan, None]]}},
        {"cameras": ["a", "b"], "matrices": {"mAP": [[None, 50], [None, None]]}},
    ],
)
def test_camera_matrix(evaluation):
    matrix = camera_matrix(evaluation)
    assert matrix.cameras == ("a", "b")
    assert matrix.values == ((None, 50.0), (None, None))


def test_camera_matrix_absent_or_misshapen():
    assert camera_matrix({}) is None
    with pytest.raises(RunError, match=r"2 cameras, but its camera matrix has 1 rows of \[2\]"):
        camera_matrix({"camera_matrix": {"cameras": ["a", "b"], "mAP": [[None, 1.0]]}})
    with pytest.raises(RunError, match=r"2 cameras, but its camera matrix has 2 rows of \[0\]"):
        camera_matrix({"camera_matrix": {"cameras": ["a", "b"], "mAP": [None, None]}})


def test_epoch_table_has_the_columns_that_were_logged():
    records = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": None, "evaluation": {"mAP": 9.5}}]
    assert epoch_table(records) == (
        ["epoch", "loss", "mAP"],
        [["1", "2", "–"], ["2", "–", "9.5%"]],
    )


def test_values_are_written_for_people():
    assert quantity("rank20").name == "Rank-20"
    assert quantity("outlier_share").text(0.125) == "12.5%"
    assert [short(v) for v in (0, 999.7, 12345.6, -0.5)] == ["0", "1,000", "12,346", "-0.50"]
    spans = [duration(s) for s in (5, 59.96, 60, 3599.6)]
    assert spans == ["5.0 s", "1 min 0 s", "1 min 0 s", "1 h 0 min"]
