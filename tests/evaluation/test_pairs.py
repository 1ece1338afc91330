"""Counts of pairs against dense float64 tables."""

import numpy as np
import pytest
from evaluation_cases import exact_vectors, smooth_vectors
from numpy.testing import assert_array_equal

from resight.evaluation import pairs
from resight.evaluation.pairs import BINS, GENUINE, IMPOSTOR, Pairs, edge


def kinds(identities, cameras):
    """(N, N) IMPOSTOR or GENUINE for pairs i < j that count, else -1."""
    n = len(identities)
    table = np.full((n, n), -1)
    for i in range(n):
        for j in range(i + 1, n):
            same_camera = cameras is not None and cameras[i] == cameras[j]
            nobody = identities[i] == identities[j] == 0
            if not (same_camera or nobody):
                table[i, j] = GENUINE if identities[i] == identities[j] else IMPOSTOR
    return table


def case(seed, n, *, with_cameras, vectors=exact_vectors):
    rng = np.random.default_rng(seed)
    cameras = rng.integers(0, 3, n) if with_cameras else None
    return Pairs(vectors(rng, n), rng.integers(0, 6, n), cameras)


@pytest.mark.parametrize("with_cameras", [True, False])
@pytest.mark.parametrize("n", [0, 1, 2, 65])
def test_histograms_are_those_of_the_dense_table(n, with_cameras, monkeypatch):
    """Cosines are multiples of 1/4, which are edges of bins."""
    monkeypatch.setattr(pairs, "TILE_ROWS", 8)
    monkeypatch.setattr(pairs, "TILE_COLUMNS", 20)
    made = case(n, n, with_cameras=with_cameras)
    found = made.histograms()
    similarities = made.vectors.astype(np.float64) @ made.vectors.T.astype(np.float64)
    which = kinds(made.identities, made.cameras)
    edges = np.append([edge(b) for b in range(BINS)], np.inf)
    for kind in (IMPOSTOR, GENUINE):
        assert_array_equal(found[kind], np.histogram(similarities[which == kind], edges)[0])


def test_smooth_similarities_are_counted_within_rounding():
    made = case(1, 200, with_cameras=True, vectors=smooth_vectors)
    similarities = made.vectors.astype(np.float64) @ made.vectors.T.astype(np.float64)
    which = kinds(made.identities, made.cameras)
    for kind in (IMPOSTOR, GENUINE):
        upward = np.cumsum(made.histograms()[kind][::-1])[::-1]
        for b in range(0, BINS, 997):
            low, high = ((similarities[which == kind] >= edge(b) + e).sum() for e in (2e-6, -2e-6))
            assert low <= upward[b] <= high


@pytest.mark.parametrize("with_cameras", [True, False])
@pytest.mark.parametrize("threshold", [-1.0, 0.25, 0.5, edge(BINS)])
def test_errors_are_those_of_the_dense_table(threshold, with_cameras, monkeypatch):
    monkeypatch.setattr(pairs, "TILE_ROWS", 8)
    monkeypatch.setattr(pairs, "TILE_COLUMNS", 20)
    made = case(2, 61, with_cameras=with_cameras)
    accepted = made.vectors.astype(np.float64) @ made.vectors.T.astype(np.float64) >= threshold
    which = kinds(made.identities, made.cameras)
    expected = np.zeros((2, 2, made.individuals.max() + 1), int)
    for i, j in np.argwhere(which >= 0):
        kind, wrong = which[i, j], accepted[i, j] == (which[i, j] == IMPOSTOR)
        for individual in {made.individuals[i], made.individuals[j]}:
            expected[kind, :, individual] += wrong, 1
    assert_array_equal(made.errors(threshold), expected)


def test_each_distractor_is_an_individual():
    made = Pairs(np.eye(5, dtype=np.float32), np.array([0, 4, 0, 4, 9]))
    groups = made.individuals
    assert groups[1] == groups[3]
    assert len(set(groups.tolist())) == 4
    assert set(groups.tolist()) == {0, 1, 2, 3}


def test_edges_are_exact():
    edges = np.array([edge(b) for b in range(BINS + 1)])
    assert_array_equal(edges.astype(np.float32), edges)
    assert edges[0] == -1
    assert edges[-2] == 1
    assert edges[-1] > 1 + 5e-5
