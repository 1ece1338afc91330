"""Ranking by all views together."""

import numpy as np
import pytest
from evaluation_cases import exact_vectors, random_crops, smooth_vectors
from numpy.testing import assert_allclose, assert_array_equal

from resight.errors import ConfigError
from resight.evaluation import evaluate, fused, fusion_weights
from resight.records import Features


def views_of(rng, n, parts):
    """Of different widths, the global one last."""
    views = {f"part{i + 1}": smooth_vectors(rng, n, 4 + i) for i in range(parts)}
    return Features({**views, "global": smooth_vectors(rng, n, 9)})


def mean_distance(features, alpha):
    """D = (1 - n alpha) D_global + alpha sum D_parts, D = 1 - cosine, in float64."""
    tables = {view: 1 - rows.astype(np.float64) @ rows.T for view, rows in features.views.items()}
    whole = tables.pop("global")
    return (1 - len(tables) * alpha) * whole + alpha * sum(tables.values())


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.7, 1.0])
def test_distances_are_the_weighted_mean(parts, share):
    features = views_of(np.random.default_rng(parts), 30, parts)
    alpha = share / parts
    found = fused(features, alpha)
    assert [*found.views] == ["global"]
    assert found.vectors.dtype == np.float32
    assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-6)
    assert_allclose(1 - found.vectors @ found.vectors.T, mean_distance(features, alpha), atol=1e-6)


@pytest.mark.parametrize("protocol", ["cross-camera", "all", "camera-pairs"])
def test_figures_are_those_of_the_weighted_mean(protocol):
    rng = np.random.default_rng(4)
    crops = random_crops(rng, 150)
    features = views_of(rng, 150, 2)

    def scores(query, gallery, rows):
        weights = {"global": 0.5, "part1": 0.25, "part2": 0.25}
        table = sum(
            w * query.views[v][rows].astype(np.float64) @ gallery.views[v].T
            for v, w in weights.items()
        )
        yield rows, table.astype(np.float32)

    want = evaluate(features, crops, protocol=protocol, scores=scores).figures
    found = evaluate(fused(features, 0.25), crops, protocol=protocol).figures
    assert found == pytest.approx(want, abs=1e-6)
    assert found != pytest.approx(evaluate(features, crops, protocol=protocol).figures, abs=0.01)


def test_without_weight_it_is_the_plain_evaluation():
    rng = np.random.default_rng(5)
    crops = random_crops(rng, 80)
    whole = exact_vectors(rng, 80, near=crops.identities)
    features = Features({"global": whole, "part1": smooth_vectors(rng, 80)}, crops)
    assert_array_equal(fused(features, 0).vectors, whole)
    assert fused(features, 0).crops is crops
    assert evaluate(fused(features, 0), crops).figures == evaluate(features, crops).figures


def test_weights_that_do_not_fit_are_refused():
    features = views_of(np.random.default_rng(0), 6, 2)
    for alpha in (-0.1, 0.51, float("nan")):
        with pytest.raises(ConfigError, match=r"fuse=.* should be between 0 and 0\.5: .* 2 parts"):
            fused(features, alpha)
    with pytest.raises(ConfigError, match=r"fuse=0\.15 needs a model with parts"):
        fused(features.only("global"), 0.15)
    assert fusion_weights(("global", "a", "b"), 0.5) == {"global": 0, "a": 0.5, "b": 0.5}
