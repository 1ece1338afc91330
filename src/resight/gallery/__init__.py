"""Galleries: embedded crops that are searched, kept in a store and looked at.

Names are loaded on first use: stores need no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resight.gallery.decisions import decide, merge, split
    from resight.gallery.describing import describe
    from resight.gallery.gallery import Gallery
    from resight.gallery.individuals import Individuals
    from resight.gallery.records import Filter, Rows
    from resight.gallery.searching import Answer, Hit, Query, search
    from resight.gallery.sighting import Sighting, delete_individual, sightings

_HOMES = {
    "Answer": "searching",
    "Filter": "records",
    "Gallery": "gallery",
    "Hit": "searching",
    "Individuals": "individuals",
    "Query": "searching",
    "Rows": "records",
    "Sighting": "sighting",
    "decide": "decisions",
    "delete_individual": "sighting",
    "describe": "describing",
    "merge": "decisions",
    "search": "searching",
    "sightings": "sighting",
    "split": "decisions",
}

__all__ = [
    "Answer",
    "Filter",
    "Gallery",
    "Hit",
    "Individuals",
    "Query",
    "Rows",
    "Sighting",
    "decide",
    "delete_individual",
    "describe",
    "merge",
    "search",
    "sightings",
    "split",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"resight.gallery.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'resight.gallery' has no attribute {name!r}")
