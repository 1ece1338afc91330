"""A graph that holds its distances as a dense table: what the sparse ones must agree with."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from resight.records import Distances


def clouds(rng, sizes, *, dim=8, noise=0.4):
    """Features (N, D) and identities (N,), in random order."""
    identities = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = rng.standard_normal((len(sizes), dim))[identities]
    rows = rows + noise * rng.standard_normal(rows.shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), identities


def random_table(rng, n, levels=12):
    """Symmetric distances on a coarse scale, so that many are equal, with a zero diagonal."""
    table = rng.integers(0, levels + 1, (n, n)) / np.float32(levels)
    table = np.triu(table, 1).astype(np.float32)
    return table + table.T


@dataclass(frozen=True)
class Table:
    distances: np.ndarray

    def __len__(self):
        return len(self.distances)

    def near(self, cut):
        rows, columns = np.nonzero(self.distances <= np.float32(cut))
        values = self.distances[rows, columns]
        indptr = np.searchsorted(rows, np.arange(len(self) + 1))
        return scipy.sparse.csr_array((values, columns, indptr), shape=self.distances.shape)

    def rows(self, samples):
        shared = [np.flatnonzero(self.distances[i] < 1) for i in samples]
        indptr = np.cumsum([0] + [len(columns) for columns in shared])
        indices = np.concatenate([*shared, np.empty(0, np.int64)]).astype(np.int32)
        rows = np.repeat(samples, np.diff(indptr))
        return Distances(samples, indptr, indices, self.distances[rows, indices])

    def reduce(self, kernel):
        blocks = [np.arange(i, min(i + 7, len(self))) for i in range(0, len(self), 7)]
        return [kernel(self.rows(block)) for block in blocks]

    def select(self, samples):
        return Table(self.distances[np.ix_(samples, samples)])

    def nearest(self):
        table = np.where(np.eye(len(self)) > 0, 0, 1 - self.distances)
        return scipy.sparse.csr_array(table.astype(np.float32))


def mean_distances(distances, labels):
    own, other = np.full((2, len(distances)), np.nan, np.float32)
    for i in np.flatnonzero(labels >= 0):
        means = {
            label: [distances[i, j] for j in np.flatnonzero(labels == label) if j != i]
            for label in range(labels.max() + 1)
        }
        mine = means.pop(labels[i])
        own[i] = np.mean(mine) if mine else np.nan
        other[i] = min((np.mean(values) for values in means.values() if values), default=np.nan)
    return own, other
