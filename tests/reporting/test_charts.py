from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.reporting.charts import (
    LABEL_GAP,
    MOST_COLUMNS,
    Line,
    line_chart,
    line_plot,
    spread,
    stacked_bars,
)
from resight.reporting.drawing import HEIGHT, LINE_HEIGHT, WIDTH

LINE = Line("mAP", ((1, 10.0), (2, 30.0), (4, 50.0)))


def draw(*lines, **options):
    return ET.fromstring(line_chart(lines, title="T", **{"epochs": (1, 5), **options}))


def circles(svg):
    return [(float(c.get("cx")), float(c.get("cy"))) for c in svg.iter("circle")]


def test_points_lie_where_the_scales_say():
    plot = line_plot([LINE], epochs=(1, 5), unit="%", y_range=(0, 100))
    svg = draw(LINE, unit="%", y_range=(0, 100))
    expected = [(plot.x(epoch), plot.y(value)) for epoch, value in LINE.points]
    assert circles(svg) == [pytest.approx(place, abs=0.06) for place in expected]
    left, right = plot.x.start, plot.x.end
    assert circles(svg)[1][0] == pytest.approx(left + (right - left) / 4, abs=0.06)


def test_half_of_the_range_is_half_way_up():
    line = Line("", ((1, 0.0), (3, 50.0), (5, 100.0)))
    (_, bottom), (_, middle), (_, top) = circles(draw(line))
    assert middle == pytest.approx((bottom + top) / 2, abs=0.06)
    assert bottom > top


def test_grid_lines_and_tick_texts_agree():
    svg = draw(LINE, unit="%", y_range=(0, 100))
    texts = [t.text for t in svg.iter("text")]
    assert texts[:6] == ["0%", "20%", "40%", "60%", "80%", "100%"]
    grid = [line for line in svg.iter("line") if line.get("class") in ("grid", "zero")]
    plot = line_plot([LINE], epochs=(1, 5), unit="%", y_range=(0, 100))
    assert [float(g.get("y1")) for g in grid] == pytest.approx(
        [plot.y(v) for v in (0, 20, 40, 60, 80, 100)], abs=0.06
    )


def test_each_line_is_labelled_at_its_end_with_its_last_value():
    svg = draw(LINE, Line("Rank-1", ((1, 20.0), (5, 64.04))), unit="%")
    labels = {t.get("class"): t.text for t in svg.iter("text") if "label" in t.get("class")}
    assert labels == {"label s1": "mAP 50.0%", "label s2": "Rank-1 64.0%"}


def test_labels_stand_where_the_lines_end():
    def places(last):
        svg = draw(Line("a", ((1, 1.0), (last, 2.0))), LINE, epochs=(1, 9))
        return {t.get("x") for t in svg.iter("text") if "label" in t.get("class")}

    plot = line_plot([Line("a", ((1, 1.0), (4, 2.0))), LINE], epochs=(1, 9))
    assert places(4) == {f"{plot.x(4) + LABEL_GAP:.1f}"}
    assert places(9) == {f"{plot.x.end + LABEL_GAP:.1f}"}


def test_pointing_at_an_epoch_reads_all_lines():
    svg = draw(LINE, Line("Rank-1", ((2, 64.0),)), unit="%")
    titles = [t.text for t in svg.iter("title")]
    assert titles == [
        "epoch 1\nmAP 10.0%",
        "epoch 2\nmAP 30.0%\nRank-1 64.0%",
        "epoch 4\nmAP 50.0%",
    ]


def test_a_single_epoch_is_a_point_within_the_picture():
    ((x, y),) = circles(draw(Line("", ((1, 3.0),)), epochs=(1, 1)))
    assert 0 < x < WIDTH
    assert 0 < y < HEIGHT


def test_lines_without_points_are_left_out_and_none_at_all_is_an_error():
    svg = draw(Line("empty", ()), LINE)
    assert [g.get("class") for g in svg.iter("g") if "line" in g.get("class")] == ["line s1"]
    with pytest.raises(ValueError, match="at least one line"):
        draw(Line("empty", ()))


def test_marks_stand_at_their_epoch_and_are_escaped():
    svg = draw(LINE, marks={2: "a <b> & c"})
    plot = line_plot([LINE], epochs=(1, 5))
    (mark,) = [g for g in svg.iter("g") if g.get("class") == "event"]
    assert mark.find("title").text == "a <b> & c"
    assert float(mark.find("line").get("x1")) == pytest.approx(plot.x(2), abs=0.06)


def test_names_cannot_inject_markup():
    svg = line_chart([Line("<script>", ((1, 1.0),))], title='"><script>', epochs=(1, 1))
    assert "<script>" not in svg


def test_long_runs_have_a_bounded_number_of_columns():
    line = Line("", tuple((e, float(e)) for e in range(1, 1001)))
    svg = draw(line, epochs=(1, 1000))
    assert len([g for g in svg.iter("g") if g.get("class") == "column"]) <= MOST_COLUMNS


@given(st.lists(st.floats(0, 200), min_size=1, max_size=4))
def test_labels_do_not_overlap_and_keep_their_order(heights):
    placed = spread(heights, 0, 200)
    ranked = [p for _, p in sorted(zip(heights, placed, strict=True))]
    assert all(b - a >= LINE_HEIGHT - 1e-9 for a, b in itertools.pairwise(ranked))
    assert all(0 <= p <= 200 for p in placed)


def test_labels_that_fit_stay_where_they_are():
    assert spread([80.0, 20.0], 0, 200) == [80.0, 20.0]


def test_bars_are_stacked_in_proportion_to_their_values():
    layers = [("extract", {1: 10.0, 2: 20.0}), ("train", {1: 30.0})]
    svg = ET.fromstring(stacked_bars(layers, title="T", epochs=(1, 2), unit=" s"))
    bars = [
        (r.get("class"), float(r.get("y")), float(r.get("height")))
        for r in svg.iter("rect")
        if r.get("class") and r.get("rx") is None
    ]
    (low, low_y, low_height), (_, _, second_height), (top, top_y, top_height) = bars
    assert (low, top) == ("bar s1", "bar s2")
    assert second_height == pytest.approx(2 * low_height, abs=0.25)
    assert top_height == pytest.approx(3 * low_height, abs=0.25)
    assert top_y + top_height == pytest.approx(low_y, abs=0.25)
    assert "epoch 1\nextract 10 s\ntrain 30 s\ntogether 40 s" in [t.text for t in svg.iter("title")]


def test_bars_without_values_are_an_error():
    with pytest.raises(ValueError, match="at least one bar"):
        stacked_bars([("extract", {})], title="T", epochs=(1, 1))
