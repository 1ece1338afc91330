"""Parts of a recipe as plain data and back.

A part is a frozen dataclass. In YAML it is a mapping of its fields; where a slot takes parts of
several kinds, the key `part` names the class. A name is looked up among the public names of the
folders that hold parts, so that a new part needs a file and its folder's export, nothing else;
`package.module:Class` names a part from outside resight.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import inspect
import operator
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Union

from pydantic import ConfigDict, TypeAdapter, ValidationError

HOMES = (
    "resight.graph",
    "resight.clustering",
    "resight.memory",
    "resight.losses",
    "resight.schedules",
)
PART = "part"

_FINITE = ConfigDict(allow_inf_nan=False)


def to_plain(value: Any, *, annotated: Any = None) -> Any:
    """A part, or a tuple or number in one, as what YAML and JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = typing.get_type_hints(type(value))
        fields = {
            f.name: to_plain(getattr(value, f.name), annotated=hints[f.name])
            for f in dataclasses.fields(value)
        }
        only = _slots(annotated) == (type(value),)
        return fields if only else {PART: _name(type(value)), **fields}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: Any, plain: Any, *, where: str, problems: list[str]) -> Any:
    """The value that `plain` describes; `kind` is the annotation of the place it goes to.

    What is wrong is appended to `problems`, each line beginning with `where`, so that all of it
    can be told at once; the result is None then.
    """
    item = _item_slot(kind)
    if item is not None:
        return _build_each(item, plain, where, problems)
    slots = _slots(kind)
    if slots and (isinstance(plain, Mapping) or len(slots) == len(_members(kind))):
        chosen = _class_of(slots, plain, where, problems)
        return None if chosen is None else _build(chosen, plain, where, problems)
    try:
        return TypeAdapter(_without(kind, slots), config=_FINITE).validate_python(plain)
    except ValidationError as error:
        told = dict.fromkeys(e["msg"] for e in error.errors())
        problems.append(f"{where}: {' or '.join(told)}, got {plain!r}")
        return None


def near(name: str, names: Iterable[str]) -> str:
    """A hint that lists the nearest of `names`, or all of them."""
    known = list(names)
    if not known:
        return "there is none"
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there are {', '.join(sorted(known))}"


def _members(kind: Any) -> tuple[Any, ...]:
    """The kinds that a union joins; any other kind alone."""
    union = typing.get_origin(kind) in (Union, types.UnionType)
    return typing.get_args(kind) if union else (kind,)


def _without(kind: Any, slots: tuple[type, ...]) -> Any:
    """The union less its slots: the plain values that it takes."""
    return functools.reduce(operator.or_, [k for k in _members(kind) if k not in slots])


def _slots(kind: Any) -> tuple[type, ...]:
    """Those kinds of a union that parts fill: dataclasses and protocols."""
    return tuple(
        k
        for k in _members(kind)
        if isinstance(k, type)
        and (dataclasses.is_dataclass(k) or getattr(k, "_is_protocol", False))
    )


def _item_slot(kind: Any) -> type | None:
    """What `tuple[kind, ...]` holds, if that is parts."""
    items = typing.get_args(kind) if typing.get_origin(kind) is tuple else ()
    return next(iter(_slots(items[0])), None) if items else None


def _build_each(item: type, plain: Any, where: str, problems: list[str]) -> Any:
    if not isinstance(plain, list | tuple):
        problems.append(f"{where}: expected a list of parts, got {plain!r}")
        return None
    return tuple(
        from_plain(item, value, where=f"{where}.{i}", problems=problems)
        for i, value in enumerate(plain)
    )


def _build(cls: type, plain: Mapping[str, Any], where: str, problems: list[str]) -> Any:
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    before = len(problems)
    values = {}
    for key, value in plain.items():
        if key == PART:
            continue
        place = f"{where}.{key}" if where else str(key)
        if key not in fields:
            problems.append(f"{place}: no such setting; {near(str(key), fields)}")
        else:
            values[key] = from_plain(hints[key], value, where=place, problems=problems)
    needed = [name for name, f in fields.items() if _is_required(f) and name not in plain]
    problems += [f"{where}.{name}: {cls.__name__} needs this setting" for name in needed]
    if len(problems) > before:
        return None
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        problems.append(f"{where}: {error}" if where else str(error))
        return None


def _is_required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.init and field.default is missing and field.default_factory is missing


def _class_of(slots: tuple[type, ...], plain: Any, where: str, problems: list[str]) -> type | None:
    """The class that `plain` names, or the only one that its place takes."""
    only = slots[0] if len(slots) == 1 and dataclasses.is_dataclass(slots[0]) else None
    named = isinstance(plain, Mapping) and PART in plain
    if only is not None and isinstance(plain, Mapping) and not named:
        return only
    fitting = {name: cls for name, cls in _parts().items() if _fits(cls, slots)}
    if only is not None:
        fitting[only.__name__] = only
    name = plain[PART] if named else None
    if not isinstance(name, str):
        hint = f"say which part with {PART}: NAME; there are {', '.join(sorted(fitting))}"
        if only is not None:
            hint = f"say its settings as {', '.join(f.name for f in dataclasses.fields(only))}"
        problems.append(f"{where}: {hint}, got {plain!r}")
        return None
    if ":" in name:
        return _outside_part(name, slots, where, problems)
    if name not in fitting:
        kind = "does not fit here" if name in _parts() else "is unknown"
        problems.append(f"{where}.{PART}: {name!r} {kind}; {near(name, fitting)}")
    return fitting.get(name)


@functools.cache
def _fits(cls: type, slots: tuple[type, ...]) -> bool:
    """Whether parts of this class can stand in one of the slots."""
    return any(
        issubclass(cls, slot) if dataclasses.is_dataclass(slot) else _follows(cls, slot)
        for slot in slots
    )


def _follows(cls: type, protocol: type) -> bool:
    """Whether `cls` has the fields and methods of `protocol`, these with the same parameters."""
    fields = {f.name for f in dataclasses.fields(cls)}
    for name, wanted in vars(protocol).items():
        if name != "__call__" and (name.startswith("_") or name in fields):
            continue
        found = getattr(cls, name, None)
        if found is None:
            return False
        if callable(wanted) and _parameters(found) != _parameters(wanted):
            return False
    return True


def _parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def _outside_part(
    name: str, slots: tuple[type, ...], where: str, problems: list[str]
) -> type | None:
    module, _, leaf = name.partition(":")
    try:
        if not all(word.isidentifier() for word in module.split(".")):
            raise ImportError(f"{module!r} is no module name")
        found = getattr(importlib.import_module(module), leaf, None)
    except ImportError as error:
        problems.append(f"{where}.{PART}: cannot import {name!r}: {error}")
        return None
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        problems.append(f"{where}.{PART}: {name!r} is no dataclass, which a part has to be")
        return None
    if not _fits(found, slots):
        expected = " or ".join(slot.__name__ for slot in slots)
        problems.append(f"{where}.{PART}: {name!r} does not fit here, expected a {expected}")
        return None
    return found


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


def _name(cls: type) -> str:
    return cls.__name__ if _parts().get(cls.__name__) is cls else f"{cls.__module__}:{cls.__name__}"
