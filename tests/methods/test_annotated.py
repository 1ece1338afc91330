"""Shown recipes: a value a line, sources beside them, and still the same recipe."""

import pytest

from resight.clustering import DBSCAN
from resight.methods import METHODS, recipe_for
from resight.methods.annotated import RELEASED, SHARED, _flat, annotated
from resight.parts import to_plain
from resight.recipe import OptimPlan, Recipe

SETTINGS = [(m.name, data) for m in METHODS.values() for data in (None, *m.published)]


def shown(name: str, data: str | None) -> str:
    method = METHODS[name]
    recipe = recipe_for(name, published=data)
    reference = recipe if data else method.sourced
    return annotated(recipe, method.sources, reference=reference)


@pytest.mark.parametrize(("name", "data"), SETTINGS)
def test_is_read_back(name: str, data: str | None) -> None:
    assert Recipe.from_yaml(shown(name, data)) == recipe_for(name, published=data)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(name="ünï: 'quoted' # no comment\n\ttabbed"),
        Recipe(name=""),
        Recipe(name="null"),
        Recipe(name="12e3", optim=OptimPlan(lr=1e-7)),
        Recipe(name="- a: [b"),
        Recipe(sample_fraction=1 / 3, clusterer=DBSCAN(0.1 + 0.2)),
        Recipe().override({"optim.schedule": {"part": "Milestones", "at": []}}),
    ],
)
def test_odd_values_are_read_back(recipe: Recipe) -> None:
    sources = dict.fromkeys(_flat(to_plain(recipe, annotated=Recipe)), "Section 1: all")
    assert Recipe.from_yaml(annotated(recipe, sources, reference=recipe)) == recipe


def test_has_one_value_a_line_and_its_source_beside_it() -> None:
    lines = shown("3c", "msmt17").splitlines()
    assert all(line.split("#")[0].count(":") <= 1 for line in lines)
    for start, source in {
        "    n_clusters: 1000 ": "Section 4.3",
        "  iterations: 400 ": "Section 4.2",
        "  momentum: 0.1 ": "released code",
        "size: ": "Section 4.2",
    }.items():
        line = next(line for line in lines if line.startswith(start))
        assert line.endswith(f"  # {source}")


def test_a_value_that_is_not_the_papers_has_no_source() -> None:
    lines = shown("cgc", None).splitlines()
    epochs = next(line for line in lines if line.strip().startswith("epochs:"))
    beta = next(line for line in lines if line.strip().startswith("beta:"))
    assert epochs == "  epochs: 20"
    assert beta.endswith("# Section 4.2, Fig. 4")


@pytest.mark.parametrize("name", METHODS)
def test_sources_are_of_settings_that_exist(name: str) -> None:
    published = METHODS[name].published.values()
    known = {key for build in published for key in _flat(to_plain(build(), annotated=Recipe))}
    assert set(METHODS[name].sources) <= known


def test_shared_sources_are_of_settings_that_exist() -> None:
    assert set(SHARED) <= set(_flat(to_plain(METHODS["cgc"].build(), annotated=Recipe))) | {
        "clusterer.eps"
    }


def values_of(name: str, data: str) -> dict[str, object]:
    """By dotted key, with the graph of each view of LP as the graph."""
    flat = _flat(to_plain(recipe_for(name, published=data), annotated=Recipe))
    return {key.replace("graph.graph.", "graph."): value for key, value in flat.items()}


@pytest.mark.parametrize("name", ["acfl", "acfl-c", "acfl-vit", "acfl-st", "lp"])
def test_what_the_released_code_of_cluster_contrast_is_said_to_have_it_has(name: str) -> None:
    released = [values_of("cluster-contrast", data) for data in ("market1501", "msmt17")]
    sources = SHARED | dict(METHODS[name].sources)
    told = {key.replace("graph.graph.", "graph.") for key, s in sources.items() if s == RELEASED}
    for data in METHODS[name].published:
        found = values_of(name, data)
        for key in told & found.keys() & released[0].keys():
            assert found[key] in [values[key] for values in released], key


@pytest.mark.parametrize(
    ("name", "start", "source"),
    [
        ("lp", "    k1: 30 ", "Section III-B.2"),
        ("lp", "    k2: 6 ", "released code of Cluster Contrast"),
        ("lp", "    factor: 0.1 ", "silent; released code of Cluster Contrast"),
        ("acfl", "  weights: imagenet ", "silent; released code of Cluster Contrast"),
        ("acfl-vit", "  last_stride: 2 ", "a transformer has no stages"),
        ("acfl-st", "  labels: warm-up ", "Alg. 2 of LP"),
        ("3c", "  init: mean ", "Alg. 2"),
    ],
)
def test_what_a_paper_says_and_where_it_is_silent(name: str, start: str, source: str) -> None:
    line = next(line for line in shown(name, "market1501").splitlines() if line.startswith(start))
    assert line.endswith(f"  # {source}")
