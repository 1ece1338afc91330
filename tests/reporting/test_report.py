"""The page of a synthetic run: complete, self-contained, safe and tolerant."""

from __future__ import annotations

import html.parser
import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from resight.errors import RunError
from resight.reporting import write_report

SECTIONS = (
    "headline",
    "notices",
    "progress",
    "evaluation",
    "ranked",
    "cameras",
    "map",
    "threshold",
    "clusters",
    "settings",
)


class Page(html.parser.HTMLParser):
    """Every start tag with its attributes; text; balance of tags."""

    VOID = ("meta", "img", "br", "link", "hr", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert not self._open, f"unclosed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def of_class(self, *names: str) -> int:
        return sum(set(names) <= set(attrs.get("class", "").split()) for _, attrs in self.tags)

    def ids(self) -> list[str]:
        return [attrs["id"] for tag, attrs in self.tags if tag == "section"]


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def edit(run: Path, name: str, **changes: object) -> None:
    file = run / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_all_sections_are_there_in_order(finished_run):
    assert tuple(page_of(finished_run).ids()) == SECTIONS


def test_the_page_needs_nothing_but_itself(finished_run):
    text = write_report(finished_run).read_text(encoding="utf-8")
    assert not re.search(r"https?://|//[a-z]+\.[a-z]|@import|url\(|<link|<script|<iframe", text)
    for tag, attrs in Page(text).tags:
        if tag == "img":
            assert attrs["src"].startswith("data:image/jpeg;base64,")
        else:
            assert "src" not in attrs
        assert attrs.get("href", "#").startswith("#")


def test_it_adapts_to_dark_phones_and_paper(finished_run):
    text = write_report(finished_run).read_text(encoding="utf-8")
    for needed in ("prefers-color-scheme: dark", "@media print", "width=device-width"):
        assert needed in text


def test_long_names_wrap(finished_run):
    text = write_report(finished_run).read_text(encoding="utf-8")
    for selector in (r"\.strip figcaption", r"\ntbody th", r"\.heat th"):
        rules = re.search(rf"{selector} {{([^}}]*)}}", text)[1]
        assert "overflow-wrap: anywhere" in rules
        assert "nowrap" not in rules


def test_answers_are_marked_for_what_they_are(finished_run):
    page = page_of(finished_run)
    lists = json.loads((finished_run / "evaluation.json").read_text())["ranked_lists"]
    answers = [answer for ranked in lists for answer in ranked["matches"][:10]]
    counts = {
        "right": sum(answer["right"] for answer in answers),
        "dropped": sum(answer.get("dropped", False) for answer in answers),
    }
    counts["wrong"] = len(answers) - sum(counts.values())
    marks = [a["href"] for t, a in page.tags if t == "use"]
    labels = [a.get("aria-label") for t, a in page.tags if t == "svg"]
    for kind, count in counts.items():
        assert page.of_class("hit", kind) == labels.count(kind) == count > 0
        assert marks.count(f"#{kind}-mark") == count + 1
    assert page.of_class("query") == len(lists)


def test_an_evaluation_without_dropped_answers_does_not_explain_them(own_run):
    assert "which the protocol leaves out" in page_of(own_run).text
    evaluation = json.loads((own_run / "evaluation.json").read_text())
    for ranked in evaluation["ranked_lists"]:
        ranked["matches"] = [m for m in ranked["matches"] if "dropped" not in m]
    edit(own_run, "evaluation.json", **evaluation)
    assert "which the protocol leaves out" not in page_of(own_run).text


def test_every_picture_and_scrolling_region_has_words(finished_run):
    for tag, attrs in page_of(finished_run).tags:
        if tag == "img":
            assert attrs["alt"]
        if attrs.get("role") in ("img", "region", "group"):
            assert attrs["aria-label"]
        if "scroll" in attrs.get("class", "").split():
            assert attrs["tabindex"] == "0"


def test_headings_skip_no_level_and_every_drawing_is_named_or_hidden(finished_run):
    tags = page_of(finished_run).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for tag, attrs in tags:
        if tag == "svg":
            assert attrs.get("aria-hidden") == "true" or (attrs["role"], attrs["aria-label"])


def test_browsers_are_told_to_load_and_run_nothing(finished_run):
    policy = next(a["content"] for t, a in page_of(finished_run).tags if "http-equiv" in a)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_intervals_are_told_and_explained_where_there_are_any(own_run):
    assert "resampled over individuals" not in page_of(own_run).text
    edit(own_run, "evaluation.json", intervals={"mAP": [55.0, 67.0]}, level=0.95)
    text = page_of(own_run).text
    assert "95%: 55.0 – 67.0" in text
    assert "resampled over individuals" in text


def test_what_older_runs_lack_is_left_out(own_run):
    for name in ("evaluation.parquet", "threshold.json"):
        (own_run / name).unlink()
    edit(own_run, "evaluation.json", cmc=None, map=None, camera_matrix=None)
    page = page_of(own_run)
    assert not {"cameras", "map", "threshold"} & set(page.ids())
    assert "Right answers among the first k" not in page.text


def test_query_cameras_stand_in_for_a_matrix(own_run):
    edit(own_run, "evaluation.json", camera_matrix=None)
    page = page_of(own_run)
    assert "How searches fare by the camera" in page.text
    assert "Where searches fail" in page.text
    assert page.of_class("heat") == 0


def test_crops_that_are_cut_from_frames(own_run):
    root = Path(json.loads((own_run / "run.json").read_text())["data"])
    Image.new("RGB", (400, 300), "grey").save(root / "frame.png")
    crop = {"path": "frame.png#7", "camera": None, "box": [10, 20, 40, 80]}
    match = {**crop, "path": "frame.png#8", "similarity": 0.5, "right": True}
    lists = [{"kind": "best", "query": crop, "ap": 1.0, "matches": [match]}]
    edit(own_run, "evaluation.json", ranked_lists=lists)
    table = pa.table(
        {"path": ["frame.png#7"] * 2, "label": [0, 0], "box": [[0, 0, 50, 100], [0, 0, 100, 100]]}
    )
    pq.write_table(table, own_run / "labels" / "epoch_099.parquet")
    page = page_of(own_run)
    assert page.of_class("blank") == 0
    sizes = [(a["width"], a["height"]) for t, a in page.tags if t == "img"]
    assert sizes == [("76", "152"), ("76", "152"), ("72", "144"), ("144", "144")]


def test_cameras_with_numbers_for_names_are_told_from_their_crops(own_run):
    table = pa.table({"path": ["a.jpg"] * 3, "label": [0] * 3, "camera": ["2", "2", "1"]})
    pq.write_table(table, own_run / "labels" / "epoch_099.parquet")
    assert "cameras 2: 2 1: 1" in page_of(own_run).text


def test_notices_tell_of_rescues_and_dropped_queries(finished_run):
    text = page_of(finished_run).text
    assert "Clustering failed in epoch 2 and was mended: one cluster holds 93%" in text
    assert "12 queries without a match" in text


def test_no_leftovers_and_the_same_page_twice(own_run):
    first = write_report(own_run).read_bytes()
    assert write_report(own_run).read_bytes() == first
    assert not list(own_run.glob(".*"))


@pytest.mark.parametrize("missing", ["log.jsonl", "labels", "evaluation.json"])
def test_other_files_may_be_missing(own_run, missing):
    target = own_run / missing
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    assert {"progress", "evaluation", "clusters", "settings"} <= set(page_of(own_run).ids())


def test_a_run_that_has_only_begun(own_run):
    for name in ("log.jsonl", "evaluation.json"):
        (own_run / name).unlink()
    shutil.rmtree(own_run / "labels")
    text = page_of(own_run).text
    assert "No epoch has finished yet" in text
    assert "Nothing was evaluated yet" in text
    assert "No pseudo-labels were kept yet" in text


def test_a_run_after_its_first_epoch(own_run):
    (own_run / "evaluation.json").unlink()
    log = own_run / "log.jsonl"
    log.write_text(log.read_text().splitlines()[0] + "\n")
    page = page_of(own_run)
    assert page.of_class("chart") >= 8
    assert page.of_class("blank") == 0


def test_without_identities(own_run):
    (own_run / "evaluation.parquet").unlink()
    edit(
        own_run,
        "evaluation.json",
        protocol="label-free",
        figures={"clusters": 30, "outlier_share": 0.1, "silhouette": 0.3},
        ranked_lists=[],
        comparison=[],
        camera_matrix=None,
    )
    page = page_of(own_run)
    assert "ranked" not in page.ids()
    assert "cameras" not in page.ids()
    assert "Without identities" in page.text


@pytest.mark.parametrize("name", ["run.json", "recipe.yaml"])
def test_what_makes_a_run_is_needed(own_run, name):
    (own_run / name).unlink()
    with pytest.raises(RunError, match=rf"{name}.*a folder that `resight train` wrote"):
        write_report(own_run)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", "[]", "expected an object, found list"),
        ("log.jsonl", '{"epoch": 1}\n{"epo', "log.jsonl is damaged"),
        ("log.jsonl", '{"loss": 1}\n', "no whole number under 'epoch'"),
        ("evaluation.json", '{"ranked_lists": [{"kind": "best"}]}', "ranked list 1 .* damaged"),
        ("evaluation.json", '{"map": [{"x": 2, "y": 0}]}', "map of the evaluation is damaged"),
        ("evaluation.json", '{"root": 3}', "root should be a str, found int"),
        ("evaluation.json", '{"figures": [1]}', "figures should be a dict, found list"),
        ("evaluation.json", '{"comparison": ["a"]}', "comparison should hold objects, found str"),
        ("evaluation.json", '{"comparison": [{"figures": 1}]}', "figures of a comparison should"),
        ("labels/epoch_009.parquet", "no table", "epoch_009.parquet is damaged"),
        ("evaluation.parquet", "no table", "evaluation.parquet is damaged"),
        ("threshold.json", "{}", "threshold.json is not of this resight's format"),
    ],
)
def test_damaged_files_are_named(own_run, name, content, message):
    (own_run / name).write_text(content)
    with pytest.raises(RunError, match=message):
        write_report(own_run)


