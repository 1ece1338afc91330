"""Ranking at a benchmark's scale against the bare matrix product, in time and in memory.

    python benchmarks/evaluation.py                                # Market-1501
    python benchmarks/evaluation.py --scale msmt17 --repeats 1     # its product takes minutes
    python benchmarks/evaluation.py --half                         # features in float16
    python benchmarks/evaluation.py --device cuda

Twice: with features as after training, and with poor ones, whose matches lie far down the list.
Goals: at most 1.5 times the product, and at most 1 GB besides the features.
Ratios are within one run; absolute times depend on the machine.
"""

from __future__ import annotations

import argparse
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from _machine import machine

from resight.data.colour import colour_histogram
from resight.evaluation import Ranking, rank

DIM = 2_048


class Scale(NamedTuple):
    """Queries, gallery crops, identities and cameras of a benchmark."""

    queries: int
    gallery: int
    identities: int
    cameras: int


SCALES = {
    "market1501": Scale(3_368, 15_913, 750, 6),
    "msmt17": Scale(11_659, 82_161, 3_060, 15),
}


def crops(
    rng: np.random.Generator, n: int, scale: Scale, *, junk_and_distractors: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Identities and cameras; a sixth of a gallery is junk (-1)."""
    lowest = -scale.identities // 5 if junk_and_distractors else 1
    ids = rng.integers(lowest, scale.identities + 1, n).clip(min=-1)
    return ids, rng.integers(0, scale.cameras, n)


def features(
    rng: np.random.Generator, ids: np.ndarray, cameras: np.ndarray, noise: float, scale: Scale
) -> np.ndarray:
    """Identity + camera + noise: the noise decides how far down the matches are."""
    shape = (scale.identities + 2, DIM)
    person = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    shape = (scale.cameras, DIM)
    camera = np.random.default_rng(2).standard_normal(shape, dtype=np.float32)
    table = rng.standard_normal((len(ids), DIM), dtype=np.float32)
    for start in range(0, len(ids), 1_000):
        part = slice(start, start + 1_000)
        table[part] *= noise
        table[part] += person[ids[part]] + camera[cameras[part]] / 2
        table[part] /= np.linalg.norm(table[part], axis=1, keepdims=True)
    return table


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def resident() -> int:
    """Bytes of this process in memory now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak_growth(work: Callable[[], object]) -> int:
    """Bytes by which the process grows at most while `work` runs, sampled every 2 ms."""
    before, peak, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(0, peak[0] - before)


def product(query: np.ndarray, gallery: np.ndarray) -> None:
    """The blocked matrix product alone, with the block height that the evaluation uses."""
    height = 2**27 // (4 * (len(gallery) + DIM))
    buffer = np.empty((height, len(gallery)), np.float32)
    for start in range(0, len(query), height):
        part = query[start : start + height]
        np.matmul(part, gallery.T, out=buffer[: len(part)])


def product_on_device(query: torch.Tensor, gallery: torch.Tensor) -> None:
    """The same on a device, in float32."""
    height = 2**28 // (4 * len(gallery))
    for start in range(0, len(query), height):
        query[start : start + height].float() @ gallery.float().T
    torch.cuda.synchronize()


def measure(noise: float, asked: argparse.Namespace) -> None:
    rng, scale = np.random.default_rng(0), SCALES[asked.scale]
    query_ids, query_cameras = crops(rng, scale.queries, scale, junk_and_distractors=False)
    gallery_ids, gallery_cameras = crops(rng, scale.gallery, scale, junk_and_distractors=True)
    query = features(rng, query_ids, query_cameras, noise, scale)
    gallery = features(rng, gallery_ids, gallery_cameras, noise, scale)
    sides = (query.astype(np.float16), gallery.astype(np.float16)) if asked.half else None
    sides = sides or (query, gallery)
    if asked.device != "cpu":
        sides = tuple(torch.as_tensor(side, device=asked.device) for side in sides)

    def evaluate() -> Ranking:
        return rank(*sides, query_ids, gallery_ids, query_cameras, gallery_cameras)

    def bare() -> None:
        product(query, gallery) if asked.device == "cpu" else product_on_device(*sides)

    first = seconds(evaluate)
    bare()
    times = [(seconds(bare), seconds(evaluate)) for _ in range(asked.repeats)]
    alone, whole = np.median(times, axis=0)
    ratio = np.median([b / a for a, b in times])
    ranking = evaluate()
    print(f"\nmAP {ranking.mAP:.1%}, rank-1 {ranking.cmc[1]:.1%}, mINP {ranking.minp:.1%}")
    print(f"  rank / bare product       {ratio:.2f}  ({whole:.2f} s / {alone:.2f} s)")
    print(f"  growth of memory in rank  {peak_growth(evaluate) / 2**20:.0f} MiB")
    if asked.device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        evaluate()
        grown = torch.cuda.max_memory_allocated() - before
        print(f"  growth on the device      {grown / 2**20:.0f} MiB")
    print(f"  first call                {first:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", choices=SCALES, default="market1501")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--half", action="store_true", help="features in float16")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    scale = SCALES[asked.scale]
    print(machine())
    versions = f"numpy {np.__version__}, Python {sys.version.split()[0]}"
    print(f"{versions}, {asked.device}, median of {asked.repeats} runs")
    print(f"{scale.queries} queries, {scale.gallery} gallery crops, D = {DIM}")
    for noise in (3.0, 8.0):
        measure(noise, asked)
    images = np.random.default_rng(0).integers(0, 256, (200, 256, 128, 3), dtype=np.uint8)
    colour_histogram(images[:1])
    colours = seconds(lambda: colour_histogram(images)) / len(images)
    print(f"\ncolour histogram {colours * 1e3:.2f} ms per image of 256 x 128")


if __name__ == "__main__":
    main()
