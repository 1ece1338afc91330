from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image

from resight.errors import RunError
from resight.reporting import ranked_sheet
from resight.reporting.sheet import DROPPED, RIGHT, WRONG


def colours(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        counts = image.convert("RGB").getcolors(image.width * image.height)
    return {"#{:02x}{:02x}{:02x}".format(*colour): count for count, colour in counts}


def evaluation_of(run):
    return json.loads((run / "evaluation.json").read_text())


def test_right_and_wrong_frames(finished_run, tmp_path):
    path = tmp_path / "sheet.png"
    assert ranked_sheet(evaluation_of(finished_run), path) == path
    found = colours(path)
    assert found[RIGHT] > 1000
    assert found[WRONG] > 1000
    assert found[DROPPED] > 1000


def test_only_right_answers_show_no_wrong_colour(finished_run, tmp_path):
    evaluation = evaluation_of(finished_run)
    for ranked in evaluation["ranked_lists"]:
        for match in ranked["matches"]:
            match["right"] = True
    assert WRONG not in colours(ranked_sheet(evaluation, tmp_path / "sheet.png"))


def test_crops_are_cut_from_their_frames(tmp_path):
    frame = Image.new("RGB", (300, 200), "#0000ff")
    frame.paste("#ff00ff", (100, 50, 140, 130))
    frame.save(tmp_path / "frame.png")
    query = {"path": "frame.png#1", "box": [100, 50, 40, 80]}
    match = {**query, "path": "frame.png#2", "similarity": 0.5, "right": True}
    lists = [{"kind": "best", "query": query, "ap": 1.0, "matches": [match]}]
    evaluation = {"root": str(tmp_path), "ranked_lists": lists}
    found = colours(ranked_sheet(evaluation, tmp_path / "sheet.png"))
    assert found["#ff00ff"] > 0.98 * 2 * 96 * 192  # but for the check mark
    assert "#0000ff" not in found


def test_missing_pictures_and_few_matches(own_run, tmp_path):
    evaluation = evaluation_of(own_run)
    evaluation["ranked_lists"] = evaluation["ranked_lists"][:1]
    evaluation["ranked_lists"][0]["matches"] = []
    shutil.rmtree(evaluation["root"])
    assert ranked_sheet(evaluation, tmp_path / "sheet.png").is_file()


def test_an_evaluation_without_lists_is_refused(tmp_path):
    with pytest.raises(RunError, match="no ranked lists: evaluate crops with known identities"):
        ranked_sheet({"figures": {}}, tmp_path / "sheet.png")
