"""Clusterers made of clusterers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resight.clustering.auto import AutoDBSCAN
from resight.records import OUTLIER, Crops, Features, Graph, IntArray, PseudoLabels
from resight.slots import Clusterer
from resight.slots import unmet as unmet_of


@dataclass(frozen=True)
class Switch:
    """One clusterer in the first epochs and another one from then on, as 3C's warm-up.

    Either may be a switch itself, so that three and more follow one another.

    epoch: the first epoch of `then`, counted from 0.
    first: the clusterer of the epochs before.
    then: the clusterer from `epoch` on.
    """

    epoch: int
    first: Clusterer | AutoDBSCAN | Switch
    then: Clusterer | AutoDBSCAN | Switch

    def __post_init__(self) -> None:
        if self.epoch < 0:
            raise ValueError(f"epoch is {self.epoch}, expected at least 0")

    def at(self, epoch: int) -> Clusterer | AutoDBSCAN:
        """The clusterer of this epoch, counted from 0."""
        chosen = self.first if epoch < self.epoch else self.then
        return chosen.at(epoch) if isinstance(chosen, Switch) else chosen

    def since(self, epoch: int) -> int:
        """The first epoch, counted from 0, of the clusterer that runs in `epoch`."""
        chosen, start = (self.first, 0) if epoch < self.epoch else (self.then, self.epoch)
        return max(start, chosen.since(epoch)) if isinstance(chosen, Switch) else start

    def unmet(self, crops: Crops) -> list[str]:
        """What the crops lack for either clusterer."""
        lines = [*unmet_of(self.first, crops), *unmet_of(self.then, crops)]
        return list(dict.fromkeys(lines))


@dataclass(frozen=True)
class OnSample:
    """Clusters a random part of the samples, drawn anew each time; the others are outliers.

    fraction: of the N samples, round(fraction N) are drawn, 0 < fraction <= 1.
    clusterer: what clusters them.
    """

    fraction: float
    clusterer: Clusterer

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction is {self.fraction}, expected 0 < fraction <= 1")

    def unmet(self, crops: Crops) -> list[str]:
        """What the crops lack for the clusterer."""
        return unmet_of(self.clusterer, crops.select(np.arange(round(self.fraction * len(crops)))))

    def __call__(self, graph: Graph, features: Features, rng: np.random.Generator) -> PseudoLabels:
        """Draw samples and cluster the graph among them; raises what the clusterer raises."""
        n = len(graph)
        drawn = np.sort(rng.choice(n, round(self.fraction * n), replace=False)).astype(np.int64)
        found = self.clusterer(graph.select(drawn), features.select(drawn), rng)
        return _spread(found, drawn, n)


def _spread(found: PseudoLabels, samples: IntArray, n: int) -> PseudoLabels:
    """What was found for these of N samples; the others are outliers without confidence."""
    labels = np.full(n, OUTLIER, np.int64)
    labels[samples] = found.labels
    core, confidence = None, None
    if found.core is not None:
        core = np.zeros(n, np.bool_)
        core[samples] = found.core
    if found.confidence is not None:
        confidence = np.zeros(n, np.float32)
        confidence[samples] = found.confidence
    return PseudoLabels(labels, core, confidence)
