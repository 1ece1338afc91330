"""The k-reciprocal Jaccard distance straight from its equations: dense, float64, slow."""

import numpy as np


def clouds(rng, n, *, identities, dim=16, noise=0.5):
    centres = rng.standard_normal((identities, dim))
    rows = centres[rng.integers(0, identities, n)] + noise * rng.standard_normal((n, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def ranking(similarities):
    """(N, N) all samples in the order of similarity, itself first, ties by index."""
    table = similarities.astype(np.float64)
    np.fill_diagonal(table, np.inf)
    return np.argsort(-table, axis=1, kind="stable")


def affinities(features, order, *, k1, k2, self_counts=True):
    """(N, N) V."""
    n = len(features)
    size = k1 if self_counts else k1 + 1
    half = int(np.around(k1 / 2)) + 1
    exact = features.astype(np.float64)

    def reciprocal(i, k):
        return {j for j in order[i, :k] if i in order[j, :k]}

    plain = np.zeros((n, n))
    for i in range(n):
        mutual = reciprocal(i, size)
        expanded = set(mutual)
        for j in mutual:
            candidates = reciprocal(j, half)
            if 3 * len(candidates & mutual) > 2 * len(candidates):
                expanded |= candidates
        members = sorted(expanded)
        weights = np.exp(-((exact[i] - exact[members]) ** 2).sum(axis=1))
        plain[i, members] = weights / weights.sum()
    return np.stack([plain[order[i, :k2]].mean(axis=0) for i in range(n)])


def jaccard(affinity):
    """(N, N) distances from V."""
    n = len(affinity)
    distances = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            smaller = np.minimum(affinity[i], affinity[j]).sum()
            larger = np.maximum(affinity[i], affinity[j]).sum()
            distances[i, j] = 0 if i == j else max(0, 1 - smaller / larger)
    return distances


def full_table(graph):
    """(N, N) float32: what `near` says of all pairs, 1 for those it leaves out."""
    table = np.ones((len(graph), len(graph)), np.float32)
    near = graph.near(np.nextafter(np.float32(1), np.float32(0))).tocoo()
    table[near.row, near.col] = near.data
    return table
