"""P x K batches: P pseudo-identities, K crops of each, spread over cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resight.records import IntArray


@dataclass(frozen=True)
class PKBatches:
    """P `identities` times K `instances` in each batch (published: 16 x 16)."""

    identities: int = 16
    instances: int = 16

    def __post_init__(self) -> None:
        if self.identities < 1 or self.instances < 1:
            raise ValueError(
                f"identities={self.identities} and instances={self.instances} should be >= 1"
            )

    def plan(
        self,
        labels: IntArray,
        iterations: int,
        *,
        cameras: IntArray | None = None,
        rng: np.random.Generator,
    ) -> IntArray:
        """Rows of all batches of an epoch, (iterations, P' * K) int64, P' = min(P, clusters).

        labels: (N,) pseudo-labels, -1 takes no part. cameras: (N,), or None for plain P x K.

        Identities are visited in random passes over all of them; no batch holds one twice, so the
        few at the end of a pass that do not fill a batch are left out. Of an identity, the first
        crop is uniformly random; the rest come from its other cameras, one each, before a camera
        is used again, and crops are repeated only when all have been used.
        """
        n_clusters = int(labels.max(initial=-1)) + 1
        if n_clusters == 0:
            raise ValueError("labels holds no cluster, expected at least one")
        p = min(self.identities, n_clusters)
        visits = _visits(n_clusters, p, iterations, rng)
        rows = _members_in_turn(labels, cameras, visits, self.instances, rng)
        return rows.reshape(iterations, p * self.instances)


def _visits(n_clusters: int, p: int, iterations: int, rng: np.random.Generator) -> IntArray:
    """(iterations * P,) identities: random passes over all, each cut into whole batches."""
    per_pass = n_clusters // p
    passes = -(-iterations // per_pass)
    order = [rng.permutation(n_clusters)[: per_pass * p] for _ in range(passes)]
    return np.concatenate(order)[: iterations * p]


def _members_in_turn(
    labels: IntArray,
    cameras: IntArray | None,
    visits: IntArray,
    k: int,
    rng: np.random.Generator,
) -> IntArray:
    """(visits * K,) rows: for each visit K members of its identity, camera by camera.

    All visits are laid out one after another and sorted together: members in random order, then
    numbered within their camera; the n-th crops of all cameras come before any (n+1)-th.
    """
    members = np.argsort(labels, kind="stable")[np.count_nonzero(labels < 0) :]
    sizes = np.bincount(labels[members])
    starts = np.cumsum(sizes) - sizes
    size = sizes[visits]
    end = np.cumsum(size)
    visit = np.repeat(np.arange(len(visits)), size)
    rows = members[np.arange(end[-1]) - np.repeat(end - size - starts[visits], size)]

    shuffled = np.lexsort((rng.random(len(rows)), visit))
    rows = rows[shuffled]
    camera = np.zeros(len(rows), np.int64) if cameras is None else cameras[rows]
    rows = rows[np.lexsort((_turn(visit, camera), visit))]

    wanted = np.arange(k)[None, :] % size[:, None] + (end - size)[:, None]
    result: IntArray = rows[wanted].ravel()
    return result


def _turn(visit: IntArray, camera: IntArray) -> IntArray:
    """How many earlier entries have the same visit and camera."""
    order = np.lexsort((camera, visit))
    is_first = np.ones(len(order), np.bool_)
    v, c = visit[order], camera[order]
    is_first[1:] = (v[1:] != v[:-1]) | (c[1:] != c[:-1])
    positions = np.arange(len(order))
    turn = np.empty_like(positions)
    turn[order] = positions - np.maximum.accumulate(np.where(is_first, positions, 0))
    return turn
