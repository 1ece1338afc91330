from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.reporting.query_rows import QueryRows
from resight.reporting.retrieval import by_camera, cmc_chart, failures


def rows(first, cameras=None, wrong=None, ap=None):
    first = np.array(first, dtype=np.int64)
    ap = 1 / first if ap is None else np.array(ap)
    cameras = tuple(cameras or [None] * len(first))
    return QueryRows(first, ap, ap / 2, cameras, None if wrong is None else tuple(wrong))


def titles(chart):
    return [e.text for e in ET.fromstring(chart.svg).iter("title")]


def test_cmc_is_drawn_at_50_ranks():
    told = titles(chart := cmc_chart({"cmc": [50.0, *[75.0] * 49]}))
    assert told[0] == "first k 1\nthis run 50.0%"
    assert told[1] == "first k 2\nthis run 75.0%"
    assert told[49] == "first k 50\nthis run 75.0%"
    assert len(told) == 50
    assert chart.legend == ("this run",)


def test_cmc_of_the_compared_ones_where_it_was_kept():
    figures = {"mAP": 50.0}
    entries = [
        {"name": "colours", "figures": {"mAP": 9.0}, "cmc": [20.0, 30.0]},
        {"name": "start", "figures": {"mAP": 9.5}},
        {"name": "damaged", "figures": {"mAP": 9.6}, "cmc": [20.0, None]},
        {"name": "ours", "figures": figures, "cmc": [0.0]},
    ]
    chart = cmc_chart({"figures": figures, "cmc": [50.0, 100.0], "comparison": entries})
    assert chart.legend == ("ours", "colours")
    assert titles(chart)[0] == "first k 1\nours 50.0%\ncolours 20.0%"


def test_cmc_draws_at_most_four():
    entries = [{"name": str(i), "figures": {"mAP": i}, "cmc": [1.0, 2.0]} for i in range(9)]
    assert len(cmc_chart({"cmc": [100.0], "comparison": entries}).legend) == 4


@pytest.mark.parametrize("curve", [None, [], "high", [50.0, None]])
def test_no_chart_of_a_damaged_curve(curve):
    assert cmc_chart({"cmc": curve}) is None


@pytest.mark.parametrize("queries", [None, rows([])])
def test_nothing_without_queries(queries):
    assert by_camera({}, queries) == ()
    assert failures(queries) is None


def test_figures_by_query_camera():
    queries = rows([1, 3, 1, 1], ["c10", "c2", "c2", None], ap=[1.0, 0.25, 0.75, 0.0])
    found = by_camera({}, queries)
    assert [(r.camera, r.queries, r.m_ap, r.rank1) for r in found] == [
        ("c2", 2, 50.0, 50.0),
        ("c10", 1, 100.0, 100.0),
    ]
    assert [r.m_ap for r in by_camera({"ap": "market"}, queries)] == [25.0, 50.0]
    assert by_camera({}, rows([1, 2], ["c1", "c1"])) == ()


CAMERA = st.sampled_from(["a", "b", "c", None])


@given(st.lists(st.tuples(st.integers(1, 3), CAMERA, CAMERA), max_size=40))
def test_failures_by_pair_against_plain_counting(queries):
    first, cameras, wrong = ([q[i] for q in queries] for i in range(3))
    found = failures(rows(first, cameras, wrong))
    failed = [(c, w) for f, c, w in queries if f > 1 and c and w]
    seen = {c for c in cameras if c} | {w for _, w in failed}
    if not failed or len(seen) == 1:
        assert found is None
        return
    assert found.failures == len(failed)
    assert found.same == sum(c == w for c, w in failed)
    assert {(p.query_camera, p.answer_camera): p.failures for p in found.pairs} == {
        pair: failed.count(pair) for pair in set(failed)
    }
    counts = [p.failures for p in found.pairs]
    assert counts == sorted(counts, reverse=True)
    for pair in found.pairs:
        assert pair.share == pytest.approx(100 * pair.failures / cameras.count(pair.query_camera))
        assert pair.of_all == pytest.approx(100 * pair.failures / len(failed))


def test_only_the_ten_worst_pairs_are_listed():
    pairs = [(a, b) for a in "abcd" for b in "wxyz"]
    found = failures(rows([2] * 16, [a for a, _ in pairs], [b for _, b in pairs]))
    assert len(found.pairs) == 10
    assert found.hidden == 6


def test_a_single_camera_tells_nothing_of_cameras():
    assert failures(rows([2, 3, 1], ["a", "a", "a"], ["a", "a", None])) is None
    assert failures(rows([2, 1], ["a", "b"], ["a", None])).same == 1


def test_failures_need_the_cameras_of_wrong_answers():
    assert failures(rows([2], ["a"])) is None