@pytest.mark.parametrize("labels", [["x"], [None], [1.5]])
def test_labels_that_are_no_whole_numbers_are_refused(own_run, labels):
    pq.write_table(
        pa.table({"path": ["a.jpg"], "label": labels}), own_run / "labels" / "epoch_099.parquet"
    )
    with pytest.raises(RunError, match=r"epoch_099\.parquet is damaged"):
        write_report(own_run)


def test_pictures_are_found_from_the_root_that_the_run_noted(own_run):
    root = json.loads((own_run / "run.json").read_text())["data"]
    edit(own_run, "run.json", data=str(own_run / "gone.csv"), root=root)
    edit(own_run, "evaluation.json", root=None)
    assert page_of(own_run).of_class("blank") == 0


def test_only_what_has_ended_is_said_to_have(own_run):
    text = page_of(own_run).text
    assert "last epoch ended" in text
    assert "finished" not in text
    (own_run / "log.jsonl").unlink()
    assert "last epoch ended" not in page_of(own_run).text


def test_pictures_that_cannot_be_read_become_grey_boxes(own_run):
    root = Path(json.loads((own_run / "run.json").read_text())["data"])
    files = sorted(root.iterdir())
    files[0].unlink()
    files[1].write_bytes(b"no picture")
    whole = page_of(own_run)
    assert whole.of_class("blank") > 0
    shutil.rmtree(root)
    page = page_of(own_run)
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert f"{page.of_class('blank')} pictures could not be read" in page.text
    assert files[0].name in page.text


