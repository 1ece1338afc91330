"""What a stage will cost, told before it starts; limits that the user gives are kept."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from resight.errors import CostError

log = logging.getLogger(__name__)

WORTH_TELLING = 3.0
SHARE_OF_V = 4
BYTES_OF_ENTRY = 8
COPIES_OF_V = 4
ROW_SECONDS = 3e-5
VISIT_SECONDS = 8e-9
TRIAL = 1024
GIB = 2**30


@dataclass(frozen=True)
class Memory:
    """What a stage may use besides its input, in bytes; None for no limit."""

    limit: int | None = None

    def check(self, stage: str, needed: int, *, advice: str) -> None:
        """Raise CostError when `needed` bytes are more than the limit."""
        if self.limit is not None and needed > self.limit:
            raise CostError(
                f"{stage} needs {needed / GIB:.2g} GiB, the memory limit is "
                f"{self.limit / GIB:.2g} GiB: {advice}"
            )

    def block(self, spare: int, per_square: int, *, largest: int, smallest: int = 128) -> int:
        """Side of the largest square block whose `per_square` bytes an entry fit beside `spare`."""
        if self.limit is None:
            return largest
        room = max(0, self.limit - spare)
        return int(min(largest, max(smallest, (room / per_square) ** 0.5)))


def announce(stage: str, seconds: float, needed: int) -> None:
    """Log what is to come, when it takes more than a few seconds."""
    if seconds > WORTH_TELLING:
        log.info("%s: about %s and %.2g GiB", stage, _told(seconds), needed / GIB)


def graph_bytes(n: int, k1: int) -> int:
    """About what V and its transpose take while they are made.

    Rows of V have about 4 k1 entries; while it is sorted there are up to four copies.
    """
    return n * SHARE_OF_V * k1 * BYTES_OF_ENTRY * COPIES_OF_V


def announce_graph(n: int, k1: int, memory: Memory) -> None:
    """Tell what V and its transpose will take, and that they do not fit where they do not."""
    needed = graph_bytes(n, k1)
    memory.check(f"the graph of {n} samples", needed, advice="give more, or a smaller k1")
    threads = max(1, torch.get_num_threads())
    announce(f"graph of {n} samples", n * ROW_SECONDS * (k1 / 30) ** 2 / threads, needed)


def pair_seconds(columns: npt.NDArray[np.int64]) -> float:
    """At most what a walk over all pairs that share support takes; columns: entries of each."""
    visited = float(np.square(columns, dtype=np.float64).sum())
    return visited * VISIT_SECONDS / max(1, torch.get_num_threads())


def product_speed(table: torch.Tensor) -> float:
    """Multiplications and additions a second of a small product of this table's rows."""
    some = table[:TRIAL]
    started = time.perf_counter()
    some @ some.T
    return some.shape[0] ** 2 * some.shape[1] / max(1e-9, time.perf_counter() - started)


def _told(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
