from __future__ import annotations

import math
import re

import pytest

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


def histogram(*counts):
    return {"counts": list(counts)}


def spread_of(records):
    """The chart of silhouettes, or None."""
    charts = [chart for group in chart_groups(records) for chart in group.charts]
    return next((c for c in charts if c.title == "Spread of the silhouettes"), None)


def named(chart):
    return re.findall(r'class="legend"[^>]*>([^<]*)<', chart.svg)


def test_silhouettes_of_the_first_the_middle_and_the_last_epoch_that_have_some():
    records = [{"epoch": e, "silhouettes": histogram(0, e, 3)} for e in range(1, 8)]
    assert named(spread_of(records)) == ["epoch 1", "epoch 4", "epoch 7"]
    assert named(spread_of(records[:2])) == ["epoch 1", "epoch 2"]
    assert named(spread_of(records[4:5])) == ["epoch 5"]
    late = [{"epoch": 0}, {"epoch": 0.5, "silhouettes": histogram(0, 0, 0)}, *records]
    assert named(spread_of(late)) == ["epoch 1", "epoch 4", "epoch 7"]
    coarse = [{"epoch": 1, "silhouettes": histogram(5)}, *records[1:]]
    assert named(spread_of(coarse)) == ["epoch 2", "epoch 4", "epoch 7"]


@pytest.mark.parametrize(
    "logged",
    [
        *(None, 3, [1, 2], {}, {"counts": 7}, histogram(), histogram(0, 0), histogram(2, -1)),
        *(histogram(1, other) for other in (None, math.nan, "a", True, 0.5)),
    ],
)
def test_histograms_that_cannot_be_drawn_are_left_out(logged):
    assert spread_of([{"epoch": 1, "silhouettes": logged, "loss": 1.0}]) is None


def test_figures_of_true_identities_are_drawn_beside_those_of_the_clusters():
    consistency = {"identity_consistency": 0.0583, "identity_consistency_anchors": 0.04}
    records = [
        {
            "epoch": e,
            "camera_entropy": 0.5 * e,
            "identity_camera_entropy": 1.9,
            "against_identities": consistency,
        }
        for e in (1, 2)
    ]
    charts = {c.title: c.svg for group in chart_groups(records) for c in group.charts}
    assert list(charts) == ["Identity consistency of boundary crops", "Camera mix"]
    assert ">all crops 5.8%<" in charts["Identity consistency of boundary crops"]
    assert ">anchors 4.0%<" in charts["Identity consistency of boundary crops"]
    assert ">clusters 1 bits<" in charts["Camera mix"]
    assert ">identities 1.9 bits<" in charts["Camera mix"]
