"""Recipes for reading: one value a line, and beside it where the paper has it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from resight.parts import to_plain
from resight.recipe import FORMAT, Recipe

COLUMN = 36
RELEASED = "released code of Cluster Contrast"
SHARED = {
    "encoder.pooling": RELEASED,
    "encoder.last_stride": RELEASED,
    "encoder.embedding": RELEASED,
    "augment.flip": RELEASED,
    "augment.pad": RELEASED,
    "augment.erase": RELEASED,
    "augment.erase_area": RELEASED,
    "augment.erase_aspect": RELEASED,
    "graph.k1": RELEASED,
    "graph.k2": RELEASED,
    "clusterer.eps": RELEASED,
    "clusterer.min_samples": RELEASED,
    "memory.init": RELEASED,
    "memory.update": RELEASED,
    "memory.momentum": RELEASED,
    "losses.0.temperature": RELEASED,
    "batches.identities": RELEASED,
    "batches.instances": RELEASED,
    "optim.iterations": RELEASED,
    "optim.weight_decay": RELEASED,
}


def annotated(recipe: Recipe, sources: Mapping[str, str], *, reference: Recipe) -> str:
    """The recipe as YAML, one value a line, which `Recipe.from_yaml` reads back to an equal value.

    sources: where values stand in their paper, by dotted key as in `Recipe.override`; SHARED adds
    what the methods have in common. reference: the recipe that these sources are of; values that
    differ from it have no comment.
    """
    plain = {"format": FORMAT, **to_plain(recipe, annotated=Recipe)}
    of_source = _flat(to_plain(reference, annotated=Recipe))
    told = SHARED | dict(sources)
    lines = []
    for key, value, line in _lines(plain):
        is_sourced = key in told and key in of_source and of_source[key] == value
        lines.append(f"{line:<{COLUMN}}  # {told[key]}" if is_sourced else line)
    return "\n".join(lines) + "\n"


def _flat(plain: Any) -> dict[str, Any]:
    return {key: value for key, value, _ in _lines(plain)}


def _lines(node: Any, path: str = "", indent: str = "") -> Iterator[tuple[str, Any, str]]:
    """The dotted key, the value and the line of YAML of everything in a mapping or a list."""
    if isinstance(node, dict):
        yield from _entries(((str(k), f"{k}:", v) for k, v in node.items()), path, indent)
    else:
        yield from _entries(((str(i), "-", v) for i, v in enumerate(node)), path, indent)


def _entries(
    entries: Iterator[tuple[str, str, Any]], path: str, indent: str
) -> Iterator[tuple[str, Any, str]]:
    for name, start, value in entries:
        key = f"{path}{name}"
        if not (isinstance(value, dict | list) and value):
            yield key, value, f"{indent}{start} {_scalar(value)}"
            continue
        inner = _lines(value, f"{key}.", f"{indent}  ")
        if start == "-" and isinstance(value, dict):
            first_key, first, line = next(inner)
            yield first_key, first, f"{indent}- {line.lstrip()}"
        else:
            yield key, value, f"{indent}{start}"
        yield from inner


def _scalar(value: Any) -> str:
    text: str = yaml.safe_dump(value, width=float("inf"), allow_unicode=True)
    text = text.removesuffix("\n").removesuffix("\n...")
    return json.dumps(value) if "\n" in text else text
