"""What training works with."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from resight.clustering.constraints import Links
from resight.device import Device
from resight.models import Encoder
from resight.recipe import Recipe
from resight.records import Crops, FloatArray, IntArray
from resight.training.feed import Feed


@dataclass(frozen=True, eq=False)
class Learner:
    """What training carries from epoch to epoch, and what it works with.

    forward: the encoder as it is called, compiled or not. teacher: of a recipe that has one. feed
    and crops: the whole image store; rows: (N,) which of its crops are trained on. memory: bytes
    that clustering may use besides the features, None for no limit. colour: colour histograms
    (N, E) of the rows, where the recipe's graph uses them. links: pairs of rows that people decided
    about, None where nobody was asked.
    """

    recipe: Recipe
    encoder: Encoder
    forward: torch.nn.Module
    optimizer: torch.optim.Optimizer
    feed: Feed
    crops: Crops
    rows: IntArray
    device: Device
    seed: int
    teacher: Encoder | None = None
    memory: int | None = None
    colour: FloatArray | None = None
    links: Links | None = None
