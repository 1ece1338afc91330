"""Randomness handed down: every epoch has its own streams, derived from the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class Streams:
    """The random generators of one epoch; a resumed run makes the same ones again.

    sample: which crops take part. cluster: the clusterer. batches: the P x K plan (NumPy).
    augment, memory, losses: torch generators on the CPU.
    """

    sample: np.random.Generator
    cluster: np.random.Generator
    batches: np.random.Generator
    augment: torch.Generator
    memory: torch.Generator
    losses: torch.Generator


def streams(seed: int, epoch: int) -> Streams:
    """The generators of `epoch` in a run with `seed`."""
    seeds = np.random.SeedSequence([seed, epoch]).spawn(6)
    sample, cluster, batches = (np.random.default_rng(s) for s in seeds[:3])
    augment, memory, losses = (
        torch.Generator().manual_seed(int(s.generate_state(1)[0])) for s in seeds[3:]
    )
    return Streams(sample, cluster, batches, augment, memory, losses)
