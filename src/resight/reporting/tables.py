"""Figures of an evaluation as tables: cards, the comparison, the cameras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resight.errors import RunError
from resight.reporting.curves import Records
from resight.reporting.quantities import finite, look_up, quantity

THIS_RUN = "this run"
_MAIN = "mAP"
_NOT_COLUMNS = ("mAP_market", "outliers")  # the latter are told as a share


@dataclass(frozen=True)
class Card:
    """A headline number; interval: within which it lies, where that was estimated."""

    value: str
    name: str
    note: str
    interval: str = ""


@dataclass(frozen=True)
class Cell:
    """A value with the length of its bar in percent, where it has one."""

    text: str
    bar: float | None


@dataclass(frozen=True)
class Row:
    """One contestant; gap: how far this run is ahead of it, in points of mAP."""

    name: str
    is_run: bool
    cells: tuple[Cell, ...]
    gap: str


@dataclass(frozen=True)
class Comparison:
    """A table of contestants × figures."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    has_gaps: bool

    @property
    def has_bars(self) -> bool:
        """Whether there are figures of retrieval, of which more is better."""
        return any(cell.bar is not None for row in self.rows for cell in row.cells)


@dataclass(frozen=True)
class CameraMatrix:
    """Query camera × gallery camera; values in percent, None where nothing can be matched."""

    figure: str
    cameras: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


def evaluation_figures(evaluation: Mapping[str, Any], records: Records) -> dict[str, float]:
    """The final evaluation's finite figures, or else those of the last epoch that has some."""
    candidates = [evaluation.get("figures"), *(r.get("evaluation") for r in reversed(records))]
    for figures in candidates:
        known = _finite(figures)
        if known:
            return known
    return {}


def intervals(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """What lies around the final evaluation's figures, such as "95%: 44.8 – 73.6"."""
    level, known = finite(evaluation.get("level")), {}
    for key, bounds in (evaluation.get("intervals") or {}).items():
        ends = [finite(bound) for bound in bounds] if isinstance(bounds, list) else []
        if level is not None and len(ends) == 2 and None not in ends:
            known[key] = f"{100 * level:.3g}%: " + " – ".join(f"{end:.1f}" for end in ends)
    return known


def cards(evaluation: Mapping[str, Any], records: Records) -> list[Card]:
    """The headline: retrieval where identities exist, and how the clusters ended."""
    figures, spans = evaluation_figures(evaluation, records), intervals(evaluation)
    notes = {
        "mAP": "mean average precision",
        "rank1": "first answer is right",
        "mINP": "how early the last match comes",
    }
    found = [
        Card(quantity(key).text(figures[key]), quantity(key).heading, note, spans.get(key, ""))
        for key, note in notes.items()
        if key in figures
    ]
    if not records:
        return found
    last = {**figures, **records[-1]} if not found else records[-1]
    keys = ["clusters", "outlier_share"]
    keys += ["across_cameras", "silhouette", "agreement"][: 1 if found else 3]
    for key in keys:
        value = look_up(last, key)
        if value is not None:
            found.append(
                Card(quantity(key).text(value), quantity(key).heading, "in the last epoch")
            )
    return found


def comparison(evaluation: Mapping[str, Any], records: Records) -> Comparison | None:
    """All contestants with this run among them; None when nothing was evaluated."""
    mine = evaluation_figures(evaluation, records)
    entries = [
        (str(entry.get("name", "?")), _finite(entry.get("figures")))
        for entry in evaluation.get("comparison") or []
    ]
    if mine and mine not in [figures for _, figures in entries]:
        entries.append((THIS_RUN, mine))
    keys = [k for k in dict.fromkeys(k for _, f in entries for k in f) if k not in _NOT_COLUMNS]
    if not keys:
        return None
    gaps = len(entries) > 1 and _MAIN in mine
    rows = [
        Row(
            name=name,
            is_run=figures == mine,
            cells=tuple(_cell(key, figures.get(key)) for key in keys),
            gap=_gap(figures, mine) if gaps else "",
        )
        for name, figures in entries
    ]
    return Comparison(tuple(quantity(key).name for key in keys), tuple(rows), gaps)


def camera_matrix(evaluation: Mapping[str, Any]) -> CameraMatrix | None:
    """mAP per pair of cameras (protocol camera-pairs), or None. Raises RunError when misshapen."""
    source = evaluation.get("camera_matrix") or {
        "cameras": evaluation.get("cameras"),
        **(evaluation.get("matrices") or {}),
    }
    cameras, matrix = source.get("cameras"), source.get(_MAIN)
    if not cameras or not matrix:
        return None
    n = len(cameras)
    lengths = [len(row) if isinstance(row, list) else 0 for row in matrix]
    if lengths != [n] * n:
        raise RunError(
            f"the evaluation has {n} cameras, but its camera matrix has {len(matrix)} rows of "
            f"{sorted({*lengths})} values: evaluate again"
        )
    values = tuple(tuple(finite(value) for value in row) for row in matrix)
    return CameraMatrix(_MAIN, tuple(map(str, cameras)), values)


def epoch_table(records: Records) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the figures that matter, epoch by epoch."""
    wanted = {
        "epoch": "epoch",
        "loss": "loss",
        "lr": "learning rate",
        "clusters": "clusters",
        "outliers": "outliers",
        "silhouette": "silhouette",
        "across_cameras": "across cameras",
        "agreement": "agreement",
        "against_identities.precision": "pair precision",
        "against_identities.recall": "pair recall",
        "evaluation.mAP": "mAP",
        "evaluation.rank1": "Rank-1",
    }
    keys = [key for key in wanted if any(look_up(record, key) is not None for record in records)]
    return [wanted[key] for key in keys], [[_shown(r, key) for key in keys] for r in records]


def _shown(record: Mapping[str, Any], key: str) -> str:
    value = look_up(record, key)
    return "–" if value is None else quantity(key.rpartition(".")[2]).text(value)


def _finite(figures: Mapping[str, Any] | None) -> dict[str, float]:
    known = {key: finite(value) for key, value in (figures or {}).items()}
    return {key: value for key, value in known.items() if value is not None}


def _cell(key: str, value: float | None) -> Cell:
    if value is None:
        return Cell("–", None)
    kind = quantity(key)
    is_percent = kind.unit == "%" and kind.factor == 1
    return Cell(kind.text(value), min(max(value, 0.0), 100.0) if is_percent else None)


def _gap(figures: Mapping[str, float], mine: Mapping[str, float]) -> str:
    if _MAIN not in figures or figures == mine:
        return ""
    points = mine[_MAIN] - figures[_MAIN]
    return f"{'+' if points >= 0 else '−'}{abs(points):.1f}"
