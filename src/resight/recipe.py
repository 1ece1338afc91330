"""The recipe: a frozen value made of small parts, which the one training loop runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from resight.clustering import DBSCAN, AllAlike, AutoDBSCAN, Switch
from resight.data.augment import Augment
from resight.data.batches import PKBatches
from resight.errors import ConfigError
from resight.files import write_atomically
from resight.graph import Fused, Jaccard
from resight.losses import ClusterNCE, Distillation, EqualWeights, HardTargets, InstanceLoss
from resight.memory import ClusterMemory
from resight.models import EncoderSpec
from resight.parts import PART, from_plain, near, to_plain
from resight.records import Crops
from resight.schedules import Schedule, Steps
from resight.slots import (
    Clusterer,
    Confidence,
    GraphBuilder,
    LossTerm,
    Memory,
    Targets,
    Weights,
    unmet,
)

FORMAT = 1


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
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay={self.weight_decay} should be >= 0")

    def batches_for(self, n_clustered: int, batch_size: int) -> int:
        """How many batches an epoch has."""
        return self.iterations or max(1, round(self.passes * n_clustered / batch_size))


@dataclass(frozen=True)
class Teacher:
    """An encoder that guides the one that is trained (LP, Section III-C, Algorithm 2).

    run: the folder of a finished run whose encoder it is. Without one it is trained first, by the
    recipe itself less its teacher, for `epochs` epochs: None for as many as the recipe has; with 0
    it starts as the student does (Table IX). warm_up: an epoch of so many times the usual batches
    comes before the others, in which labels and memory are the teacher's and the memory stands
    still; 0 for none. labels: whether the teacher's features give the labels in the warm-up alone,
    or always (Table X). bn: whether its BatchNorm uses each "batch"'s statistics (released code) or
    the "running" ones. momentum: gamma, 0 … 1, the weight of its own parameters when it follows the
    student after each batch; 1 stands still (Eq. 12). distil_in_warm_up: whether Distillation
    counts in the warm-up too (released code; Eq. 8 has none).
    """

    run: str | None = None
    epochs: int | None = None
    warm_up: float = 2.0
    labels: Literal["warm-up", "always"] = "warm-up"
    bn: Literal["batch", "running"] = "batch"
    momentum: float = 1.0
    distil_in_warm_up: bool = False

    def __post_init__(self) -> None:
        if self.run is not None and self.epochs is not None:
            raise ValueError(
                f"run={self.run!r} is trained already: leave out epochs={self.epochs}, or the run"
            )
        if self.warm_up < 0 or (self.epochs or 0) < 0:
            raise ValueError(f"warm_up={self.warm_up} and epochs={self.epochs} should be >= 0")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum={self.momentum} should be between 0 and 1")

    @property
    def is_trained_first(self) -> bool:
        """Whether a first stage has to train it."""
        return self.run is None and self.epochs != 0


@dataclass(frozen=True)
class Recipe:
    """All that training depends on besides the crops and the seed.

    size: (height, width) of the images. min_cluster_size: smaller clusters become outliers.
    max_cluster_size: of larger ones so many random members stay (Cluster Contrast, Table 4).
    sample_fraction: share of the crops, drawn anew each epoch, that is clustered and trained on.
    individual_labels: cluster each view of the encoder by itself, instead of all of them together.
    """

    name: str = "custom"
    size: tuple[int, int] = (256, 128)
    encoder: EncoderSpec = EncoderSpec()
    augment: Augment = Augment()
    sample_fraction: float = 1.0
    graph: GraphBuilder = Jaccard()
    clusterer: Clusterer | AutoDBSCAN | Switch = DBSCAN(0.6)
    min_cluster_size: int = 2
    max_cluster_size: int | None = None
    individual_labels: bool = False
    confidence: Confidence = AllAlike()
    memory: Memory = ClusterMemory()
    losses: tuple[LossTerm, ...] = (ClusterNCE(),)
    targets: Targets = HardTargets()
    weights: Weights = EqualWeights()
    batches: PKBatches = PKBatches()
    optim: OptimPlan = OptimPlan()
    teacher: Teacher | None = None

    def __post_init__(self) -> None:
        if min(self.size) < 32:
            raise ValueError(f"size={self.size} should be at least 32 x 32 pixels")
        if not 0 < self.sample_fraction <= 1:
            raise ValueError(f"sample_fraction={self.sample_fraction} should be in (0, 1]")
        if self.batches.identities * self.batches.instances < 2:
            raise ValueError(f"batches={self.batches} should hold at least 2 crops")
        if self.min_cluster_size < 1:
            raise ValueError(f"min_cluster_size={self.min_cluster_size} should be >= 1")
        if self.max_cluster_size is not None and self.max_cluster_size < self.min_cluster_size:
            raise ValueError(
                f"max_cluster_size={self.max_cluster_size} should be >= "
                f"min_cluster_size={self.min_cluster_size}"
            )
        if not self.losses:
            raise ValueError("losses is empty, expected at least one term")

    def check(self, crops: Crops) -> None:
        """Raise ConfigError naming together what the parts need of each other and of the crops."""
        parts = [getattr(self, f.name) for f in dataclasses.fields(self)] + list(self.losses)
        drawn = crops.select(np.arange(round(self.sample_fraction * len(crops))))
        lacking = [*misfits(self), *(line for part in parts for line in unmet(part, drawn))]
        if lacking:
            raise ConfigError(f"recipe {self.name!r} does not fit together: {'; '.join(lacking)}")

    @property
    def views(self) -> tuple[str, ...]:
        """What its encoder gives."""
        return self.encoder.views

    @property
    def has_warm_up(self) -> bool:
        """Whether an epoch under the teacher comes before the others."""
        return self.teacher is not None and self.teacher.warm_up > 0

    @property
    def total_epochs(self) -> int:
        """How many epochs a run has, the warm-up included."""
        return self.optim.epochs + self.has_warm_up

    def of_teacher(self) -> Recipe:
        """The recipe that trains the teacher: this one, without a teacher."""
        told = None if self.teacher is None else self.teacher.epochs
        return replace(
            self,
            name=f"{self.name}-teacher",
            teacher=None,
            losses=tuple(term for term in self.losses if not isinstance(term, Distillation)),
            optim=replace(self.optim, epochs=told or self.optim.epochs),
        )

    def clusterer_at(self, epoch: int) -> Clusterer | AutoDBSCAN:
        """The clusterer of this epoch, counted from 0: what a `Switch` stands for then."""
        clusterer = self.clusterer
        return clusterer.at(epoch) if isinstance(clusterer, Switch) else clusterer

    def to_yaml(self) -> str:
        """The recipe as YAML, which `from_yaml` reads back to an equal value."""
        plain = {"format": FORMAT, **to_plain(self, annotated=Recipe)}
        text: str = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=100)
        return text

    def save(self, path: Path) -> None:
        """Write the YAML to `path`."""
        write_atomically(path, lambda draft: draft.write_text(self.to_yaml()))

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """The recipe in a YAML file. Raises ConfigError when it cannot be read or is wrong."""
        try:
            return cls.from_yaml(Path(path).read_text(encoding="utf-8"), source=str(path))
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} is not a text file in UTF-8") from error

    @classmethod
    def from_yaml(cls, text: str, *, source: str = "recipe") -> Recipe:
        """Read `to_yaml`'s text; `source` is named in errors.

        Raises ConfigError listing everything that is wrong, with near matches for misspelt keys.
        """
        try:
            plain = yaml.safe_load(text)
        except yaml.YAMLError as error:
            told = " ".join(str(error).split())
            raise ConfigError(f"{source} is not valid YAML: {told}") from error
        if not isinstance(plain, dict):
            raise ConfigError(f"{source} should hold settings like `name: value`, got {plain!r}")
        written = plain.pop("format", FORMAT)
        if written not in range(1, FORMAT + 1):
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
        ordered = sorted(
            settings.items(),
            key=lambda item: (not item[0].endswith(f".{PART}"), item[0].count(".")),
        )
        for key, value in ordered:
            _set(plain, key, value, problems)
        return _recipe(plain, "settings", problems)


def misfits(recipe: Recipe) -> list[str]:
    """What the parts of a recipe need of each other and do not find, a line each."""
    lines = []
    views = recipe.views
    parts_hint = "set encoder.parts to 2 or more"
    for i, term in enumerate(recipe.losses):
        name = f"losses.{i} ({type(term).__name__})"
        if term.view not in views:
            found = ", ".join(views)
            lines.append(f"{name} looks at view {term.view!r} and the encoder gives {found}")
        if isinstance(term, Distillation) and recipe.teacher is None:
            lines.append(f"{name} needs a teacher: set teacher, as in the recipe of lp")
        if term.weight < 0:
            lines.append(f"{name} has weight={term.weight:g}, which should be >= 0")
        lines += [f"{name} {lack}" for lack in _instance_misfits(recipe, term)]
    untrained = [view for view in views if all(term.view != view for term in recipe.losses)]
    if untrained:
        lines.append(
            f"{', '.join(untrained)} of the encoder's views {_are(untrained)} trained by no loss: "
            "add a term for each, or set encoder.parts to what the losses look at"
        )
    if isinstance(recipe.graph, Fused):
        n = len(views) - 1
        if n == 0:
            lines.append(f"graph=Fused needs the views of parts: {parts_hint}")
        elif n * recipe.graph.part_weight > 1:
            lines.append(
                f"graph.part_weight={recipe.graph.part_weight} for each of {n} parts leaves less "
                f"than nothing for the global view: set at most {1 / n:.3g}"
            )
    if recipe.individual_labels and len(views) == 1:
        lines.append(f"individual_labels needs the views of parts: {parts_hint}")
    return lines + _teacher_misfits(recipe)


def _instance_misfits(recipe: Recipe, term: LossTerm) -> list[str]:
    if not isinstance(term, InstanceLoss):
        return []
    if term.needs_instances and isinstance(recipe.memory, ClusterMemory):
        return ["picks from an instance memory: set memory.part=InstanceMemory"]
    if not term.needs_instances and recipe.batches.instances == 1:
        return ["takes positives from the batch: set batches.instances to 2 or more"]
    return []


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _teacher_misfits(recipe: Recipe) -> list[str]:
    teacher = recipe.teacher
    if teacher is None:
        return []
    distils = [isinstance(term, Distillation) for term in recipe.losses]
    if all(distils):
        return ["losses holds Distillation alone: add a term that learns from pseudo-labels"]
    if any(distils) and teacher.epochs == 0 and teacher.momentum == 1:
        return [
            "the teacher starts as the student does and stands still: set teacher.momentum below "
            "1, or leave out teacher.epochs"
        ]
    if not any(distils) and not recipe.has_warm_up and teacher.labels == "warm-up":
        return [
            "the teacher has nothing to do: add a Distillation term, a teacher.warm_up above 0, "
            "or teacher.labels=always"
        ]
    return []


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


def _recipe(plain: Mapping[str, Any], source: str, problems: Sequence[str] = ()) -> Recipe:
    """The recipe of `plain`; what was wrong already is told together with what is found here."""
    found = [*problems]
    built = from_plain(Recipe, plain, where="", problems=found)
    if found:
        raise ConfigError(f"{source}: " + "; ".join(found))
    recipe: Recipe = built
    return recipe


def _set(plain: Any, key: str, value: Any, problems: list[str]) -> None:
    """Put `value` in its place; whether a part has the setting is for `from_plain` to say."""
    *path, last = key.split(".")
    node, walked = plain, ""
    for name in path:
        if isinstance(node, dict) and (PART in node or name in node) and node.get(name) is None:
            node[name] = {}
        node, walked = _inside(node, name, walked, problems), f"{walked}{name}."
        if node is None:
            return
    if not isinstance(node, dict):
        if _inside(node, last, walked, problems) is not None:
            node[int(last)] = value
        return
    if last == PART and node.get(PART) != value:
        node.clear()
    node[last] = value


def _inside(node: Any, name: str, walked: str, problems: list[str]) -> Any:
    """What `node` holds under `name`; None, and a problem, when there is no such thing."""
    if isinstance(node, list):
        node = {str(i): item for i, item in enumerate(node)}
    if not isinstance(node, dict) or name not in node:
        hint = near(name, node) if isinstance(node, dict) else f"{walked[:-1]} is a plain value"
        problems.append(f"{walked}{name}: no such setting; {hint}")
        return None
    return node[name]
