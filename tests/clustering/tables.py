"""A graph that holds its distances as a dense table: what the sparse ones must agree with."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse


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

    def mean_distances(self, labels):
        own, other = np.full((2, len(self)), np.nan, np.float32)
        for i in np.flatnonzero(labels >= 0):
            means = {
                label: [self.distances[i, j] for j in np.flatnonzero(labels == label) if j != i]
                for label in range(labels.max() + 1)
            }
            mine = means.pop(labels[i])
            own[i] = np.mean(mine) if mine else np.nan
            other[i] = min((np.mean(values) for values in means.values() if values), default=np.nan)
        return own, other
