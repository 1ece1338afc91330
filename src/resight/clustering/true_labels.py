"""True identities in the place of pseudo-labels: the supervised bound, and ablations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resight.records import OUTLIER, Crops, Features, Graph, IntArray, PseudoLabels


@dataclass(frozen=True)
class TrueLabels:
    """Labels are the identities of the crops; crops without one are outliers.

    The only part that looks at identities: a run with it is supervised and says so.

    With C identities, the ablations of Cluster Contrast (Table 5) make mistakes on purpose, drawn
    anew each time:

    split: round(split C) identities of two crops or more, or all of these if there are fewer, are
        cut at random into two clusters each.
    merge: by round(merge C) clusters there are fewer, because as many random pairs of the other
        identities are one cluster each.

    Splitting 100 of 751 identities gives 851 clusters, merging 200 of them gives 651.
    """

    split: float = 0.0
    merge: float = 0.0

    def __post_init__(self) -> None:
        if not (self.split >= 0 and self.merge >= 0 and self.split + 2 * self.merge <= 1):
            raise ValueError(
                f"split is {self.split} and merge is {self.merge}, "
                "expected none below 0 and split + 2 merge <= 1"
            )

    def unmet(self, crops: Crops) -> list[str]:
        """What the crops lack."""
        if crops.identities is None or not np.any(crops.identities > 0):
            return ["TrueLabels needs crops with identities"]
        return []

    def __call__(self, graph: Graph, features: Features, rng: np.random.Generator) -> PseudoLabels:
        """Number the identities 0 … C-1; the graph is not looked at, rng only to split or merge."""
        if features.crops is None or features.crops.identities is None:
            raise ValueError("features carry no identities")
        identities = features.crops.identities
        known = identities > 0
        labels = np.full(len(identities), OUTLIER, np.int64)
        labels[known] = np.unique(identities[known], return_inverse=True)[1]
        if self.split or self.merge:
            labels[known] = _mistaken(labels[known], self.split, self.merge, rng)
        return PseudoLabels(labels)


def _mistaken(labels: IntArray, split: float, merge: float, rng: np.random.Generator) -> IntArray:
    """Labels 0 … C-1 (N,) with some clusters cut in two and some pairs of the others merged."""
    sizes = np.bincount(labels)
    several = rng.permutation(np.flatnonzero(sizes > 1))
    cut = several[: round(split * len(sizes))]
    whole = rng.permutation(np.setdiff1d(np.arange(len(sizes)), cut))
    pairs = min(round(merge * len(sizes)), len(whole) // 2)
    number = np.arange(len(sizes))
    number[whole[:pairs]] = whole[pairs : 2 * pairs]
    mistaken = number[labels]
    for new, cluster in enumerate(cut, start=len(sizes)):
        members = rng.permutation(np.flatnonzero(labels == cluster))
        mistaken[members[: rng.integers(1, len(members))]] = new
    return np.unique(mistaken, return_inverse=True)[1]
