"""What every part of a recipe promises, whatever slot it is for."""

import dataclasses
import inspect
import typing

import pytest
import yaml

from resight import methods, parts, recipe, slots
from resight.clustering import DBSCAN, HDC
from resight.data.augment import Augment
from resight.data.batches import PKBatches
from resight.models import EncoderSpec

PROTOCOLS = (
    slots.GraphBuilder,
    slots.Clusterer,
    slots.Confidence,
    slots.Memory,
    slots.LossTerm,
    slots.Targets,
    slots.Weights,
    recipe.Schedule,
)
FIXED = (EncoderSpec, Augment, PKBatches, recipe.OptimPlan, recipe.Teacher)
REQUIRED = {
    "DBSCAN": {"eps": 0.5},
    "OnSample": {"fraction": 0.5, "clusterer": DBSCAN(0.5)},
    "Switch": {"epoch": 3, "first": DBSCAN(0.6), "then": HDC(5)},
}
NAMED = {**parts._parts(), **{cls.__name__: cls for cls in FIXED}}


def make(name: str) -> typing.Any:
    return NAMED[name](**REQUIRED.get(name, {}))


def test_there_are_parts() -> None:
    assert {"DBSCAN", "AutoDBSCAN", "Jaccard", "ClusterMemory", "ClusterNCE"} <= set(NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_is_a_frozen_dataclass(name: str) -> None:
    part = make(name)
    assert dataclasses.is_dataclass(part)
    for field in dataclasses.fields(part):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, field.name, getattr(part, field.name))
    assert hash(part) == hash(make(name))


@pytest.mark.parametrize("name", NAMED)
def test_equals_its_yaml_round_trip(name: str) -> None:
    part, problems = make(name), []
    text = yaml.safe_dump(parts.to_plain(part))
    kind = type(part) if type(part) in FIXED else typing.Union[(*PROTOCOLS, type(part))]
    assert parts.from_plain(kind, yaml.safe_load(text), where="x", problems=problems) == part
    assert not problems


@pytest.mark.parametrize("name", NAMED)
def test_is_documented(name: str) -> None:
    documentation = inspect.getdoc(NAMED[name])
    assert documentation
    assert not documentation.startswith(f"{name}("), "only the generated signature"
    for function in vars(NAMED[name]).values():
        if inspect.isfunction(function) and not function.__name__.startswith("_"):
            assert inspect.getdoc(function), function


@pytest.mark.parametrize("name", NAMED)
def test_needs_no_argument_or_says_which(name: str) -> None:
    needed = [f.name for f in dataclasses.fields(NAMED[name]) if parts._is_required(f)]
    assert needed == [*REQUIRED.get(name, {})]
    documentation = inspect.getdoc(NAMED[name]) or ""
    assert all(f"{field}:" in documentation for field in needed)


@pytest.mark.parametrize("name", parts._parts())
def test_fits_a_slot(name: str) -> None:
    assert parts._fits(NAMED[name], (*PROTOCOLS, *_alternatives()))


def _alternatives() -> tuple[type, ...]:
    """Classes that the recipe's annotations name beside the protocols."""
    hints = typing.get_type_hints(recipe.Recipe).values()
    return tuple(slot for hint in hints for slot in parts._slots(hint))


@pytest.mark.parametrize("name", methods.METHODS)
def test_methods_are_documented(name: str) -> None:
    method = methods.METHODS[name]
    assert method.summary
    assert method.name == name
    assert method.build().name == name
