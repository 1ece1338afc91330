"""The report of a run: one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from resight.files import write_atomically
from resight.reporting import retrieval, tables
from resight.reporting.cluster_sheets import cluster_sheets
from resight.reporting.crop_map import crop_map
from resight.reporting.curves import chart_groups, rescues
from resight.reporting.quantities import duration, finite, numbers
from resight.reporting.ranked import KINDS, RankedList, ranked_lists
from resight.reporting.run_files import RunFiles, read_run
from resight.reporting.thresholds import calibrated
from resight.reporting.thumbnails import Thumbnails

LISTS_OF_EACH = 4
MATCHES = 10
LIST_HEIGHT, SHEET_HEIGHT = 152, 144


def write_report(run: Path) -> Path:
    """Write `report.html` into the run folder at `run`; returns its path.

    Only the folder is read, and the image files that it names; those that cannot be read are shown
    as grey boxes. The page needs no network and no other file. Raises RunError when run.json or
    recipe.yaml is missing or a file is damaged, ResightError when the page cannot be written.
    """
    html = render(read_run(Path(run)))
    path = Path(run) / "report.html"
    write_atomically(path, lambda draft: draft.write_text(html, encoding="utf-8"))
    return path


def render(run: RunFiles) -> str:
    """The page of a run as HTML."""
    in_lists = Thumbnails(run.root, LIST_HEIGHT, LIST_HEIGHT)
    in_sheets = Thumbnails(run.root, SHEET_HEIGHT, SHEET_HEIGHT)
    head, rows = tables.epoch_table(run.epochs)
    # The pictures are made before the notices, which count the missing ones.
    lists = _lists(run.evaluation, in_lists)
    content = {
        "lists": lists,
        "dropped": _has_dropped(lists),
        "sheets": _sheets(run, in_sheets),
        **_of_evaluation(run),
    }
    return (
        _environment()
        .get_template("report.html")
        .render(
            **content,
            about=run.about,
            recipe=run.recipe,
            title=_title(run),
            facts=_facts(run),
            cards=tables.cards(run.evaluation, run.epochs),
            notices=_notices(run, in_lists.missing + in_sheets.missing),
            groups=chart_groups(run.epochs),
            epoch_head=head,
            epoch_rows=rows,
            labels_epoch=run.labels.epoch if run.labels else None,
        )
    )


def _of_evaluation(run: RunFiles) -> dict[str, Any]:
    """What was evaluated and calibrated, but for the pictures."""
    evaluation = run.evaluation
    return {
        "comparison": tables.comparison(evaluation, run.epochs),
        "protocol": evaluation.get("protocol"),
        "has_intervals": bool(tables.intervals(evaluation)),
        "cmc": retrieval.cmc_chart(evaluation),
        "matrix": tables.camera_matrix(evaluation),
        "by_camera": retrieval.by_camera(evaluation, run.queries),
        "failures": retrieval.failures(run.queries),
        "map": crop_map(evaluation),
        "threshold": calibrated(run.threshold),
    }


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("resight.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _title(run: RunFiles) -> str:
    return Path(str(run.about.get("data") or run.path)).name or str(run.path)


def _facts(run: RunFiles) -> list[tuple[str, str]]:
    """What the run was, in pairs of a name and a value."""
    spent = sum(
        value for record in run.epochs for value in numbers(record.get("seconds") or {}).values()
    )
    facts = [
        ("recipe", _recipe_name(run.recipe)),
        ("data", str(run.about.get("data", ""))),
        ("crops", f"{len(run.labels.labels):,}" if run.labels else ""),
        ("epochs", str(run.epochs[-1]["epoch"]) if run.epochs else "none yet"),
        ("training time", duration(spent) if spent else ""),
        ("device", str(run.about.get("device", ""))),
        ("seed", str(run.about.get("seed", ""))),
        ("feedback", str(run.about.get("feedback") or "")),
        ("last epoch ended" if run.epochs else "begun", f"{run.finished:%d %B %Y, %H:%M} UTC"),
        ("resight", str(run.about.get("resight", ""))),
    ]
    return [(name, value) for name, value in facts if value]


def _recipe_name(recipe: str) -> str:
    for line in recipe.splitlines():
        key, colon, value = line.partition(":")
        if key == "name" and colon:
            return value.strip().strip("'\"")
    return ""


def _notices(run: RunFiles, missing: list[str]) -> list[str]:
    found = [
        f"Clustering failed in epoch {epoch} and was mended: {text}"
        for epoch, text in rescues(run.epochs).items()
    ]
    found += [str(note) for note in run.evaluation.get("notes") or []]
    if missing:
        found.append(
            f"{len(missing)} pictures could not be read, the first is {run.root / missing[0]}; "
            "grey boxes stand in for them."
        )
    return found


def _lists(evaluation: Mapping[str, Any], thumbnail: Thumbnails) -> list[dict[str, Any]]:
    """Ranked lists by kind, with their pictures."""
    lists = ranked_lists(evaluation, of_each=LISTS_OF_EACH)
    rows = {kind: [_row(one, thumbnail) for one in lists if one.kind == kind] for kind in KINDS}
    return [{"title": title, "rows": rows[kind]} for kind, title in KINDS.items() if rows[kind]]


def _row(ranked: RankedList, thumbnail: Thumbnails) -> dict[str, Any]:
    answers = ranked.first(MATCHES)[:MATCHES]
    return {
        "query": thumbnail(ranked.path, ranked.box),
        "ranked": ranked,
        "matches": [(answer, thumbnail(answer.path, answer.box)) for answer in answers],
    }


def _has_dropped(lists: list[dict[str, Any]]) -> bool:
    rows = (row for group in lists for row in group["rows"])
    return any(answer.dropped for row in rows for answer, _ in row["matches"])


def _sheets(run: RunFiles, thumbnail: Thumbnails) -> list[dict[str, Any]]:
    """Cluster sheets with their pictures."""
    if run.labels is None:
        return []
    seed = finite(run.about.get("seed")) or 0
    return [
        {
            "title": sheet.title,
            "rows": [
                {"cluster": row, "crops": [*map(thumbnail, row.paths, row.boxes)]}
                for row in sheet.rows
            ],
        }
        for sheet in cluster_sheets(run.labels, seed=int(seed))
    ]
