"""Ablation tables as values: what each row changes, and what the paper reports for it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from resight.parts import to_plain
from resight.recipe import Recipe

Figures: TypeAlias = Mapping[str, tuple[float, float]]

DATA_SETS = {
    "market1501": "Market-1501",
    "msmt17": "MSMT17",
    "dukemtmc": "DukeMTMC-reID",
    "personx": "PersonX",
    "veri776": "VeRi-776",
}


@dataclass(frozen=True)
class Row:
    """One row of a table.

    settings: what it changes on the method's own recipe, as for `Recipe.override`; a value may
    also be a part, a tuple of parts, or a function of the recipe that is changed. evaluate: the
    options of `resight.evaluate` that it differs in. paper: mAP and Rank-1 in percent by data set.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    paper: Figures = field(default_factory=dict)
    evaluate: Mapping[str, Any] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The name as the name of a folder."""
        signed = re.sub(r"(?<![\w.])-(?=\d)", "minus-", self.name.lower())
        return re.sub(r"[^\w.]+", "-", signed).strip("-")

    def recipe(self, base: Recipe) -> Recipe:
        """The recipe of this row. Raises ConfigError where the settings do not fit the base."""
        return base.override(
            {
                key: to_plain(value(base) if inspect.isfunction(value) else value)
                for key, value in self.settings.items()
            }
        )


@dataclass(frozen=True)
class Table:
    """A table of a paper: its title, its rows, and what a reader has to know about them."""

    title: str
    rows: tuple[Row, ...]
    note: str = ""
