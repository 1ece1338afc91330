"""Answers of every query as plain lists, and whether an evaluation agrees with them."""

import numpy as np
import pytest
from evaluation_cases import exact_vectors, make_crops
from evaluation_reference import figures_of
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score

from resight.errors import DataError
from resight.evaluation import evaluate
from resight.records import Features

NAMES = ("mAP", "mAP_market", "mINP", "rank1")


def everything(rng, n=60, *, n_ids=9, n_cameras=3):
    """Crops with junk, distractors, identities of one camera, tracks and times, some unknown."""
    ids, cameras = rng.integers(-1, n_ids, n), rng.integers(0, n_cameras, n)
    cameras = np.where(ids % 4 == 1, 0, cameras)
    tracks = (ids + 1) * 100 + cameras * 10 + rng.integers(0, 2, n)
    tracks[rng.random(n) < 0.1] = -1
    times = rng.integers(0, 40, n).astype(float)
    times[rng.random(n) < 0.1] = np.nan
    splits = rng.choice(["train", "query", "gallery", "gallery"], n)
    return make_crops(ids, cameras, splits, tracks=tracks, times=times)


def tied(crops, rng):
    return Features({"global": exact_vectors(rng, len(crops), near=crops.identities)})


def ordered(pairs):
    """(score, is right), best first; wrong answers win ties."""
    return sorted(((float(s), bool(r)) for s, r in pairs), key=lambda pair: (-pair[0], pair[1]))


def mean_figures(lists):
    """In percent over the lists with a right answer, step AP checked against scikit-learn."""
    table = np.array([figures_of(ordered(one)) for one in lists]).reshape(-1, 4)
    for one, row in zip(lists, table, strict=True):
        if not np.isnan(row[0]):
            right, scores = [r for _, r in one], [s for s, _ in one]
            assert row[0] == pytest.approx(average_precision_score(right, scores), abs=1e-9)
    table = table[~np.isnan(table[:, 0])]
    table[:, 3] = table[:, 3] == 1
    return 100 * table.mean(axis=0) if len(table) else None


def agree(found, lists):
    assert_allclose([found.figures[k] for k in NAMES], mean_figures(lists), rtol=0, atol=1e-9)


def lists_of(crops, table, queries, gallery, counts):
    """Each labelled query's answers among `gallery` rows for which counts(q, g) holds."""
    ids = crops.identities
    return [
        [(table[q, g], ids[g] == ids[q]) for g in gallery if ids[g] != -1 and counts(q, g)]
        for q in queries
        if ids[q] > 0
    ]


def attempt(features, crops, lists, **how):
    """The evaluation, or None where there is nothing to measure, which must then be said."""
    if not any(right for one in lists for _, right in one):
        with pytest.raises(DataError, match=r"has a match|was seen by"):
            evaluate(features, crops, **how)
        return None
    return evaluate(features, crops, **how)


def sides(crops):
    return (np.flatnonzero(crops.splits == side) for side in ("query", "gallery"))
