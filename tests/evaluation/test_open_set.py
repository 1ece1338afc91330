"""Open-set search against its definition, answer by answer in float64."""

import json

import numpy as np
import pytest
from evaluation_answers import agree, attempt, everything, lists_of, ordered, sides, tied
from evaluation_cases import exact_vectors, make_crops, smooth_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.errors import DataError
from resight.evaluation import Options, evaluate
from resight.records import Features

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None)


def open_set_reference(crops, table, queries, gallery, far):
    """DIR and TPR in percent, from lists of answers; None without known or unknown queries."""
    ids, cameras = crops.identities, crops.cameras
    lists = lists_of(
        crops,
        table,
        queries,
        gallery,
        lambda q, g: q != g and (ids[q] != ids[g] or cameras[q] != cameras[g]),
    )
    known = [ordered(one) for one in lists if any(right for _, right in one)]
    unknown = [
        max((s for s, _ in one), default=-np.inf)
        for one in lists
        if not any(right for _, right in one)
    ]
    found = {}
    for rate in far:
        thresholds = sorted({-np.inf, *unknown})
        t = next(t for t in thresholds if np.mean([u > t for u in unknown]) <= rate + 1e-12)
        found[f"DIR@{rate:g}"] = 100 * np.mean([one[0][1] and one[0][0] > t for one in known])
        found[f"TPR@{rate:g}"] = 100 * np.mean([any(r and s > t for s, r in one) for one in known])
    return found, lists, len(unknown)


@quick
@given(SEEDS, st.booleans())
def test_open_set_of_unknown_queries(seed, with_splits):
    rng = np.random.default_rng(seed)
    crops = everything(rng, 60, n_ids=20)
    if not with_splits:
        crops = make_crops(crops.identities, crops.cameras)
    features = tied(crops, rng)
    far = (0.05, 0.3, 0.5)
    rows = np.arange(60)
    queries, gallery = sides(crops) if with_splits else (rows, rows)
    table = features.vectors @ features.vectors.T
    expected, lists, n_unknown = open_set_reference(crops, table, queries, gallery, far)
    assert n_unknown
    found = attempt(features, crops, lists, protocol="open-set", options=Options(far=far))
    if found:
        assert {k: found.figures[k] for k in expected} == pytest.approx(expected, abs=1e-9)
        agree(found, [one for one in lists if any(right for _, right in one)])
        assert found.notes[1].startswith(f"{n_unknown} unknown queries have no match")


@quick
@given(SEEDS, st.sampled_from([0.2, 0.5, 0.99]))
def test_open_set_of_left_out_identities(seed, share):
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(1, 11), 4)
    crops = make_crops(ids, np.tile([0, 1, 1, 2], 10), np.tile(["query"] + ["gallery"] * 3, 10))
    features = tied(crops, rng)
    options = Options(unknown=share, seed=seed, far=(0.1, 0.5))
    found = evaluate(features, crops, protocol="open-set", options=options)
    gone = set(range(1, 11)) - set(ids[found.trial.gallery])
    assert len(gone) == {0.2: 2, 0.5: 5, 0.99: 9}[share]
    table = features.vectors @ features.vectors.T
    queries, _ = sides(crops)
    expected, _, n = open_set_reference(crops, table, queries, found.trial.gallery, options.far)
    assert n == len(gone)
    assert {k: found.figures[k] for k in expected} == pytest.approx(expected, abs=1e-9)


def test_open_set_curves_hold_the_figures():
    rng = np.random.default_rng(3)
    crops = everything(rng, 300, n_ids=90)
    features = Features({"global": exact_vectors(rng, 300, near=crops.identities)})
    found = evaluate(features, crops, protocol="open-set", options=Options(far=(0.1,)))
    curves = json.loads(json.dumps(found.as_dict(), allow_nan=False))["curves"]
    assert set(curves) == {"FAR", "DIR", "TPR", "threshold"}
    assert len({len(column) for column in curves.values()}) == 1
    for column in ("FAR", "DIR", "TPR"):
        assert curves[column] == sorted(curves[column])
    assert curves["FAR"][0] == 0
    assert (curves["FAR"][-1], curves["TPR"][-1]) == (100, 100)
    assert curves["DIR"][-1] == pytest.approx(found.figures["rank1"])
    within = [d for f, d in zip(curves["FAR"], curves["DIR"], strict=True) if f <= 10]
    assert max(within) <= found.figures["DIR@0.1"] + 1e-9


def test_open_set_of_one_identity_is_refused():
    crops = make_crops([1, 1], [0, 1])
    with pytest.raises(DataError, match="too few to leave one out"):
        evaluate(tied(crops, np.random.default_rng(0)), crops, protocol="open-set")


def test_far_finer_than_the_unknown_queries_is_told():
    crops = make_crops([1, 1, 2, 2, 3, 4], [0, 1, 0, 1, 0, 1])
    features = Features({"global": smooth_vectors(np.random.default_rng(0), 6)})
    found = evaluate(features, crops, protocol="open-set", options=Options(far=(0.01, 0.5)))
    assert found.notes[2].startswith("2 unknown queries cannot tell FAR 0.01 from 0")


def test_an_unknown_query_without_any_answer_raises_no_alarm():
    """All that is left of the gallery for the second query is of its own camera and identity."""
    crops = make_crops([1, 1, 1, -1], [0, 1, 1, 0], ["query", "query", "gallery", "gallery"])
    found = evaluate(
        tied(crops, np.random.default_rng(0)),
        crops,
        protocol="open-set",
        options=Options(far=(0.5,)),
    )
    assert found.figures["DIR@0.5"] == 100
    assert found.notes[1].startswith("1 unknown queries")
    json.dumps(found.as_dict(), allow_nan=False)
