from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from resight.reporting.drawing import HEIGHT, WIDTH
from resight.reporting.histograms import histogram_chart, histogram_plot

COUNTS = {"epoch 1": [0, 4, 2, 0, 0, 0, 0, 0], "epoch 9": [0, 0, 0, 1, 0, 1200, 3, 0]}
AXIS = {"x_name": "silhouette", "low": -1.0, "high": 1.0}


def draw(counts):
    return ET.fromstring(histogram_chart(counts, title="T", **AXIS))


def corners(svg):
    """The points of each outline's path."""
    outlines = []
    for path in svg.iter("path"):
        x = y = 0.0
        points = []
        for command, numbers in re.findall(r"([MVH])([-\d. ]+)", path.get("d")):
            values = [float(n) for n in numbers.split()]
            x = values[0] if command in "MH" else x
            y = values[-1] if command in "MV" else y
            points.append((x, y))
        outlines.append(points)
    return outlines


def test_outlines_step_at_the_edges_to_the_counts():
    plot, edges = histogram_plot(COUNTS, **AXIS)
    assert edges == [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1]
    first, last = corners(draw(COUNTS))
    steps = [(-0.75, 0), (-0.75, 4), (-0.5, 4), (-0.5, 2), (-0.25, 2), (-0.25, 0)]
    for found, (x, y) in zip(first, steps, strict=True):
        assert found == pytest.approx((plot.x(x), plot.y(y)), abs=0.06)
    held = [1, 0, 1200, 3]
    assert [y for _, y in last[1:-1:2]] == pytest.approx([plot.y(n) for n in held], abs=0.06)
    assert (last[0][0], last[-1][0]) == pytest.approx((plot.x(-0.25), plot.x(0.75)), abs=0.06)


def test_the_axis_ends_where_nothing_is_held_any_more():
    plot, _ = histogram_plot({"a": [0, 0, 0, 0, 5, 5, 0, 0]}, **AXIS)
    assert (plot.x.low, plot.x.high) == (0, 0.5)
    whole, _ = histogram_plot({"a": [1, 0, 0, 0, 0, 0, 0, 1]}, **AXIS)
    assert (whole.x.low, whole.x.high) == (-1, 1)
    for outline in corners(draw(COUNTS)):
        assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in outline)


def test_pointing_at_a_part_reads_what_it_holds():
    titles = [t.text for t in draw(COUNTS).iter("title")]
    assert titles == [
        "silhouette -0.75 to -0.50\nepoch 1: 4",
        "silhouette -0.50 to -0.25\nepoch 1: 2",
        "silhouette -0.25 to 0.00\nepoch 9: 1",
        "silhouette 0.25 to 0.50\nepoch 9: 1,200",
        "silhouette 0.50 to 0.75\nepoch 9: 3",
    ]


def test_names_are_in_the_legend_and_the_axis_says_what_it_shows():
    svg = draw(COUNTS)
    texts = {t.get("class"): [] for t in svg.iter("text")}
    for t in svg.iter("text"):
        texts[t.get("class")].append(t.text)
    assert texts["legend"] == ["epoch 1", "epoch 9"]
    assert texts["tick middle"][-1] == "silhouette"
    assert [p.get("class") for p in svg.iter("path")] == ["outline s1", "outline s2"]
    assert "epoch 9 highest from 0.25 to 0.50" in svg.get("aria-label")


def test_a_histogram_of_nothing_has_no_outline():
    svg = draw({"empty": [0, 0], "full": [0, 3]})
    assert [p.get("class") for p in svg.iter("path")] == ["outline s2"]
    assert svg.get("aria-label") == "T: full highest from 0.00 to 1.00"


def test_counts_that_do_not_fit_are_an_error():
    for wrong in ({}, {"a": [0, 0]}, {"a": [1, 2], "b": [1]}, {"a": []}):
        with pytest.raises(ValueError, match="equally many counts"):
            draw(wrong)


def test_names_cannot_inject_markup():
    svg = histogram_chart({"<script>": [1]}, title='"><script>', **AXIS)
    assert "<script>" not in svg
