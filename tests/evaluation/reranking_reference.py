"""k-reciprocal re-ranking as the paper has it: dense, float64, set by set."""

from __future__ import annotations

import numpy as np


def squared_distances(features):
    exact = features.astype(np.float64)
    return ((exact[:, None] - exact[None]) ** 2).sum(axis=2)


def reciprocal_sets(order, k):
    """R(p, k) of every p: those among its k nearest others that have p among theirs, and p."""
    near = [set(row[: k + 1]) for row in order]
    return [{q for q in near[p] if p in near[q]} for p in range(len(order))]


def grown(sets, halves, p):
    """R*(p, k): R(p, k) and each R(q, k / 2), q in R(p, k), of which more than 2/3 lie in it."""
    members = set(sets[p])
    for q in sets[p]:
        if len(halves[q] & sets[p]) > 2 / 3 * len(halves[q]):
            members |= halves[q]
    return sorted(members)


def distances(features, *, k1, k2, weight):
    """(N, N) final distances (1 - weight) d_J + weight d among all samples."""
    original = squared_distances(features)
    np.fill_diagonal(original, -1)
    order = np.argsort(original, axis=1, kind="stable")
    np.fill_diagonal(original, 0)
    sets, halves = reciprocal_sets(order, k1), reciprocal_sets(order, int(np.around(k1 / 2)))
    vectors = np.zeros_like(original)
    for p in range(len(features)):
        members = grown(sets, halves, p)
        vectors[p, members] = np.exp(-original[p, members])
        vectors[p] /= vectors[p].sum()
    vectors = np.stack([vectors[row[:k2]].mean(axis=0) for row in order])
    smaller = np.minimum(vectors[:, None], vectors[None]).sum(axis=2)
    larger = np.maximum(vectors[:, None], vectors[None]).sum(axis=2)
    return (1 - weight) * (1 - smaller / larger) + weight * original
