"""How fast crops are indexed, beside decoding and embedding them and nothing else.

    python benchmarks/gallery_index.py [--crops 1536] [--rounds 3] [--height 128] [--device auto]

Bare extraction is what training and evaluation do: `ImageStore.open`, all cores, then `extract`.
Of it, `extract` alone, from pixels decoded before, is shown too. Indexing is a whole call: it
decodes, embeds, makes thumbnails, writes embeddings and rows durably, and builds what the store
searches with. All run in turn in every round, and ratios (bare / index, higher is better) are
taken within a round: of the wall clock, which neighbours on the machine disturb, and of the
processors' time, which they disturb less. Crops are noise of the demo's proportions, JPEG; the
encoder is the default one with random weights, which costs what trained ones do.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _machine import machine
from PIL import Image

from resight.data import ImageStore, read_crops
from resight.device import Device
from resight.gallery import Gallery
from resight.gallery.indexing import index
from resight.models import Encoder, EncoderSpec, build_encoder, load, save
from resight.records import Crops
from resight.training.extract import extract
from resight.training.feed import Feed

SIZE = (256, 128)


def draw(folder: Path, count: int, height: int) -> None:
    """Smooth random colours with a little noise, half as wide as high, as JPEG."""
    rng = np.random.default_rng(0)
    shape = (height // 2, height)
    noise = rng.integers(-8, 8, (height, height // 2, 3))
    for number in range(count):
        coarse = rng.integers(0, 256, (height // 8, height // 16, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize(shape, Image.Resampling.BICUBIC))
        pixels = np.clip(smooth + np.roll(noise, number, axis=0), 0, 255).astype(np.uint8)
        file = folder / f"cam{number % 4}" / f"{number:06d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file, quality=90)


class Effort(NamedTuple):
    """Seconds of the clock, and those that this process and its children spent on processors."""

    clock: float
    processors: float

    def __add__(self, other: Effort) -> Effort:  # type: ignore[override]
        return Effort(self.clock + other.clock, self.processors + other.processors)


def effort(work: Callable[[], object]) -> Effort:
    start, before = time.perf_counter(), processors()
    work()
    return Effort(time.perf_counter() - start, processors() - before)


def processors() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in spent)


class Round(NamedTuple):
    """What decoding, embedding, and indexing the same crops took."""

    decode: Effort
    extract: Effort
    index: Effort

    @property
    def ratios(self) -> tuple[float, float, float]:
        """Of bare extraction by the clock and by processor time, of the encoder by the clock."""
        bare = self.decode + self.extract
        return (
            bare.clock / self.index.clock,
            bare.processors / self.index.processors,
            self.extract.clock / self.index.clock,
        )


def measure(place: Path, crops: Crops, encoder: Encoder, device: Device) -> Round:
    """Each once, in a new cache and a new gallery."""
    cache = place / "cache"
    decode = effort(lambda: ImageStore.open(crops, size=SIZE, cache=cache))
    store = ImageStore.open(crops, size=SIZE, cache=cache)
    embed = effort(lambda: extract(encoder, Feed(store, device), crops, device))
    where = str(device.place)
    with Gallery.create(place / "gallery", place.parent / "run", device=where) as gallery:
        gallery.embedder.embed_pixels(np.zeros((1, *SIZE, 3), np.uint8))
        return Round(decode, embed, effort(lambda: index(gallery, crops)))


def told(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--crops", type=int, default=1536)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--height", type=int, default=128, help="of the crops' files")
    options.add_argument("--device", default="auto")
    chosen = options.parse_args()
    device = Device.choose(chosen.device)
    print(f"{machine()}, {device.describe()}, {chosen.rounds} rounds", flush=True)
    with tempfile.TemporaryDirectory() as name:
        place, n = Path(name), chosen.crops
        draw(place / "crops", n, chosen.height)
        save(build_encoder(EncoderSpec(weights="none")), place / "run", size=SIZE)
        crops = read_crops(place / "crops", layout="cameras")
        encoder = load(place / "run")[0].to(device.place)
        rounds = []
        for number in range(chosen.rounds):
            one = measure(place / str(number), crops, encoder, device)
            rounds.append(one)
            speeds = ", ".join(
                f"{name} {n / part.clock:,.0f}/s" for name, part in one._asdict().items()
            )
            print(f"round {number}: {speeds}", flush=True)
    clock, spent, alone = (
        told(list(ratios)) for ratios in zip(*(r.ratios for r in rounds), strict=True)
    )
    print(
        f"{n:,} crops {chosen.height} high: index at {clock} of bare extraction, by processor time "
        f"{spent}; at {alone} of the encoder alone"
    )


if __name__ == "__main__":
    main()
