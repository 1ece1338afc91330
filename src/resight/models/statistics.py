"""BatchNorm whose running statistics stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@contextmanager
def kept_statistics(module: nn.Module) -> Iterator[None]:
    """Within it, passes through `module` leave the running statistics of its BatchNorm alone.

    Layers in training mode normalise by the statistics of the batch as ever; layers in evaluation
    mode by their running ones. Both the running statistics and the count of batches are kept.
    """
    tracking = [m for m in module.modules() if isinstance(m, BATCH_NORMS) and m.track_running_stats]
    for norm in tracking:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in tracking:
            norm.track_running_stats = True
