"""True identities in the place of pseudo-labels: the supervised bound, and ablations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resight.records import OUTLIER, Crops, Features, Graph, PseudoLabels


@dataclass(frozen=True)
class TrueLabels:
    """Labels are the identities of the crops; crops without one are outliers.

    The only part that looks at identities: a run with it is supervised and says so.
    """

    def unmet(self, crops: Crops) -> list[str]:
        """What the crops lack."""
        if crops.identities is None or not np.any(crops.identities > 0):
            return ["TrueLabels needs crops with identities"]
        return []

    def __call__(self, graph: Graph, features: Features, rng: np.random.Generator) -> PseudoLabels:
        """Number the identities 0 … C-1; graph and rng are not looked at."""
        if features.crops is None or features.crops.identities is None:
            raise ValueError("features carry no identities")
        identities = features.crops.identities
        known = identities > 0
        labels = np.full(len(identities), OUTLIER, np.int64)
        labels[known] = np.unique(identities[known], return_inverse=True)[1]
        return PseudoLabels(labels)
