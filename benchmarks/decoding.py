"""How fast an image store is built, found again and read, beside Pillow alone on the same cores.

    python benchmarks/decoding.py [--images 12000] [--rounds 3] [--workers N]

Raw is Image.open, convert, a bicubic resize and the pixels as an array, in one process per core,
already started, that writes nothing. The store's time is a whole call: starting processes,
hashing, writing, syncing. Both run in turn in every round, and ratios
(raw / store, higher is better) are taken within a round: of the wall clock, which neighbours on
the machine disturb, and of the processors' time, which they disturb less.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from _machine import machine
from PIL import Image

from resight.data import ImageStore, read_crops

SIZE = (256, 128)
CHUNK = 64
SHAPES = {"64 x 128": (64, 128), "200 x 400": (200, 400), "1200 x 2400": (1200, 2400)}


def draw(folder: Path, count: int, shape: tuple[int, int]) -> None:
    """Smooth random colours with a little noise, as JPEG."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    width, height = shape
    noise = rng.integers(-8, 8, (height, width, 3))
    for index in range(count):
        coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize(shape, Image.Resampling.BICUBIC))
        pixels = np.clip(smooth + np.roll(noise, index, axis=0), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:06d}.jpg", quality=90)


def raw(files: list[str]) -> float:
    """Decode and resize; the processor time it took."""
    start = time.process_time()
    for file in files:
        with Image.open(file) as image:
            small = image.convert("RGB").resize((SIZE[1], SIZE[0]), Image.Resampling.BICUBIC)
            np.asarray(small)
    return time.process_time() - start


def processors() -> float:
    """Seconds that this process and the ended ones that it started spent on processors."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in spent)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(folder: Path, cache: Path, workers: int, rounds: int) -> None:
    crops = read_crops(folder)
    files = [str(crops.file(row)) for row in range(len(crops))]
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    clock, effort, again = [], [], []

    def build() -> None:
        ImageStore.open(crops, size=SIZE, cache=cache, workers=workers)

    with ProcessPoolExecutor(workers) as pool:
        sum(pool.map(raw, chunks))
        for _ in range(rounds):
            shutil.rmtree(cache, ignore_errors=True)
            start = time.perf_counter()
            raw_effort = sum(pool.map(raw, chunks))
            raw_clock = time.perf_counter() - start
            before = processors()
            store_clock = seconds(build)
            effort.append(raw_effort / (processors() - before))
            clock.append(raw_clock / store_clock)
            again.append(seconds(build) / store_clock)
    print(
        f"{folder.name:>12}, {len(files):6,} images: "
        f"wall {statistics.median(clock):.2f} ({min(clock):.2f} - {max(clock):.2f}), "
        f"processors {statistics.median(effort):.2f} ({min(effort):.2f} - {max(effort):.2f}); "
        f"a second call takes {statistics.median(again):.1%} of the first",
        flush=True,
    )


def gather(folder: Path, cache: Path, rounds: int) -> None:
    """Batches of 256 random rows, beside a copy of as many bytes that lie together."""
    store = ImageStore.open(read_crops(folder), size=SIZE, cache=cache)
    rng = np.random.default_rng(0)
    block = torch.from_numpy(np.array(store.images[:256]))
    store.images.max()  # reads every page from the disk
    ratios = []
    for _ in range(rounds * 5):
        rows = rng.integers(0, len(store), len(block))
        batch_time = seconds(lambda rows=rows: store.batch(rows))
        ratios.append(batch_time / seconds(block.clone))
    print(f"a batch of {len(block)} takes {statistics.median(ratios):.2f} x one plain copy")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=12_000, help="of the smallest shape")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--workers", type=int, default=os.cpu_count())
    chosen = options.parse_args()
    print(f"{machine()}, {chosen.workers} workers, {chosen.rounds} rounds")
    with tempfile.TemporaryDirectory() as place:
        cache = Path(place) / "cache"
        for name, (width, height) in SHAPES.items():
            count = round(chosen.images * min(1.0, 50_000 / (width * height)))
            draw(Path(place) / name, max(2 * CHUNK, count), (width, height))
            compare(Path(place) / name, cache, chosen.workers, chosen.rounds)
        gather(Path(place) / "64 x 128", cache, chosen.rounds)


if __name__ == "__main__":
    main()
