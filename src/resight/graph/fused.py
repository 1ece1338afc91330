"""The graph of several views: the weighted mean of a graph each (LP)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from resight.errors import ConfigError
from resight.graph.builder import Jaccard
from resight.graph.costs import Memory, graph_bytes
from resight.graph.jaccard import JaccardGraph, fuse
from resight.records import GLOBAL, Features, FloatArray


@dataclass(frozen=True)
class Fused:
    """D = (1 - n w) D_global + w (D_1 + … + D_n) over the global view and n parts (LP, Eq. 4).

    Each view has a graph of its own, with the settings of `graph`; a pair that shares no support in
    a view counts 1 there. Nearest neighbours, and `vectors`, are those of the global view. Without
    parts it is the graph of the global view.

    part_weight: w (lambda1 of the paper), at most 1 / n. graph: how the graph of each view is made.
    """

    part_weight: float = 0.15
    graph: Jaccard = Jaccard()

    def __post_init__(self) -> None:
        if not 0 <= self.part_weight <= 1:
            raise ValueError(f"part_weight={self.part_weight} should be between 0 and 1")

    @property
    def colour(self) -> float:
        """The weight of colour histograms in each view."""
        return self.graph.colour

    def __call__(self, features: Features, *, memory: int | None = None) -> JaccardGraph:
        """Build the graph; memory: bytes that may be used besides the features.

        Raises ConfigError when the weights of the parts sum to more than 1.
        """
        weights = self._weights(features)
        stage = f"the graph of {len(features)} samples in {len(weights)} views"
        needed = len(weights) * graph_bytes(len(features), self.graph.k1)
        Memory(memory).check(stage, needed, advice="give more, or a smaller k1")
        each = _share(memory, weights)
        graphs = [self.graph(features.only(view), memory=each) for view in weights]
        return _mean(graphs, weights, memory)

    def vectors(self, features: Features) -> FloatArray:
        """(N, D') float32, rows of length 1: what the graph of the global view compares."""
        return self.graph.vectors(features)

    def variants(
        self, features: Features, vectors: FloatArray, *, memory: int | None = None
    ) -> Callable[[int, int], JaccardGraph]:
        """The graph as a function of (k1, k2); the neighbours in each view are found once.

        vectors: those of these features. Raises ConfigError as building the graph does.
        """
        weights = self._weights(features)
        each = _share(memory, weights)

        def builder(view: str) -> Callable[[int, int], JaccardGraph]:
            alone = features.only(view)
            compared = vectors if view == GLOBAL else self.graph.vectors(alone)
            return self.graph.variants(alone, compared, memory=each)

        builders = [builder(view) for view in weights]
        return lambda k1, k2: _mean([build(k1, k2) for build in builders], weights, memory)

    def _weights(self, features: Features) -> dict[str, float]:
        """Of the global view, whose neighbours are always needed, and of all others that count."""
        weights = view_weights(features.views, self.part_weight, setting="graph.part_weight")
        return {view: w for view, w in weights.items() if view == GLOBAL or w > 0}


def view_weights(views: Iterable[str], part_weight: float, *, setting: str) -> dict[str, float]:
    """How much each view counts, the global one first: 1 - n w, and w for each of n parts.

    setting: what the user knows `part_weight` by. Raises ConfigError unless 0 <= w <= 1 / n.
    """
    parts = [view for view in views if view != GLOBAL]
    most = 1 / max(1, len(parts))
    if not 0 <= part_weight <= most:
        raise ConfigError(
            f"{setting}={part_weight:g} should be between 0 and {most:.3g}: "
            f"the model has {len(parts)} parts, whose weights sum to at most 1"
        )
    whole = max(0.0, 1 - len(parts) * part_weight)
    return {GLOBAL: whole, **dict.fromkeys(parts, part_weight)}


def _share(memory: int | None, weights: Mapping[str, float]) -> int | None:
    """What the graph of one view may take."""
    return None if memory is None else memory // len(weights)


def _mean(
    graphs: Sequence[JaccardGraph], weights: Mapping[str, float], memory: int | None
) -> JaccardGraph:
    if len(graphs) == 1:
        return graphs[0]
    return replace(fuse(graphs, list(weights.values())), memory=memory)
