"""Methods: a page each, functions from numbers to a recipe."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from resight.errors import ConfigError
from resight.methods import cluster_contrast
from resight.parts import near
from resight.recipe import Recipe

__all__ = ["METHODS", "Method", "list_methods", "recipe_for"]


@dataclass(frozen=True)
class Method:
    """A recipe by name: what it is, and its published settings per data set."""

    name: str
    build: Callable[[], Recipe]
    published: dict[str, Callable[[], Recipe]]

    @property
    def summary(self) -> str:
        """One line."""
        return (inspect.getdoc(self.build) or "").splitlines()[0]


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "cluster-contrast",
            cluster_contrast.cluster_contrast,
            cluster_contrast.PUBLISHED,
        ),
    )
}


def list_methods() -> tuple[Method, ...]:
    """All methods that `resight train --method` knows."""
    return tuple(METHODS.values())


def recipe_for(name: str, *, published: str | None = None) -> Recipe:
    """The recipe of a method, with its published settings for a data set when one is named.

    Raises ConfigError for unknown names, with near matches.
    """
    if name not in METHODS:
        raise ConfigError(f"unknown method {name!r}; {near(name, METHODS)}")
    method = METHODS[name]
    if published is None:
        return method.build()
    if published not in method.published:
        raise ConfigError(
            f"{name} has no published settings for {published!r}; "
            f"{near(published, method.published)}"
        )
    return method.published[published]()
