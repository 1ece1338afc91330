"""Ranking at Market-1501's scale against the bare matrix product, in time and in memory.

    python benchmarks/evaluation.py

Twice: with features as after training, and with poor ones, whose matches lie far down the list.
Ratios are within one run; absolute times depend on the machine.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _machine import machine

from resight.evaluation import Ranking, colour_histogram, rank

QUERIES, GALLERY, DIM, IDENTITIES, CAMERAS = 3_368, 15_913, 2_048, 750, 6
REPEATS = 5


def crops(
    rng: np.random.Generator, n: int, *, junk_and_distractors: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Identities and cameras; a sixth of a gallery is junk (-1)."""
    ids = rng.integers(-150 if junk_and_distractors else 1, IDENTITIES + 1, n).clip(min=-1)
    return ids, rng.integers(0, CAMERAS, n)


def features(
    rng: np.random.Generator, ids: np.ndarray, cameras: np.ndarray, noise: float
) -> np.ndarray:
    """Identity + camera + noise: the noise decides how far down the matches are."""
    person = np.random.default_rng(1).standard_normal((IDENTITIES + 2, DIM), dtype=np.float32)
    camera = np.random.default_rng(2).standard_normal((CAMERAS, DIM), dtype=np.float32)
    table = rng.standard_normal((len(ids), DIM), dtype=np.float32)
    table *= noise
    for start in range(0, len(ids), 1_000):
        part = slice(start, start + 1_000)
        table[part] += person[ids[part]] + camera[cameras[part]] / 2
    table /= np.linalg.norm(table, axis=1, keepdims=True)
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


def measure(noise: float) -> None:
    rng = np.random.default_rng(0)
    query_ids, query_cameras = crops(rng, QUERIES, junk_and_distractors=False)
    gallery_ids, gallery_cameras = crops(rng, GALLERY, junk_and_distractors=True)
    query = features(rng, query_ids, query_cameras, noise)
    gallery = features(rng, gallery_ids, gallery_cameras, noise)

    def evaluate() -> Ranking:
        return rank(query, gallery, query_ids, gallery_ids, query_cameras, gallery_cameras)

    first = seconds(evaluate)
    times = [(seconds(lambda: product(query, gallery)), seconds(evaluate)) for _ in range(REPEATS)]
    bare, whole = np.median(times, axis=0)
    ratio = np.median([b / a for a, b in times])
    ranking = evaluate()
    print(f"\nmAP {ranking.mAP:.1%}, rank-1 {ranking.cmc[1]:.1%}, mINP {ranking.minp:.1%}")
    print(f"  rank / bare product       {ratio:.2f}  ({whole:.2f} s / {bare:.2f} s)")
    print(f"  growth of memory in rank  {peak_growth(evaluate) / 2**20:.0f} MiB")
    print(f"  first call                {first:.2f} s")


def main() -> None:
    print(machine())
    print(f"numpy {np.__version__}, Python {sys.version.split()[0]}, median of {REPEATS} runs")
    print(f"{QUERIES} queries, {GALLERY} gallery crops, D = {DIM}")
    for noise in (3.0, 8.0):
        measure(noise)
    images = np.random.default_rng(0).integers(0, 256, (200, 256, 128, 3), dtype=np.uint8)
    colour_histogram(images[:1])
    colours = seconds(lambda: colour_histogram(images)) / len(images)
    print(f"\ncolour histogram {colours * 1e3:.2f} ms per image of 256 x 128")


if __name__ == "__main__":
    main()