def test_hostile_names_are_shown_as_text(own_run):
    evil = '<script>alert("x")</script>'
    query = {"path": evil, "camera": evil, "identity": evil}
    match = {"path": evil, "camera": evil, "similarity": 0.5, "right": True}
    edit(
        own_run,
        "evaluation.json",
        notes=[evil],
        protocol=evil,
        comparison=[{"name": evil, "figures": {evil: 1.0}}],
        ranked_lists=[{"kind": "best", "query": query, "ap": 1.0, "matches": [match]}],
        camera_matrix={"cameras": [evil], "mAP": [[1.0]]},
        map=[{"x": 0.5, "y": 0.5, "identity": evil, "camera": evil, "path": evil}],
    )
    edit(own_run, "run.json", data=evil, device=evil)
    (own_run / "recipe.yaml").write_text(evil)
    record = {"epoch": 1, "rescue": evil, evil: 1.0, "seconds": {evil: 1.0}, "clusters": 2}
    (own_run / "log.jsonl").write_text(json.dumps(record) + "\n")
    page = page_of(own_run)
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert page.text.count(evil) >= 8


def test_infinite_and_missing_values_do_not_reach_the_page(own_run):
    record = '{"epoch": 1, "loss": NaN, "silhouette": Infinity, "clusters": null, "nested": {}}\n'
    (own_run / "log.jsonl").write_text(record)
    for name in ("evaluation.parquet", "threshold.json"):
        (own_run / name).unlink()
    edit(own_run, "evaluation.json", figures={"mAP": float("nan")}, comparison=[], map=None)
    page = page_of(own_run)
    assert page.of_class("chart") == 0
    assert not re.search(r"\b(nan|inf)\b", page.text, re.IGNORECASE)


def test_the_page_stays_small_with_pictures_that_do_not_compress(own_run):
    root = Path(json.loads((own_run / "run.json").read_text())["data"])
    rng = np.random.default_rng(0)
    for file in root.iterdir():
        noise = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
        Image.fromarray(noise).save(file, quality=60)
    evaluation = json.loads((own_run / "evaluation.json").read_text())
    edit(own_run, "evaluation.json", ranked_lists=evaluation["ranked_lists"] * 20)
    page = write_report(own_run)
    assert page.stat().st_size < 5_000_000
    assert Page(page.read_text()).of_class("query") == 12
