"""Methods: a page each, functions from numbers to a recipe."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from resight.errors import ConfigError
from resight.methods import acfl, camera_contrast, cgc, cluster_contrast, lp, three_c
from resight.methods.tables import DATA_SETS, Row, Table
from resight.parts import near
from resight.recipe import Recipe
from resight.records import Crops

__all__ = [
    "DATA_SETS",
    "METHODS",
    "Method",
    "Row",
    "Table",
    "default_for",
    "list_methods",
    "method_of",
    "recipe_for",
    "table_of",
]


@dataclass(frozen=True)
class Method:
    """A recipe by name: what it is, its published settings per data set, and its paper's tables.

    sources: where the values of the published settings stand, by dotted key.
    """

    name: str
    build: Callable[[], Recipe]
    published: Mapping[str, Callable[[], Recipe]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """One line."""
        return (inspect.getdoc(self.build) or "").splitlines()[0]

    @property
    def sourced(self) -> Recipe:
        """The recipe that the sources are of."""
        return next(iter(self.published.values()), cluster_contrast.published)()


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "cluster-contrast",
            cluster_contrast.cluster_contrast,
            cluster_contrast.PUBLISHED,
            cluster_contrast.SOURCES,
            cluster_contrast.TABLES,
        ),
        Method("camera-contrast", camera_contrast.camera_contrast),
        Method("cgc", cgc.cgc, cgc.PUBLISHED, cgc.SOURCES, cgc.TABLES),
        Method("3c", three_c.three_c, three_c.PUBLISHED, three_c.SOURCES, three_c.TABLES),
        Method("acfl", acfl.acfl, acfl.PUBLISHED, acfl.SOURCES, acfl.TABLES),
        Method("acfl-c", acfl.acfl_c, acfl.published_as(acfl.camera_aware), acfl.SOURCES_C),
        Method("acfl-vit", acfl.acfl_vit, acfl.published_as(acfl.transformer), acfl.SOURCES_VIT),
        Method("acfl-st", acfl.acfl_st, acfl.published_as(acfl.student), acfl.SOURCES_ST),
        Method("lp", lp.lp, lp.PUBLISHED, lp.SOURCES, lp.TABLES),
    )
}


def list_methods() -> tuple[Method, ...]:
    """All methods that `resight train --method` knows."""
    return tuple(METHODS.values())


def method_of(name: str) -> Method:
    """The method of this name. Raises ConfigError for unknown names, with near matches."""
    if name not in METHODS:
        raise ConfigError(f"unknown method {name!r}; {near(name, METHODS)}")
    return METHODS[name]


def default_for(crops: Crops, *, published: str | None = None) -> str:
    """The method for who names none: camera-contrast where several cameras are known.

    Otherwise, and for published settings, cluster-contrast.
    """
    several = crops.cameras is not None and len(np.unique(crops.cameras)) > 1
    return "camera-contrast" if several and published is None else "cluster-contrast"


def recipe_for(name: str, *, published: str | None = None) -> Recipe:
    """The recipe of a method, with its published settings for a data set when one is named.

    Raises ConfigError for unknown names, with near matches.
    """
    method = method_of(name)
    if published is None:
        return method.build()
    if published not in method.published:
        raise ConfigError(
            f"{name} has no published settings for {published!r}; "
            f"{near(published, method.published)}"
        )
    return method.published[published]()


def table_of(method: str, table: str) -> Table:
    """A table of the method's paper, by its number there.

    Raises ConfigError for unknown names, telling which tables there are.
    """
    tables = method_of(method).tables
    by_name = {name.casefold(): found for name, found in tables.items()}
    if table.casefold() not in by_name:
        there = f"there are {', '.join(tables)}" if tables else "it has none"
        raise ConfigError(f"{method} has no table {table!r}; {there}")
    return by_name[table.casefold()]
