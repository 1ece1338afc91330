from __future__ import annotations

import pytest

from resight.errors import RunError
from resight.reporting.ranked import ranked_lists


def evaluation(kinds, **more):
    """One list of answers: r(ight), w(rong), d(ropped)."""
    matches = [
        {"path": f"{i}{kind}", "similarity": 1 - i / 100, "right": kind == "r"}
        | ({"dropped": True} if kind == "d" else {})
        for i, kind in enumerate(kinds)
    ]
    query = {"path": "query.jpg", **more}
    return {"ranked_lists": [{"kind": "best", "query": query, "ap": 1.0, "matches": matches}]}


@pytest.mark.parametrize(
    ("kinds", "answers", "shown"),
    [
        ("rwrw", 3, "rwr"),
        ("drdwr", 2, "drdw"),
        ("ddddddrdw", 2, "ddddrw"),
        ("rd", 1, "r"),
        ("rd", 5, "rd"),
        ("", 5, ""),
    ],
)
def test_dropped_answers_do_not_count(kinds, answers, shown):
    [ranked] = ranked_lists(evaluation(kinds), of_each=4)
    assert "".join(match.path[-1] for match in ranked.first(answers)) == shown
    names = {"r": "right", "w": "wrong", "d": "dropped"}
    assert all(match.kind == names[match.path[-1]] for match in ranked.matches)


def test_boxes_are_read_and_damaged_ones_refused():
    [ranked] = ranked_lists(evaluation("r", box=[1, 2, 3, 4]), of_each=4)
    assert ranked.box == (1.0, 2.0, 3.0, 4.0)
    assert ranked.matches[0].box is None
    with pytest.raises(RunError, match="ranked list 1 of the evaluation is damaged"):
        ranked_lists(evaluation("r", box=[1]), of_each=4)
