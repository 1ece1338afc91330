from __future__ import annotations

import math

from resight.reporting.curves import chart_groups, rescues, series


def titles(records):
    return [chart.title for group in chart_groups(records) for chart in group.charts]


def test_missing_and_unusable_values_are_skipped():
    values = [0.5, None, math.nan, "x", True, math.inf, 0.25]
    records = [{"epoch": i, "outlier_share": v} for i, v in enumerate(values, start=1)]
    records.append({"epoch": 8})
    assert series(records, "outlier_share") == ((1, 50.0), (7, 25.0))


def test_nested_figures_are_found_and_scaled_by_their_own_name():
    records = [{"epoch": 3, "evaluation": {"mAP": 41.2}, "against_identities": {"recall": 0.5}}]
    assert series(records, "evaluation.mAP") == ((3, 41.2),)
    assert series(records, "against_identities.recall") == ((3, 50.0),)
    assert series(records, "loss.deeper") == ()


def test_a_chart_is_drawn_only_for_what_was_logged():
    assert titles([{"epoch": 1, "loss": 2.0}]) == ["Loss"]
    assert titles([{"epoch": 1, "silhouette": math.nan, "clusters": 4}]) == ["Clusters"]
    assert titles([]) == []


def test_unknown_figures_get_charts_of_their_own():
    records = [{"epoch": 1, "loss": 2.0, "memory_drift": 0.1, "note": "text"}]
    assert titles(records) == ["Loss", "Memory drift"]


def test_negative_values_are_drawn():
    records = [{"epoch": e, "silhouette": -0.2 * e} for e in (1, 2)]
    assert titles(records) == ["Silhouette"]


def test_every_chart_says_how_to_read_it():
    records = [{"epoch": 1, "loss": 1.0, "agreement": 0.5, "seconds": {"train": 2.0}}]
    hints = [chart.hint for group in chart_groups(records) for chart in group.charts]
    assert len(hints) == 3
    assert all(hint.endswith(".") for hint in hints)


def test_rescues_name_their_epochs():
    records = [{"epoch": 1, "rescue": None}, {"epoch": 2, "rescue": "eps 0.4"}, {"epoch": 3}]
    assert rescues(records) == {2: "eps 0.4"}
