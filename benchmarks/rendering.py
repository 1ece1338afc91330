"""Pictures per second of the demo world, on one core and on all.

    python benchmarks/rendering.py [--identities 60] [--size 128 64]

Prints wall time and the CPU time of all processes, with the start of the workers and the drawing
of backgrounds included, after one run that compiles.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from _machine import machine

from resight.data.demo import render_world
from resight.data.demo.pool import usable_cores


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure(folder: Path, identities: int, size: tuple[int, int], workers: int) -> str:
    wall, cpu = time.perf_counter(), cpu_seconds()
    out = render_world(
        folder / f"{workers}", identities=identities, size=size, workers=workers, progress=False
    )
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    n = len(list(out.rglob("*.jpg")))
    return (
        f"{workers} process{'es' if workers > 1 else ''}: {n} pictures in {wall:.1f} s, "
        f"{n / wall:.0f}/s, {1000 * cpu / n:.1f} ms CPU each"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--identities", type=int, default=60)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 64))
    arguments = parser.parse_args()
    height, width = arguments.size
    print(f"{machine()}, {height}x{width}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render_world(folder / "compile", identities=1, train_identities=1, progress=False)
        for workers in sorted({1, usable_cores()}):
            print(measure(folder, arguments.identities, (height, width), workers), flush=True)


if __name__ == "__main__":
    main()
