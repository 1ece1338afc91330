"""Recipes: to YAML and back, settings from the command line, and every mistake told at once."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resight.clustering import DBSCAN, HDC, AutoDBSCAN, Switch
from resight.errors import ConfigError
from resight.losses import ClusterNCE
from resight.memory import InstanceMemory
from resight.methods import METHODS, recipe_for
from resight.recipe import OptimPlan, Recipe, Teacher, parse_settings
from resight.records import Features, Graph, PseudoLabels
from resight.schedules import Cosine, Steps


@dataclass(frozen=True)
class Everybody:
    """A clusterer from outside resight: all crops in `parts` clusters, in turn."""

    parts: int = 2

    def __call__(self, graph: Graph, features: Features, rng: np.random.Generator) -> PseudoLabels:
        return PseudoLabels(np.arange(len(graph)) % self.parts)


@dataclass(frozen=True)
class NoClusterer:
    """A part that fits no slot."""


def changed(*lines: str) -> Recipe:
    return Recipe().override(parse_settings([*lines]))


SETTINGS = [
    (name, published) for name, method in METHODS.items() for published in (None, *method.published)
]


@pytest.mark.parametrize(("name", "published"), SETTINGS)
def test_every_published_recipe_survives_yaml(name: str, published: str | None) -> None:
    recipe = recipe_for(name, published=published)
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(losses=(ClusterNCE(weight=0.5), ClusterNCE(temperature=0.1, weight=0.5))),
        Recipe(memory=InstanceMemory(0.3), clusterer=AutoDBSCAN()),
        Recipe(optim=OptimPlan(schedule=Cosine(0.1), lr=1e-7)),
        Recipe(clusterer=Everybody(3), name="ünï: 'quoted'\n"),
        Recipe(size=(64, 32), sample_fraction=1 / 3),
    ],
)
def test_other_recipes_survive_yaml(recipe: Recipe) -> None:
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe


def test_a_saved_recipe_is_read(tmp_path: Path) -> None:
    Recipe(name="mine").save(tmp_path / "recipe.yaml")
    assert Recipe.read(tmp_path / "recipe.yaml") == Recipe(name="mine")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["optim.lr=1e-4"], replace(Recipe(), optim=OptimPlan(lr=1e-4))),
        (["optim.lr=1"], replace(Recipe(), optim=OptimPlan(lr=1.0))),
        (["size=[64,32]"], replace(Recipe(), size=(64, 32))),
        (["size.0=64", "size.1=64"], replace(Recipe(), size=(64, 64))),
        (["clusterer.part=DBSCAN", "clusterer.eps=.5"], replace(Recipe(), clusterer=DBSCAN(0.5))),
        (["clusterer.eps=.5", "clusterer.part=DBSCAN"], replace(Recipe(), clusterer=DBSCAN(0.5))),
        (["clusterer.part=AutoDBSCAN"], replace(Recipe(), clusterer=AutoDBSCAN())),
        (
            ["optim.schedule.part=Cosine", "optim.schedule.end=.1"],
            replace(Recipe(), optim=OptimPlan(schedule=Cosine(0.1))),
        ),
        (["losses.0.weight=2"], replace(Recipe(), losses=(ClusterNCE(weight=2.0),))),
        (["name=a=b"], replace(Recipe(), name="a=b")),
        (["optim={epochs: 3}"], replace(Recipe(), optim=OptimPlan(epochs=3))),
        (["teacher.epochs=5"], replace(Recipe(), teacher=Teacher(epochs=5))),
        (["teacher={}"], replace(Recipe(), teacher=Teacher())),
        ([], Recipe()),
    ],
    ids=str,
)
def test_settings(lines: list[str], expected: Recipe) -> None:
    assert changed(*lines) == expected


def test_naming_the_same_part_keeps_its_settings() -> None:
    recipe = Recipe(clusterer=DBSCAN(0.3)).override({"clusterer.part": "DBSCAN"})
    assert recipe.clusterer == DBSCAN(0.3)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("memory.momentun=0.2", "memory.momentun: no such setting; did you mean momentum?"),
        ("memry.momentum=0.2", "memry: no such setting; did you mean memory?"),
        ("encoder.weights.x=1", "encoder.weights is a plain value"),
        ("targets.beta=0.5", "targets.beta: no such setting; there is none"),
        ("teacher.epcohs=1", "teacher.epcohs: no such setting; did you mean epochs"),
        ("max_cluster_size.x=1", "max_cluster_size: "),
        ("losses.3.weight=1", "losses.3: no such setting"),
        ("losses.first=1", "losses.first: no such setting"),
        ("clusterer.part=DBSCN", "'DBSCN' is unknown; did you mean DBSCAN"),
        ("clusterer.part=ClusterNCE", "'ClusterNCE' does not fit here"),
        ("clusterer.part=", "say which part with part: NAME; there are AutoDBSCAN, DBSCAN"),
        ("clusterer=DBSCAN", "say which part with part: NAME"),
        ("graph=5", "graph: say which part"),
        ("losses=5", "losses: expected a list of parts"),
        ("losses=[1]", "losses.0: say which part"),
        ("losses=[]", "losses is empty"),
        ("optim=5", "optim: say its settings as epochs"),
        ("clusterer={part: DBSCAN}", "clusterer.eps: DBSCAN needs this setting"),
        ("optim.epochs=many", "optim.epochs: "),
        ("optim.epochs=2.5", "optim.epochs: "),
        ("optim.epochs=0", "epochs=0 should be >= 1"),
        ("optim.lr=0", "lr=0.0"),
        ("optim.lr=nan", "finite number"),
        ("optim.lr=inf", "finite number"),
        ("optim.weight_decay=-1", "weight_decay=-1.0 should be >= 0"),
        ("memory.update=hrd", "memory.update: "),
        ("size=64", "size: "),
        ("size=[64]", "size: "),
        ("size=[8,8]", "should be at least 32 x 32"),
        ("sample_fraction=2", "sample_fraction=2.0 should be in (0, 1]"),
        ("min_cluster_size=0", "min_cluster_size=0 should be >= 1"),
        ("max_cluster_size=0", "max_cluster_size=0 should be >= min_cluster_size=2"),
        ("batches={identities: 1, instances: 1}", "should hold at least 2 crops"),
        ("clusterer.part=nowhere:Part", "cannot import 'nowhere:Part'"),
        ("clusterer.part=:Part", "cannot import ':Part'"),
        ("clusterer.part=..:Part", "cannot import '..:Part'"),
        ("clusterer.part=os:path", "'os:path' is no dataclass"),
        (f"clusterer.part={__name__}:NoClusterer", "does not fit here, expected a Clusterer"),
        ("format=9", "format: no such setting"),
        ("no-equals", "should read like memory.momentum=0.2"),
        ("=3", "should read like memory.momentum=0.2"),
        ("size=[1", "is not valid YAML"),
    ],
)
def test_wrong_settings(line: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        changed(line)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        changed("memry.momentum=1", "optim.epoch=3", "clusterer.part=DBSCN", "size=4")
    for place in ("memry:", "optim.epoch:", "clusterer.part:", "size:"):
        assert place in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "should hold settings"),
        ("[1]", "should hold settings"),
        ("a: [", "is not valid YAML"),
        ("format: 2", "has format 2, this resight reads up to 1: update resight"),
        ("format: new", "has format 'new'"),
        ("nmae: x\nsiz: [64, 32]", "nmae: no such setting; did you mean name?; siz:"),
        ("clusterer: {eps: .5}", "clusterer: say which part"),
        ("graph: null", "graph: say which part"),
        ("name: [x]", "name: "),
    ],
)
def test_wrong_yaml(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Recipe.from_yaml(text, source="my.yaml")
    assert told in str(raised.value)
    assert str(raised.value).startswith("my.yaml")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None], ids=["binary", "missing"])
def test_files_that_cannot_be_read(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"recipe\.yaml"):
        Recipe.read(file)


def test_parts_from_outside_resight() -> None:
    recipe = changed(f"clusterer.part={__name__}:Everybody", "clusterer.parts=3")
    assert recipe.clusterer == Everybody(3)
    assert f"{__name__}:Everybody" in recipe.to_yaml()


@pytest.mark.parametrize(
    ("name", "published", "told"),
    [
        ("cluster-contras", None, "did you mean cluster-contrast or camera-contrast?"),
        ("cluster-contrast", "market", "did you mean market1501"),
    ],
)
def test_unknown_methods(name: str, published: str | None, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        recipe_for(name, published=published)
    assert told in str(raised.value)


def test_the_number_of_batches() -> None:
    assert OptimPlan(iterations=7).batches_for(1000, 4) == 7
    assert OptimPlan(iterations=0, passes=2).batches_for(100, 8) == 25
    assert OptimPlan(iterations=0).batches_for(1, 8) == 1


def test_an_override_does_not_change_the_recipe() -> None:
    recipe = Recipe()
    changes: dict[str, Any] = {"optim.schedule": {"part": "Steps", "every": 3}}
    assert recipe.override(changes).optim.schedule == Steps(every=3)
    assert recipe == Recipe()


def test_a_part_of_another_slot_is_refused() -> None:
    for slot, part in (("weights", "HardTargets"), ("targets", "EqualWeights")):
        with pytest.raises(ConfigError, match=rf"{slot}.part: '{part}' does not fit here"):
            Recipe().override({f"{slot}.part": part})


def test_parts_inside_parts_are_set_one_by_one() -> None:
    recipe = Recipe().override(
        {
            "clusterer.then.n_clusters": 7,
            "clusterer.first.eps": 0.5,
            "clusterer.epoch": 2,
            "clusterer.first.part": "DBSCAN",
            "clusterer.then.part": "HDC",
            "clusterer.part": "Switch",
        }
    )
    assert recipe.clusterer == Switch(2, DBSCAN(0.5), HDC(7))
    with pytest.raises(ConfigError, match=r"clusterer.frist: no such setting; did you mean first"):
        Recipe().override({"clusterer.part": "Switch", "clusterer.frist.part": "DBSCAN"})


def test_a_switch_stands_for_another_clusterer_in_each_epoch() -> None:
    recipe = Recipe().override(
        {
            "clusterer": {
                "part": "Switch",
                "epoch": 2,
                "first": {"part": "DBSCAN", "eps": 0.5},
                "then": {"part": "HDC", "n_clusters": 7},
            }
        }
    )
    assert [recipe.clusterer_at(epoch) for epoch in (0, 1, 2, 9)] == [
        *[DBSCAN(0.5)] * 2,
        *[HDC(7)] * 2,
    ]
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert Recipe().clusterer_at(5) == DBSCAN(0.6)


def test_a_cluster_can_be_no_larger_than_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_cluster_size=3 should be >= min_cluster_size=4"):
        changed("min_cluster_size=4", "max_cluster_size=3")
