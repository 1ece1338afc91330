"""What the parts of a recipe have to offer: a protocol for each slot.

A part may also have `unmet(crops) -> list[str]`: what the crops lack for it, a line each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import torch

from resight.records import (
    Batch,
    Clustered,
    Crops,
    Features,
    FloatArray,
    Graph,
    Instances,
    IntArray,
    PseudoLabels,
    Step,
)


class GraphBuilder(Protocol):
    """Features to a sparse graph of distances; `vectors` are what it compares."""

    @property
    def colour(self) -> float: ...  # noqa: D102

    def __call__(self, features: Features, *, memory: int | None = None) -> Graph: ...  # noqa: D102

    def vectors(self, features: Features) -> FloatArray: ...  # noqa: D102

    def variants(  # noqa: D102
        self, features: Features, vectors: FloatArray, *, memory: int | None = None
    ) -> Callable[[int, int], Graph]: ...


class Clusterer(Protocol):
    """A graph to pseudo-labels."""

    def __call__(  # noqa: D102
        self, graph: Graph, features: Features, rng: np.random.Generator
    ) -> PseudoLabels: ...


class Confidence(Protocol):
    """How sure each pseudo-label is (N,), and how sure those are that make a cluster's vector.

    A threshold of None: all members do.
    """

    def score(self, graph: Graph, features: Features, labels: IntArray) -> FloatArray: ...  # noqa: D102

    def threshold(self, epoch: int, epochs: int) -> float | None: ...  # noqa: D102


class MemoryState(Protocol):
    """A memory during one epoch."""

    def read(self) -> Mapping[str, torch.Tensor]: ...  # noqa: D102

    def instances(self) -> Instances | None: ...  # noqa: D102

    def write(self, embeddings: Mapping[str, torch.Tensor], batch: Batch) -> None: ...  # noqa: D102


class Memory(Protocol):
    """How the memory of an epoch starts."""

    def start(self, clustered: Clustered, *, generator: torch.Generator) -> MemoryState: ...  # noqa: D102


class LossTerm(Protocol):
    """A per-sample loss of one view; `weight` is its share of the sum."""

    @property
    def weight(self) -> float: ...  # noqa: D102

    @property
    def view(self) -> str: ...  # noqa: D102

    def __call__(self, step: Step, targets: torch.Tensor) -> torch.Tensor: ...  # noqa: D102


class Targets(Protocol):
    """What a view's queries should be classified as: (B,) labels or (B, C) shares."""

    def choose(self, step: Step, view: str) -> torch.Tensor: ...  # noqa: D102


class Weights(Protocol):
    """How much each sample of a step counts: (B,), 1 on average."""

    def weigh(self, step: Step) -> torch.Tensor: ...  # noqa: D102


def unmet(part: object, crops: Crops) -> list[str]:
    """What the crops lack for a part."""
    lines: list[str] = part.unmet(crops) if hasattr(part, "unmet") else []
    return lines
