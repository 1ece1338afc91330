from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.errors import RunError
from resight.reporting.crop_map import LETTER, LINE, SIDE, _colours, crop_map
from resight.reporting.map_points import individuals, map_points


def entry(x, y, identity, camera="c1"):
    return {"x": x, "y": y, "identity": identity, "camera": camera, "path": f"{x}-{y}.jpg"}


def test_no_map_without_points():
    assert crop_map({}) is None
    assert crop_map({"map": []}) is None


@pytest.mark.parametrize(
    "damaged",
    [{"x": 0.5}, {**entry(0.5, 1.5, "a")}, {**entry(0.5, float("nan"), "a")}, 3, None],
)
def test_damaged_points_are_refused(damaged):
    with pytest.raises(RunError, match=r"the map of the evaluation is damaged .* evaluate again"):
        map_points({"map": [damaged]})


@given(st.integers(1, 30), st.integers(0, 2**20))
def test_shares_of_nearest_neighbours_against_a_loop(n, seed):
    rng = np.random.default_rng(seed)
    entries = [
        entry(*rng.random(2).tolist(), str(rng.integers(3)), str(rng.integers(2))) for _ in range(n)
    ]
    points = map_points({"map": entries})
    found = {one.name: one for one in individuals(points)}
    for name, one in found.items():
        mine = [i for i, p in enumerate(points) if p.identity == name]
        hits = 0
        for i in mine:
            far = [
                (np.inf if i == j else (p.x - points[i].x) ** 2 + (p.y - points[i].y) ** 2, j)
                for j, p in enumerate(points)
            ]
            hits += points[min(far)[1]].identity == name
        assert one.crops == len(mine)
        assert one.cameras == len({points[i].camera for i in mine})
        assert one.together == pytest.approx(100 * hits / len(mine))


def test_each_crop_is_a_mark_with_words_inside_the_picture():
    corners = [(0, 0), (0, 1), (1, 0), (1, 1)]
    drawn = crop_map({"map": [entry(x, y, f"name-{x}{y}", None) for x, y in corners]})
    svg = ET.fromstring(drawn.svg)
    assert [path.find("title").text for path in svg.iter("path")] == [
        f"name-{x}{y} · {x}-{y}.jpg" for x, y in corners
    ]
    for path in svg.iter("path"):
        numbers = path.get("d")[1:-1].replace("L", " ").split()
        assert all(0 <= float(number) <= SIDE for number in numbers)
    for text in svg.iter("text"):
        assert 0 < float(text.get("x")) < SIDE
        assert 0 < float(text.get("y")) < SIDE
    assert drawn.keys == ()
    assert svg.get("aria-label") == (
        "Map of 4 crops of 4 individuals, for 0% of them the nearest crop shows the same individual"
    )


def test_cameras_have_shapes_and_share_them_when_there_are_many():
    entries = [entry(0.1 * i, 0.5, "a", f"c{i}") for i in range(8)]
    keys = crop_map({"map": entries}).keys
    assert [key.cameras for key in keys] == ["c0, c6", "c1, c7", "c2", "c3", "c4", "c5"]
    assert len({key.svg for key in keys}) == 6


def test_neighbours_have_different_colours_and_names_do_not_overlap():
    places = [(i / 12, 0.5) for i in range(13)]
    colours = _colours(places)
    assert all(a != b for a, b in pairwise(colours))
    assert set(colours) == set(range(1, 7))
    drawn = crop_map({"map": [entry(0.5, 0.5 + 0.001 * i, f"n{i}") for i in range(5)]})
    heights = sorted(float(t.get("y")) for t in ET.fromstring(drawn.svg).iter("text"))
    assert min(np.diff(heights)) >= 14


def test_clusters_are_called_so():
    drawn = crop_map({"protocol": "label-free", "map": [entry(0.5, 0.5, "cluster 3")]})
    assert drawn.who == "cluster"
    assert "1 crops of 1 clusters" in drawn.svg


def test_names_that_are_pushed_down_pass_all_that_are_there_already():
    # "c…" is pushed below "a" and "b". "e…" meets "d", is pushed below it, and there meets "c…".
    names = {"a": (0.2, 0.1), "b": (0.2, 0.101), "c" * 16: (0.2, 0.102)}
    names |= {"d" * 5: (0.5, 0.12), "e" * 16: (0.4, 0.121)}
    drawn = crop_map({"map": [entry(*place, name) for name, place in names.items()]})
    boxes = [
        (float(t.get("x")), float(t.get("y")), LETTER * len(t.text) / 2)
        for t in ET.fromstring(drawn.svg).iter("text")
    ]
    for (x, y, half), (other_x, other_y, other_half) in combinations(boxes, 2):
        assert abs(x - other_x) >= half + other_half or abs(y - other_y) >= LINE - 0.11


def test_long_names_are_cut_on_the_map_alone():
    drawn = crop_map({"map": [entry(0.5, 0.5, "x" * 40)]})
    [label] = ET.fromstring(drawn.svg).iter("text")
    assert label.text == "x" * 15 + "…"
    assert drawn.individuals[0].name == "x" * 40
