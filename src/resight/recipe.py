"""The recipe: a frozen value made of small parts, which the one training loop runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import yaml

from resight.clustering import DBSCAN, AutoDBSCAN
from resight.data.augment import Augment
from resight.data.batches import PKBatches
from resight.errors import ConfigError
from resight.files import write_atomically
from resight.graph import Jaccard
from resight.losses import ClusterNCE, EqualWeights, HardTargets
from resight.memory import ClusterMemory
from resight.models import EncoderSpec
from resight.parts import PART, from_plain, near, to_plain
from resight.records import Batch, Crops, Features, FloatArray, Graph, PseudoLabels, Step
from resight.schedules import Schedule, Steps

FORMAT = 1


class GraphBuilder(Protocol):
    """Features to a sparse graph of distances; `vectors` are what it compares."""

    @property
    def colour(self) -> float: ...  # noqa: D102

    def __call__(self, features: Features) -> Graph: ...  # noqa: D102

    def vectors(self, features: Features) -> FloatArray: ...  # noqa: D102

    def variants(self, vectors: FloatArray) -> Callable[[int, int], Graph]: ...  # noqa: D102


class Clusterer(Protocol):
    """A graph to pseudo-labels."""

    def __call__(  # noqa: D102
        self, graph: Graph, features: Features, rng: np.random.Generator
    ) -> PseudoLabels: ...


class MemoryState(Protocol):
    """A memory during one epoch."""

    def read(self) -> Mapping[str, torch.Tensor]: ...  # noqa: D102

    def write(self, embeddings: Mapping[str, torch.Tensor], batch: Batch) -> None: ...  # noqa: D102


class Memory(Protocol):
    """How a memory starts from features {view: (N, D)} and labels (N,)."""

    def start(  # noqa: D102
        self,
        features: Mapping[str, torch.Tensor],
        labels: torch.Tensor,
        *,
        generator: torch.Generator,
    ) -> MemoryState: ...


class LossTerm(Protocol):
    """A per-sample loss; `weight` is its share of the sum."""

    @property
    def weight(self) -> float: ...  # noqa: D102

    def __call__(self, step: Step, targets: torch.Tensor) -> torch.Tensor: ...  # noqa: D102


class PerSample(Protocol):
    """Targets (B,) or (B, C), or weights (B,), of a step."""

    def __call__(self, step: Step) -> torch.Tensor: ...  # noqa: D102


@dataclass(frozen=True)
class OptimPlan:
    """Adam with a schedule.

    lr: learning rate at schedule value 1. iterations: batches in an epoch, or 0 for `passes`
    times the crops that were clustered.
    """

    epochs: int = 50
    iterations: int = 200
    passes: float = 1.0
    lr: float = 3.5e-4
    weight_decay: float = 5e-4
    schedule: Schedule = Steps()

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.iterations < 0:
            raise ValueError(
                f"epochs={self.epochs} should be >= 1 and iterations={self.iterations} >= 0"
            )
        if self.lr <= 0 or self.passes <= 0:
            raise ValueError(f"lr={self.lr} and passes={self.passes} should be above 0")

    def batches_for(self, n_clustered: int, batch_size: int) -> int:
        """How many batches an epoch has."""
        return self.iterations or max(1, round(self.passes * n_clustered / batch_size))


@dataclass(frozen=True)
class Recipe:
    """All that training depends on besides the crops and the seed.

    size: (height, width) of the images. min_cluster_size: smaller clusters become outliers.
    sample_fraction: share of the crops, drawn anew each epoch, that is clustered and trained on.
    """

    name: str = "custom"
    size: tuple[int, int] = (256, 128)
    encoder: EncoderSpec = EncoderSpec()
    augment: Augment = Augment()
    sample_fraction: float = 1.0
    graph: GraphBuilder = Jaccard()
    clusterer: Clusterer | AutoDBSCAN = DBSCAN(0.6)
    min_cluster_size: int = 2
    memory: Memory = ClusterMemory()
    losses: tuple[LossTerm, ...] = (ClusterNCE(),)
    targets: PerSample = HardTargets()
    weights: PerSample = EqualWeights()
    batches: PKBatches = PKBatches()
    optim: OptimPlan = OptimPlan()

    def __post_init__(self) -> None:
        if min(self.size) < 32:
            raise ValueError(f"size={self.size} should be at least 32 x 32 pixels")
        if not 0 < self.sample_fraction <= 1:
            raise ValueError(f"sample_fraction={self.sample_fraction} should be in (0, 1]")
        if not self.losses:
            raise ValueError("losses is empty, expected at least one term")

    def check(self, crops: Crops) -> None:
        """Raise ConfigError naming together all that the parts need and the crops lack."""
        parts = [getattr(self, f.name) for f in dataclasses.fields(self)] + list(self.losses)
        lacking = [line for p in parts if hasattr(p, "unmet") for line in p.unmet(crops)]
        if lacking:
            raise ConfigError(
                f"recipe {self.name!r} does not fit these crops: {'; '.join(lacking)}"
            )

    def to_yaml(self) -> str:
        """The recipe as YAML, which `from_yaml` reads back to an equal value."""
        plain = {"format": FORMAT, **to_plain(self, annotated=Recipe)}
        text: str = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=100)
        return text

    def save(self, path: Path) -> None:
        """Write the YAML to `path`."""
        write_atomically(path, lambda draft: draft.write_text(self.to_yaml()))

    @classmethod
    def from_yaml(cls, text: str, *, source: str = "recipe") -> Recipe:
        """Read `to_yaml`'s text; `source` is named in errors.

        Raises ConfigError listing everything that is wrong, with near matches for misspelt keys.
        """
        try:
            plain = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{source} is not valid YAML: {error}") from error
        if not isinstance(plain, dict):
            raise ConfigError(f"{source} should hold settings like `name: value`, got {plain!r}")
        written = plain.pop("format", FORMAT)
        if not isinstance(written, int) or written > FORMAT:
            raise ConfigError(
                f"{source} has format {written!r}, this resight reads up to {FORMAT}: "
                "update resight, or write the recipe anew with `resight methods show`"
            )
        return _recipe(plain, source)

    def override(self, settings: Mapping[str, Any]) -> Recipe:
        """A recipe with some settings replaced, e.g. {"memory.momentum": 0.2, "size": [128, 64]}.

        Naming another `part` starts that slot from the part's defaults. Raises ConfigError
        listing every unknown key with its near matches.
        """
        plain = to_plain(self, annotated=Recipe)
        problems: list[str] = []
        ordered = sorted(settings.items(), key=lambda item: not item[0].endswith(f".{PART}"))
        for key, value in ordered:
            _set(plain, key, value, problems)
        if problems:
            raise ConfigError("; ".join(problems))
        return _recipe(plain, "settings")


def parse_settings(lines: list[str]) -> dict[str, Any]:
    """`["memory.momentum=0.2"]` as {"memory.momentum": 0.2}; values are read as YAML."""
    settings = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {line!r} should read like memory.momentum=0.2")
        try:
            settings[key.strip()] = _number(yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {line!r}: the value is not valid YAML") from error
    return settings


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as a word; people mean the number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _recipe(plain: Mapping[str, Any], source: str) -> Recipe:
    problems: list[str] = []
    built = from_plain(Recipe, plain, where="", problems=problems)
    if problems:
        raise ConfigError(f"{source}: " + "; ".join(problems))
    recipe: Recipe = built
    return recipe


def _set(plain: Any, key: str, value: Any, problems: list[str]) -> None:
    """Replace one value of nested plain data; `key` is its path, with dots."""
    *path, last = key.split(".")
    node = plain
    for depth, name in enumerate([*path, last]):
        known = _keys(node)
        if name not in known:
            problems.append(
                f"{'.'.join([*path, last][: depth + 1])}: no such setting; "
                f"{near(name, known) if known else 'it has no parts'}"
            )
            return
        parent, step = node, known[name]
        node = parent[step]
    if last == PART and node != value:
        parent.clear()
    parent[step] = value


def _keys(node: Any) -> dict[str, Any]:
    """What can follow in a path: names of a mapping, numbers of a list."""
    if isinstance(node, dict):
        return {str(name): name for name in node}
    return {str(i): i for i in range(len(node))} if isinstance(node, list) else {}
