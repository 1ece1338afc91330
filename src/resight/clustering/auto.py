"""DBSCAN with settings that the data proposes, for data sets that no paper gives settings for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resight.clustering.dbscan import dbscan
from resight.clustering.doctor import CANDIDATES, GraphProposal, propose_k1
from resight.records import FloatArray, Graph, IntArray, PseudoLabels


@dataclass(frozen=True)
class AutoDBSCAN:
    """Each epoch, k1, k2 and eps are those whose clusters separate the crops best, label-free.

    Published settings (k1 = 30, eps about 0.6) assume the benchmarks' number of crops per
    individual. Here `propose_k1` chooses; the recipe's graph gives the candidates.
    """

    min_samples: int = 4

    def __post_init__(self) -> None:
        if self.min_samples < 1:
            raise ValueError(f"min_samples is {self.min_samples}, expected at least 1")

    def choose(
        self,
        vectors: FloatArray,
        build: Callable[[int, int], Graph],
        *,
        cameras: IntArray | None,
    ) -> tuple[Graph, PseudoLabels, GraphProposal] | None:
        """The graph, its labels and why; None when no setting is of use.

        vectors: (N, D) what the graphs are made of. build: the graph with (k1, k2).
        cameras: (N,), or None.
        """
        proposal = propose_k1(
            vectors, build, cameras=cameras, candidates=CANDIDATES, min_samples=self.min_samples
        )
        if proposal is None:
            return None
        graph = build(proposal.k1, proposal.k2)
        labels = dbscan(graph.near(proposal.eps), min_samples=self.min_samples)
        return graph, labels, proposal
