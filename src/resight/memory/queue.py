"""A limited instance memory: a queue that never loses sight of a cluster (ACFL, Table 10)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from resight.memory.sums import AnchorSums


class InstanceQueue:
    """One view of a memory that remembers some crops only.

    It starts with a random choice that holds an anchor of every cluster, in random order. What is
    written becomes the newest, in the order of the batch: a crop that is remembered moves towards
    its embedding, one that is not comes in with its embedding as it is. Of what was there and what
    came, the newest anchor of every cluster stays, and besides them the newest entries; so the
    oldest go first, and of a batch too large for the queue only the end comes in.
    """

    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        anchors: Tensor,
        *,
        size: int,
        n_clusters: int,
        generator: torch.Generator,
    ) -> None:
        """features: (N, D). labels, anchors: (N,) as in `Clustered`.

        size: N', how many crops are remembered, from n_clusters to all that are not outliers.
        """
        self._all_labels, self._all_anchors = labels, anchors
        self._n_clusters = n_clusters
        rows = torch.nonzero(labels >= 0).flatten()
        shuffled = rows[torch.randperm(len(rows), generator=generator).to(rows.device)]
        turn = torch.arange(len(rows), device=rows.device)
        by_need = torch.where(self._is_newest_anchor(shuffled, turn), -1, turn)
        self._rows = shuffled[by_need.argsort(stable=True)[:size].sort().values]  # (N',) crops
        self._clock = size
        self._turns = torch.arange(size, device=rows.device)  # (N',) when each was written
        self._slots = torch.full_like(labels, -1)  # (N,) where each crop is, -1 for nowhere
        self._slots[self._rows] = torch.arange(size, device=rows.device)
        self.vectors = features[self._rows]
        self._sums = AnchorSums(n_clusters, features)
        self._sums.add(anchors[self._rows], self.vectors)

    @property
    def labels(self) -> Tensor:
        """(N',) the clusters of what is remembered."""
        return self._all_labels[self._rows]

    def means(self) -> Tensor:
        """(C, D) the clusters' vectors."""
        return self._sums.mean()

    def write(self, rows: Tensor, q: Tensor, *, momentum: float) -> None:
        """Crops (b,), each once, move towards q (b, D) or come in; the last one is the newest."""
        turns = self._clock + torch.arange(len(rows), device=rows.device)
        self._clock += len(rows)
        known = self._slots[rows] >= 0
        self._move(rows[known], q[known], turns[known], momentum)
        self._admit(rows[~known], q[~known], turns[~known])

    def _move(self, rows: Tensor, q: Tensor, turns: Tensor, momentum: float) -> None:
        slots = self._slots[rows]
        old = self.vectors[slots]
        new = F.normalize(torch.lerp(q, old, momentum))
        self.vectors[slots] = new
        self._turns[slots] = turns
        self._sums.move(self._all_anchors[rows], new - old)

    def _admit(self, rows: Tensor, q: Tensor, turns: Tensor) -> None:
        """As many leave as come; whoever comes may be among those that leave."""
        every_turn = torch.cat([self._turns, turns])  # (N' + new,)
        stays = self._is_newest_anchor(torch.cat([self._rows, rows]), every_turn)
        age_order = torch.where(stays, self._clock, every_turn)
        leaving = age_order.topk(len(rows), largest=False).indices
        size = len(self._rows)
        slots = leaving[leaving < size]
        enters = torch.ones_like(rows, dtype=torch.bool)
        enters[leaving[leaving >= size] - size] = False
        self._replace(slots, rows[enters], q[enters], turns[enters])

    def _replace(self, slots: Tensor, rows: Tensor, q: Tensor, turns: Tensor) -> None:
        gone, q = self._rows[slots], F.normalize(q)
        self._sums.remove(self._all_anchors[gone], self.vectors[slots])
        self._sums.add(self._all_anchors[rows], q)
        self._slots[gone] = -1
        self._slots[rows] = slots
        self._rows[slots] = rows
        self._turns[slots] = turns
        self.vectors[slots] = q

    def _is_newest_anchor(self, rows: Tensor, turns: Tensor) -> Tensor:
        """(M,) whether no other anchor of its cluster has a later turn (M,); all turns >= 0."""
        anchors = self._all_anchors[rows]
        clusters, turns = anchors.clamp_min(0), torch.where(anchors >= 0, turns, -1)
        newest = torch.full((self._n_clusters,), -1, device=rows.device)
        newest.scatter_reduce_(0, clusters, turns, "amax")
        return (turns >= 0) & (turns == newest[clusters])
