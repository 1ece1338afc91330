from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from resight.evaluation.rates import Rate
from resight.evaluation.threshold import PARTS, Threshold
from resight.reporting.thresholds import calibrated


def counts(**at):
    """256 counts, 0 but for those at these places."""
    return tuple(at.get(f"p{i}", 0) for i in range(PARTS))


THRESHOLD = Threshold(
    similarity=0.25,
    far=0.01,
    false_accept=Rate(1, 400, 0.0, 0.02),
    false_reject=Rate(3, 20, 0.05, 0.3),
    genuine=counts(p160=5, p170=15),
    impostor=counts(p140=300, p150=100),
    source="identities",
    cross_camera=True,
    crops=1200,
    identities=40,
)


def texts(found):
    svg = ET.fromstring(found.chart.svg)
    return [t.text for t in svg.iter("text")], [t.text for t in svg.iter("title")]


def test_none_without_a_threshold():
    assert calibrated(None) is None


def test_figures_and_rates():
    found = calibrated(THRESHOLD)
    assert (found.similarity, found.distance, found.wanted) == ("0.250", "0.750", "1.0%")
    assert found.source == "1,200 crops of 40 individuals, pairs of different cameras only"
    assert [(r.share, r.interval, r.errors, r.pairs) for r in found.rates] == [
        ("0.25%", "0% – 2.0%", 1, 400),
        ("15.0%", "5.0% – 30.0%", 3, 20),
    ]
    assert "pseudo-labels" in calibrated(replace(THRESHOLD, source="pseudo-labels")).source


def test_the_chart_shows_shares_and_the_threshold():
    words, titles = texts(calibrated(THRESHOLD))
    assert "threshold 0.25" in words
    assert "cosine similarity 0.09 to 0.10\ntwo individuals: 75.0%" in titles
    assert "cosine similarity 0.25 to 0.26\none individual: 25.0%" in titles
    assert "threshold 0.25" in ET.fromstring(calibrated(THRESHOLD).chart.svg).get("aria-label")


def test_wide_histograms_are_drawn_coarser():
    wide = replace(THRESHOLD, impostor=counts(p40=300, p43=50, p150=50))
    _, titles = texts(calibrated(wide))
    assert "cosine similarity -0.69 to -0.66\ntwo individuals: 87.5%" in titles


def test_no_pairs_have_no_rate():
    empty = replace(THRESHOLD, false_reject=Rate(0, 0, 0.0, 1.0))
    assert calibrated(empty).rates[1].share == "–"


@pytest.mark.parametrize(("similarity", "end"), [(0.12, False), (0.3, True)])
def test_the_words_stand_where_there_is_room(similarity, end):
    svg = ET.fromstring(calibrated(replace(THRESHOLD, similarity=similarity)).chart.svg)
    [mark] = [t for t in svg.iter("text") if (t.text or "").startswith("threshold")]
    assert ("end" in mark.get("class").split()) == end
