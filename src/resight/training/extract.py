"""Features of crops: the encoder in evaluation mode over the image store, no augmentation."""

from __future__ import annotations

import numpy as np
import torch

from resight import progress
from resight.device import Device
from resight.models import Encoder
from resight.records import Crops, Features, FloatArray, IntArray
from resight.training.feed import Feed

BATCH = 256


def extract(
    encoder: Encoder,
    feed: Feed,
    crops: Crops,
    device: Device,
    *,
    rows: IntArray | None = None,
    trained: bool = False,
    forward: torch.nn.Module | None = None,
) -> Features:
    """Embeddings of the store's `rows` (all of them by default), in that order.

    crops: of the whole store. trained: the feature that is trained, also where the encoder is
    tested with another one. forward: the compiled encoder, when there is one.
    Returns float32 (N, D) per view, rows of length 1.
    """
    wanted = np.arange(len(feed)) if rows is None else rows
    views: dict[str, FloatArray] = {}
    network = forward or encoder
    network.eval()
    with torch.inference_mode(), progress.bar("features", len(wanted)) as shown:
        for start in range(0, len(wanted), BATCH):
            part = torch.from_numpy(wanted[start : start + BATCH])
            images = encoder.normalise(feed.take(part))
            with device.autocast(training=False):
                embeddings = network(images, trained=trained)
            for view, q in embeddings.items():
                if view not in views:
                    views[view] = np.empty((len(wanted), q.shape[1]), np.float32)
                views[view][start : start + len(q)] = q.float().cpu().numpy()
            progress.step(shown, len(part))
    return Features(views, crops if rows is None else crops.select(wanted))
