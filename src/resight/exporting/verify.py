"""Whether an exported encoder gives what the encoder gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from resight.device import Device
from resight.errors import ResightError
from resight.exporting.graph import Graph
from resight.inference.described import Prepared
from resight.inference.networks import EncoderNetwork, Network, OnnxNetwork, ScriptNetwork
from resight.inference.pictures import Pixels, to_pixels
from resight.models import Encoder
from resight.records import FloatArray

LARGEST = 1e-3
BATCHES = (1, 2, 7)
OTHER_SIZES = ((3 / 2, 3), (1 / 2, 2 / 3))


def check(network: Network, encoder: Encoder, size: tuple[int, int]) -> float:
    """The largest difference of any component between a network's embeddings and the encoder's.

    Batches of 1, 2 and 7 images of the encoder's size are embedded by both in float32: noise, and
    parts of photographs. Raises ResightError when it is above 1e-3, or not a number.
    """
    own = EncoderNetwork(encoder, Device.choose("cpu", "float32"))
    return _largest(network(pixels) - own(pixels) for pixels in _images(size))


def check_sizes(network: OnnxNetwork | ScriptNetwork, graph: Graph) -> float:
    """The same between an export and the graph that it was made of, at other sizes of images.

    0 where the graph takes one size only.
    """
    if not graph.resizes:
        return 0.0
    prepared = (images for pixels in _images(graph.size) for images in _resized(pixels, graph))
    return _largest(network.run(images) - _run(graph, images) for images in prepared)


def _largest(gaps: Iterator[FloatArray]) -> float:
    found = float(np.max([np.abs(gap).max() for gap in gaps]))
    if not found <= LARGEST:  # NaN too
        raise ResightError(
            f"the export differs from the encoder by {found:.2g}, more than {LARGEST:g}, so that "
            "nothing is kept: export in another format, or with another version of PyTorch"
        )
    return found


def _images(size: tuple[int, int]) -> Iterator[Pixels]:
    """Noise, then parts of photographs, for each size of a batch: (batch, H, W, 3) each."""
    rng = np.random.default_rng(0)
    photographs = [Image.fromarray(image) for image in load_sample_images().images]
    for batch in BATCHES:
        yield rng.integers(0, 256, (batch, *size, 3), dtype=np.uint8)
        corners = rng.integers(0, 200, (batch, 2)).tolist()
        parts = [
            photographs[row % 2].crop((left, top, left + 200, top + 200))
            for row, (left, top) in enumerate(corners)
        ]
        yield to_pixels(parts, size)


def _resized(pixels: Pixels, graph: Graph) -> Iterator[Prepared]:
    """The images as the graph takes them, at other sizes where it is free."""
    height, width = graph.size
    for tall, wide in OTHER_SIZES:
        size = (graph.takes.height or round(height * tall) + 1, round(width * wide) + 1)
        yield graph.takes.prepare(to_pixels(pixels, size))


def _run(graph: Graph, images: Prepared) -> FloatArray:
    with torch.inference_mode():
        embeddings: FloatArray = graph(torch.from_numpy(images)).numpy()
    return embeddings
