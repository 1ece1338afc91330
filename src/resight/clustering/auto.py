"""DBSCAN with settings that the data proposes, for data sets that no paper gives settings for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from resight.clustering.density import dbscan
from resight.clustering.doctor import CANDIDATES, GraphProposal, diagnose, propose_k1
from resight.records import FloatArray, Graph, IntArray, PseudoLabels


@dataclass(frozen=True)
class AutoDBSCAN:
    """Each epoch, k1, k2 and eps are those whose clusters separate the crops best, label-free.

    Published settings (k1 = 30, eps about 0.6) assume the benchmarks' number of crops per
    individual. Here `propose_k1` chooses among smaller ones; the recipe's graph gives the
    candidates.

    largest_k1: on small sets, k1 above 16 merged look-alikes or left more crops out.
    margin: how much smaller than proposed eps is, because training forgives a split individual
    more easily than two merged ones (Cluster Contrast, Table 5), and the best separation merges
    look-alikes.
    """

    min_samples: int = 4
    margin: float = 0.025
    largest_k1: int = 16

    def __post_init__(self) -> None:
        if self.min_samples < 1:
            raise ValueError(f"min_samples is {self.min_samples}, expected at least 1")
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin is {self.margin}, expected 0 <= margin < 1")
        if self.largest_k1 < CANDIDATES[0][0]:
            raise ValueError(
                f"largest_k1 is {self.largest_k1}, expected at least {CANDIDATES[0][0]}"
            )

    def choose(
        self,
        vectors: FloatArray,
        build: Callable[[int, int], Graph],
        *,
        cameras: IntArray | None,
    ) -> tuple[Graph, PseudoLabels, GraphProposal] | None:
        """The graph, its labels and the settings used; None when no setting is of use.

        Where eps less the margin leaves nothing to train on, eps is used as it was proposed.

        vectors: (N, D) what the graphs are made of. build: the graph with (k1, k2).
        cameras: (N,), or None.
        """
        proposal = propose_k1(
            vectors,
            build,
            cameras=cameras,
            candidates=[pair for pair in CANDIDATES if pair[0] <= self.largest_k1],
            min_samples=self.min_samples,
        )
        if proposal is None:
            return None
        graph = build(proposal.k1, proposal.k2)
        for eps in (max(0.0, proposal.eps - self.margin), proposal.eps):
            labels = dbscan(graph.near(eps), min_samples=self.min_samples)
            if diagnose(labels) is None:
                break
        return graph, labels, replace(proposal, eps=eps)
