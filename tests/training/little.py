"""A learner small enough to follow: the pixels of each crop are its row in the store."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resight.clustering import TrueLabels
from resight.data.augment import Augment
from resight.data.batches import PKBatches
from resight.device import Device
from resight.graph import Jaccard
from resight.recipe import OptimPlan, Recipe
from resight.records import GLOBAL, Crops, Step
from resight.training.learner import Learner

IN_STORE, IDENTITIES, BATCHES = 48, 6, 3
ROWS = np.arange(1, IN_STORE, 2)  # every second crop of the store is trained on


class Feed:
    """Crops of 4 x 2 pixels, each of the value of its row."""

    def __len__(self) -> int:
        return IN_STORE

    def take(self, rows: Tensor) -> Tensor:
        return rows.to(torch.uint8).view(-1, 1, 1, 1).repeat(1, 3, 4, 2)


class Encoder(nn.Module):
    """A linear layer and a BatchNorm neck for each view; the part has a dimension more."""

    def __init__(self, *, parts: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        views = {GLOBAL: 4} | ({"part1": 5} if parts else {})
        self.layers = nn.ModuleDict({view: nn.Linear(24, d) for view, d in views.items()})
        self.necks = nn.ModuleDict({view: nn.BatchNorm1d(d) for view, d in views.items()})

    pixel_range = (torch.zeros(1, 3, 1, 1), torch.full((1, 3, 1, 1), 255.0))

    def normalise(self, pixels: Tensor) -> Tensor:
        return pixels.float()

    def embed(self, images: Tensor) -> dict[str, Tensor]:
        x = (images.flatten(1) / IN_STORE) ** 2
        return {view: F.normalize(self.necks[view](f(x))) for view, f in self.layers.items()}

    def forward(self, images: Tensor, *, trained: bool = False) -> dict[str, Tensor]:
        return self.embed(images)


@dataclass(frozen=True, eq=False)
class Spy:
    """A loss that keeps what it is shown; each sample's is the number of its crop."""

    view: str = GLOBAL
    weight: float = 1.0
    seen: list[tuple[Step, Tensor]] = field(default_factory=list)

    def __call__(self, step: Step, targets: Tensor) -> Tensor:
        self.seen.append((step, targets))
        return step.batch.indices + 0 * step.embeddings[self.view].sum(dim=1)


def recipe_of(*losses: Any, **changed: Any) -> Recipe:
    """Three batches of 2 x 2 crops without augmentation; labels are the identities."""
    plain: dict[str, Any] = {
        "augment": Augment(flip=0, pad=0, erase=0),
        "graph": Jaccard(k1=4, k2=2),
        "clusterer": TrueLabels(),
        "min_cluster_size": 1,
        "losses": losses,
        "batches": PKBatches(2, 2),
        "optim": OptimPlan(epochs=4, iterations=BATCHES),
    }
    return Recipe(**plain | changed)


def crops_of() -> Crops:
    """Identities in turn, two neighbours each; the first three were seen by one camera only."""
    number = np.arange(IN_STORE) // 2
    identities = number % IDENTITIES + 1
    return Crops(
        Path(),
        tuple(f"{i:02d}.png" for i in range(IN_STORE)),
        np.full(IN_STORE, "train"),
        cameras=np.where(identities <= IDENTITIES // 2, 0, number // IDENTITIES % 2),
        identities=identities,
        camera_names=("a", "b"),
        identity_names=tuple("uvwxyz"),
    )


def learner_of(recipe: Recipe, *, teacher: bool = False, parts: bool = False) -> Learner:
    encoder: Any = Encoder(parts=parts)
    feed: Any = Feed()
    told: Any = Encoder(parts=parts) if teacher else None
    return Learner(
        recipe=recipe,
        encoder=encoder,
        forward=encoder,
        optimizer=torch.optim.SGD(encoder.parameters(), lr=0.1),
        feed=feed,
        crops=crops_of(),
        rows=ROWS,
        device=Device.choose("cpu", "float32"),
        seed=0,
        teacher=told,
    )
