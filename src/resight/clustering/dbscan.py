"""DBSCAN as a part of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from resight.clustering.density import dbscan
from resight.clustering.doctor import propose_eps
from resight.records import OUTLIER, Features, Graph, PseudoLabels


@dataclass(frozen=True)
class DBSCAN:
    """Clusters are the connected core samples and what lies within `eps` of them.

    eps: largest distance of neighbours, inclusive, 0 <= eps < 1; or "auto" for the one that
        `propose_eps` finds for the graph.
    min_samples: a sample with this many neighbours, itself included, is a core sample.
    """

    eps: float | Literal["auto"]
    min_samples: int = 4

    def __post_init__(self) -> None:
        if self.eps != "auto" and not 0 <= self.eps < 1:
            raise ValueError(f"eps is {self.eps}, expected auto or 0 <= eps < 1")
        if self.min_samples < 1:
            raise ValueError(f"min_samples is {self.min_samples}, expected at least 1")

    def __call__(self, graph: Graph, features: Features, rng: np.random.Generator) -> PseudoLabels:
        """Cluster the graph; features are looked at with eps "auto" alone, rng never.

        All samples are outliers when no eps is of use.
        """
        eps = self.eps
        if eps == "auto":
            proposal = propose_eps(
                graph,
                min_samples=self.min_samples,
                features=features.vectors,
                cameras=None if features.crops is None else features.crops.cameras,
            )
            if proposal is None:
                return PseudoLabels(np.full(len(graph), OUTLIER, np.int64))
            eps = proposal.eps
        return dbscan(graph.near(eps), min_samples=self.min_samples)
