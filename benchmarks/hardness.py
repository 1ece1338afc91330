"""How hard the samples are that ACFL makes, for the encoder of a run.

    python benchmarks/hardness.py RUN [RUN ...] [--rates 0.1 0.3 1.0]

For each run (of `methods.py demo`): batches of 16 x 4 training crops, not augmented, BatchNorm with
their own statistics as in training, against the mean vector of each pseudo-label of the last epoch.
For each rate of hard positive images, and for hard persons:

own first  share of the samples whose own cluster's vector is the most similar one
p(own)     mean of softmax(cosine / 0.05) at the own cluster
cosine     mean cosine of a query and its positive (hard positive images alone)
KL         mean relative entropy between them (Eq. 7; hard positive images alone)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _machine import machine

import resight
from resight.api.evaluation_files import last_labels
from resight.data import ImageStore
from resight.losses import HardPersonNCE, hard_persons, instance_kl
from resight.losses.hard_positives import hard_positives
from resight.losses.positives import positives_in_batch
from resight.models import load
from resight.models.statistics import kept_statistics
from resight.records import GLOBAL
from resight.training.run_folder import RunFolder

TAU, BATCHES, IDENTITIES, INSTANCES, STEPS = 0.05, 4, 16, 4, 3


def crops_of(run: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 3, H, W) uint8 and labels (N,) of the crops with a pseudo-label."""
    folder = RunFolder.open(run)
    crops = resight.read_crops(folder.settings().data)
    labels = last_labels(folder, crops)
    assert labels is not None
    there = np.flatnonzero(labels >= 0)
    store = ImageStore.open(crops, size=folder.recipe().size)
    images = torch.from_numpy(np.stack([store.images[row] for row in there])).permute(0, 3, 1, 2)
    return images, torch.from_numpy(labels[there])


def told(scores: torch.Tensor, labels: torch.Tensor) -> str:
    shares = torch.softmax(scores / TAU, dim=1)
    own = shares.gather(1, labels[:, None]).mean()
    first = (scores.argmax(dim=1) == labels).float().mean()
    return f"own first {first:.2f}, p(own) {own:.2f}"


def drawn(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(BATCHES, 64) rows: INSTANCES crops of each cluster, repeated where it has fewer."""
    rows = []
    for cluster in torch.randperm(int(labels.max()) + 1, generator=generator):
        members = torch.nonzero(labels == cluster).flatten()
        order = torch.randperm(len(members), generator=generator).repeat(INSTANCES)[:INSTANCES]
        rows.append(members[order])
    return torch.cat(rows[: BATCHES * IDENTITIES]).view(BATCHES, -1)


def measure(run: Path, rates: list[float]) -> None:
    encoder, _ = load(run)
    images, labels = crops_of(run)
    labels = torch.unique(labels, return_inverse=True)[1]
    memory = vectors_of(encoder, images, labels)
    encoder.train().requires_grad_(False)

    def embed(batch: torch.Tensor) -> torch.Tensor:
        with kept_statistics(encoder):
            embedded: torch.Tensor = encoder(batch)[GLOBAL]
        return embedded

    rows = drawn(labels, torch.Generator().manual_seed(0))
    own = labels[rows.flatten()]
    batches = [(encoder.normalise(images[part]), labels[part]) for part in rows]
    with torch.no_grad():
        q = [embed(batch) for batch, _ in batches]
    plain = torch.cat(q)
    print(f"{run}: {len(memory)} clusters; plain {told(plain @ memory.T, own)}")
    part = HardPersonNCE(temperature=TAU)
    persons = hard_persons(
        plain,
        memory,
        own,
        temperature=TAU,
        steps=part.steps,
        positive_rate=part.positive_rate,
        negative_rate=part.negative_rate,
    )
    print(f"  hard persons, published rates: {told(persons, own)}")
    for rate in [0.0, *rates]:
        made = torch.cat(positives(embed, batches, q, memory, encoder.pixel_range, rate))
        cosine = (made * plain).sum(dim=1).mean()
        kl = instance_kl(plain, made, memory, temperature=TAU).mean()
        shown = f"{told(made @ memory.T, own)}, cosine {cosine:.2f}, KL {kl:.2f}"
        print(f"  positive images, Z {STEPS}, rate {rate:g}: {shown}", flush=True)


def vectors_of(encoder: Any, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(C, D) the mean of each cluster, of length 1."""
    encoder.eval()
    with torch.no_grad():
        each = [encoder(encoder.normalise(part))[GLOBAL] for part in images.split(256)]
    vectors = torch.cat(each)
    sums = torch.zeros(int(labels.max()) + 1, vectors.shape[1]).index_add_(0, labels, vectors)
    return torch.nn.functional.normalize(sums)


def positives(
    embed: Any, batches: Any, q: Any, memory: torch.Tensor, limits: Any, rate: float
) -> list[torch.Tensor]:
    """What the positives of each batch become."""
    made = []
    low, high = limits
    generator = torch.Generator().manual_seed(1)
    for (images, labels), mine in zip(batches, q, strict=True):
        partner = positives_in_batch(labels, generator=generator)

        def loss(moving: torch.Tensor, mine: torch.Tensor = mine) -> torch.Tensor:
            return instance_kl(mine, embed(moving), memory, temperature=TAU)

        hard = hard_positives(images[partner], loss, steps=STEPS, rate=rate, low=low, high=high)
        with torch.no_grad():
            made.append(embed(hard))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.3, 1.0])
    options = parser.parse_args()
    print(machine())
    for run in options.runs:
        measure(run, options.rates)


if __name__ == "__main__":
    main()
