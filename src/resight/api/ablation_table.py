"""The table that an ablation ends in: figures over seeds beside the paper's."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from resight.files import as_json, write_atomically
from resight.methods.tables import DATA_SETS, Figures

RANKED = {"mAP": "mAP", "rank1": "Rank-1"}
LABEL_FREE = {
    "clusters": "clusters",
    "outlier_share": "outlier share",
    "silhouette": "silhouette",
    "across_cameras": "across cameras",
}
PAPER_SUFFIX = "-paper"
UNKNOWN = "–"

SeedFigures: TypeAlias = Mapping[str, float | None]


@dataclass(frozen=True)
class RowResult:
    """One row: figures by seed that finished, the paper's, and why a seed did not finish."""

    name: str
    figures: Mapping[int, SeedFigures] = field(default_factory=dict)
    paper: Figures = field(default_factory=dict)
    problem: str | None = None

    def values(self, key: str) -> list[float]:
        """The figure of every seed that has it."""
        found = (figures.get(key) for figures in self.figures.values())
        return [value for value in found if value is not None]

    def mean(self, key: str) -> float | None:
        """Over the seeds; None without any."""
        values = self.values(key)
        return statistics.fmean(values) if values else None

    def spread(self, key: str) -> float | None:
        """The standard deviation over the seeds; None with fewer than two."""
        values = self.values(key)
        return statistics.stdev(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Ablation:
    """The rows of a table in its order, finished or not, trained in the folder `path`.

    Gains are over the first row, where that has figures. published: the data set that the data are,
    if the user said so.
    """

    path: Path
    title: str
    note: str
    rows: tuple[RowResult, ...]
    published: str | None = None

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns, the first one being the rows' names."""
        shown = self._shown
        gain = (f"gain over {self.rows[0].name}",) if self._has_gains else ()
        return ("", *shown.values(), *gain, *map(self._paper_name, self._data_sets))

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """The rows as text, as many columns as the header."""
        return tuple(self._cells_of(row) for row in self.rows)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said below the table: its note, and the rows that failed."""
        failed = (f"{row.name}: {row.problem}" for row in self.rows if row.problem)
        return (*([self.note] if self.note else []), *failed)

    def markdown(self) -> str:
        """The table, its title and its remarks."""
        lines = [f"# {self.title}", "", _line(self.header), _line(["---"] * len(self.header))]
        lines += [_line(row) for row in self.cells]
        explained = f"Mean ± standard deviation over seeds (n), {UNKNOWN} where none is finished"
        lines += ["", f"{explained}; the paper's figures are {' / '.join(RANKED.values())}."]
        lines += [line for remark in self.remarks for line in ("", remark)]
        return "\n".join(lines) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {
            "title": self.title,
            "note": self.note,
            "published": self.published,
            "rows": [self._dict_of(row) for row in self.rows],
        }

    def write(self) -> None:
        """Write table.md and table.json."""
        text = as_json(self.as_dict(), indent=2)
        write_atomically(self.path / "table.json", lambda draft: draft.write_text(text))
        markdown = self.markdown()
        write_atomically(self.path / "table.md", lambda draft: draft.write_text(markdown))

    @property
    def _is_ranked(self) -> bool:
        return not any(row.figures for row in self.rows) or any(map(_ranked, self.rows))

    @property
    def _has_gains(self) -> bool:
        return len(self.rows) > 1 and _ranked(self.rows[0])

    @property
    def _shown(self) -> Mapping[str, str]:
        if self._is_ranked:
            return RANKED
        return {key: name for key, name in LABEL_FREE.items() if any(map(_has(key), self.rows))}

    @property
    def _data_sets(self) -> tuple[str, ...]:
        return tuple(name for name in DATA_SETS if any(name in row.paper for row in self.rows))

    def _paper_name(self, data_set: str) -> str:
        same = self.published is not None and self.published.removesuffix(PAPER_SUFFIX) == data_set
        return f"paper, {DATA_SETS[data_set]}{'' if same else ' (other data)'}"

    def _cells_of(self, row: RowResult) -> tuple[str, ...]:
        ours = [_measured(row, key) for key in self._shown]
        gain = [self._gain(row)] if self._has_gains else []
        paper = [_pair(row.paper.get(name), "{:.1f}") for name in self._data_sets]
        return (row.name, *ours, *gain, *paper)

    def _gain(self, row: RowResult) -> str:
        gains = self._gains(row)
        return "" if row is self.rows[0] else _pair(list(gains.values()), "{:+.1f}")

    def _gains(self, row: RowResult) -> dict[str, float | None]:
        found = {}
        for key in RANKED:
            ours, first = row.mean(key), self.rows[0].mean(key)
            found[key] = None if ours is None or first is None else ours - first
        return found

    def _dict_of(self, row: RowResult) -> dict[str, Any]:
        keys = self._shown
        return {
            "name": row.name,
            "seeds": list(row.figures),
            "figures": [dict(figures) for figures in row.figures.values()],
            "mean": {key: row.mean(key) for key in keys},
            "spread": {key: row.spread(key) for key in keys},
            **({"gain": self._gains(row)} if self._has_gains else {}),
            "paper": {name: list(pair) for name, pair in row.paper.items()},
            "problem": row.problem,
        }


def _ranked(row: RowResult) -> bool:
    return any("mAP" in figures for figures in row.figures.values())


def _has(key: str) -> Any:
    return lambda row: bool(row.values(key))


def _measured(row: RowResult, key: str) -> str:
    """82.4 ± 0.3 (3)."""
    mean, spread = row.mean(key), row.spread(key)
    if mean is None:
        return UNKNOWN
    form, finer = ("{:.1f}", "{:.1f}") if key in RANKED else ("{:.3g}", "{:.1g}")
    around = "" if spread is None else f" ± {finer.format(spread)}"
    return f"{form.format(mean)}{around} ({len(row.values(key))})"


def _pair(values: Sequence[float | None] | None, form: str) -> str:
    if values is None:
        return ""
    return " / ".join(UNKNOWN if value is None else form.format(value) for value in values)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
