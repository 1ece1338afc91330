"""Parts of a recipe as plain data and back.

A part is a frozen dataclass. In YAML it is a mapping of its fields; where a slot takes parts of
several kinds, the key `part` names the class. A name is looked up among the public names of the
folders that hold parts, so that a new part needs a file and its folder's export, nothing else;
`package.module:Class` names a part from outside resight.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

HOMES = (
    "resight.graph",
    "resight.clustering",
    "resight.memory",
    "resight.losses",
    "resight.schedules",
)
PART = "part"


def to_plain(value: Any, *, annotated: Any = None) -> Any:
    """A part, or a tuple or number in one, as what YAML and JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = typing.get_type_hints(type(value))
        fields = {
            f.name: to_plain(getattr(value, f.name), annotated=hints[f.name])
            for f in dataclasses.fields(value)
        }
        return fields if annotated is type(value) else {PART: _name(type(value)), **fields}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: Any, plain: Any, *, where: str, problems: list[str]) -> Any:
    """The value that `plain` describes; `kind` is the annotation of the place it goes to.

    What is wrong is appended to `problems`, each line beginning with `where`, so that all of it
    can be told at once; the result is None then.
    """
    if isinstance(plain, Mapping):
        chosen = _class_of(kind, plain, where, problems)
        return None if chosen is None else _build(chosen, plain, where, problems)
    if isinstance(plain, list) and any(isinstance(item, Mapping) for item in plain):
        return tuple(
            from_plain(None, item, where=f"{where}.{i}", problems=problems)
            for i, item in enumerate(plain)
        )
    try:
        return TypeAdapter(kind).validate_python(plain)
    except ValidationError as error:
        problems += [f"{where}: {e['msg']}, got {plain!r}" for e in error.errors()[:1]]
        return None


def near(name: str, names: Iterable[str]) -> str:
    """A hint that lists the nearest of `names`, or all of them."""
    known = list(names)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there are {', '.join(sorted(known))}"


def _build(cls: type, plain: Mapping[str, Any], where: str, problems: list[str]) -> Any:
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    before = len(problems)
    values = {}
    for key, value in plain.items():
        if key == PART:
            continue
        place = f"{where}.{key}" if where else str(key)
        if key not in names:
            problems.append(f"{place}: no such setting; {near(str(key), names)}")
        else:
            values[key] = from_plain(hints[key], value, where=place, problems=problems)
    if len(problems) > before:
        return None
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        problems.append(f"{where}: {error}")
        return None


def _class_of(kind: Any, plain: Mapping[str, Any], where: str, problems: list[str]) -> type | None:
    if PART not in plain:
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            return kind
        problems.append(f"{where}: say which part with {PART}: NAME; there are {_all_names()}")
        return None
    name = str(plain[PART])
    module, _, outside = name.partition(":")
    known = _outside_part(module, outside) if outside else _parts().get(name)
    if known is None:
        problems.append(f"{where}.{PART}: unknown part {name!r}; {near(name, _parts())}")
    return known


def _outside_part(module: str, name: str) -> type | None:
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
    return found if dataclasses.is_dataclass(found) and isinstance(found, type) else None


def _parts() -> dict[str, type]:
    found: dict[str, type] = {}
    for home in HOMES:
        names = vars(importlib.import_module(home))
        found |= {
            name: value
            for name, value in names.items()
            if isinstance(value, type) and dataclasses.is_dataclass(value) and _is_value(value)
        }
    return found


def _is_value(cls: type) -> bool:
    """Parts compare by their fields; graphs and other records by identity."""
    return "__eq__" in vars(cls)


def _all_names() -> str:
    return ", ".join(sorted(_parts()))


def _name(cls: type) -> str:
    return cls.__name__ if _parts().get(cls.__name__) is cls else f"{cls.__module__}:{cls.__name__}"
