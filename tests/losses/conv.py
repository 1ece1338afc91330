"""A small encoder with BatchNorm, in float64, as a step's network; and a step that has all."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from resight.records import Batch, Instances, Network, Step

LABELS = torch.tensor([1, 0, 1, -1, 0, 2, 1])


def unit(rng, *shape):
    return F.normalize(torch.from_numpy(rng.normal(size=shape)), dim=-1)


class Encoder(nn.Module):
    """Images (B, 3, 6, 4) to (B, 5) of length 1; BatchNorm uses the batch's own statistics."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 4, 3, padding=1).double()
        self.norm = nn.BatchNorm2d(4, track_running_stats=False).double()
        self.last = nn.Linear(4 * 24, 5).double()

    def forward(self, images):
        maps = torch.tanh(self.norm(self.first(images)))
        return F.normalize(self.last(maps.flatten(1)))


def network(encoder, low=-2.0, high=2.0):
    ends = (torch.full((1, 3, 1, 1), end, dtype=torch.float64) for end in (low, high))
    return Network(lambda images: {"part1": encoder(images)}, *ends)


def step(encoder, *, labels=LABELS, seed=0):
    """A step whose view "part1" has its own labels and everything that terms may ask for."""
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.uniform(-1.5, 1.5, (len(labels), 3, 6, 4)))
    batch = Batch(
        torch.arange(len(labels)),
        images,
        torch.zeros_like(labels),
        view_labels={"part1": labels},
    )
    return Step(
        batch,
        {"part1": encoder(images)},
        {"part1": unit(rng, 4, 5)},
        instances=Instances({"part1": unit(rng, 12, 5)}, {"part1": torch.arange(12) % 4 - 1}),
        network=network(encoder),
        generator=torch.Generator().manual_seed(seed),
    )


def moved_one_by_one(images, loss, steps, rate, low, high):
    """Hard positives, ACFL Eq. 4 and Alg. 3: image by image, every gradient taken anew."""
    images = images.clone()
    for _ in range(steps):
        moving = images.clone().requires_grad_()
        loss(moving).sum().backward()
        for i in range(len(images)):
            slope = moving.grad[i]
            length = float(slope.square().sum().sqrt())
            if length > 0:
                images[i] = (images[i] + rate * slope / length).clamp(low, high)
    return images
