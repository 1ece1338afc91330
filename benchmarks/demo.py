"""What training without labels reaches on worlds of the demo, beside its baselines and its bound.

    python benchmarks/demo.py [--seeds 0 1 2] [--world standard] [--published] [--out FOLDER]

For each seed: mAP and Rank-1 in percent, means over camera pairs of identities that training never
saw, of colour histograms, the untrained network, the one trained without labels, and the same one
trained on true labels; and which share of the way from untrained to true labels is gone without
them. With --published also the settings that Cluster Contrast published for its benchmarks, with
the same network, batches and number of epochs (where they find no usable clusters, resight's
rescue steps in and says so on standard error). With --out, what is there is continued or reused.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _machine import machine

import resight

FIGURES = {"mAP": "mAP", "rank1": "Rank-1"}
COLOUR, UNTRAINED, OURS = "colour histograms", "untrained", "without labels"
PUBLISHED, BOUND = "published settings", "with labels"
PUBLISHED_SETTINGS = {
    "graph.k1": 30,
    "graph.k2": 6,
    "graph.centre_cameras": False,
    "graph.colour": 0.0,
    "clusterer.part": "DBSCAN",
    "clusterer.eps": 0.6,
    "memory.update": "vanilla",
    "memory.momentum": 0.1,
    "weights.part": "EqualWeights",
}
Figures = dict[str, float]


def world_of(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The arguments that `resight.demo` hands to the renderer."""
    names = ("world", "identities", "train_identities", "cameras", "shots")
    return {name: getattr(options, name) for name in names} | {"seed": seed}


def measure(
    out: Path, options: argparse.Namespace, seed: int
) -> tuple[dict[str, Figures], dict[str, float]]:
    """Figures of everything that is compared, by name, and seconds of the parts of the work."""
    world = world_of(options, seed)
    with stopwatch() as total:
        run = resight.demo(out, **world, bound=True, settings=options.settings)
    compared = comparison(run)
    times = {"render": rendering(run), "train": training(run), "whole demo": total[0]}
    if options.published:
        settings = options.settings | PUBLISHED_SETTINGS
        run = resight.demo(out / "published", **world, settings=settings)
        compared[PUBLISHED] = comparison(run)[OURS]
        times["train, published"] = training(run)
    return compared, times


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """A list that holds the seconds afterwards."""
    taken: list[float] = []
    started = time.perf_counter()
    yield taken
    taken.append(time.perf_counter() - started)


def comparison(run: Path) -> dict[str, Figures]:
    rows = json.loads((run / "evaluation.json").read_text())["comparison"]
    found = {}
    for name in (COLOUR, UNTRAINED, OURS, BOUND):
        figures = [row["figures"] for row in rows if row["name"].endswith(name)]
        if figures:
            found[name] = {figure: figures[0][figure] for figure in FIGURES}
    return found


def rendering(run: Path) -> float:
    """From the first picture's file to the last one's."""
    data = Path(json.loads((run / "run.json").read_text())["data"])
    written = [file.stat().st_mtime for file in data.rglob("*.jpg")]
    return max(written) - min(written)


def training(run: Path) -> float:
    """Of all epochs: features, clustering and steps, without evaluation."""
    epochs = (json.loads(line) for line in (run / "log.jsonl").read_text().splitlines())
    return sum(sum(epoch["seconds"].values()) for epoch in epochs)


def gap_closed(compared: dict[str, Figures], name: str, figure: str) -> float:
    """Percent of the way from untrained to trained with labels."""
    low, high = compared[UNTRAINED][figure], compared[BOUND][figure]
    return 100 * (compared[name][figure] - low) / (high - low) if high != low else float("nan")


def table(compared: dict[str, Figures]) -> dict[str, list[float]]:
    """A line per row: mAP, Rank-1; shares of the gap in the same two columns."""
    rows = {name: [figures[f] for f in FIGURES] for name, figures in compared.items()}
    for name in (OURS, PUBLISHED):
        if name in compared:
            rows[f"gap closed {name}"] = [gap_closed(compared, name, f) for f in FIGURES]
    return rows


def show(rows: dict[str, list[float]]) -> None:
    for name, values in rows.items():
        print(f"  {name:32s}" + "".join(f"{value:8.1f}" for value in values))


def show_spread(tables: list[dict[str, list[float]]]) -> None:
    """Mean and standard deviation over the seeds."""
    for name in tables[0]:
        columns = zip(*(rows[name] for rows in tables), strict=True)
        cells = (f"{statistics.mean(c):8.1f} ± {statistics.stdev(c):.1f}" for c in columns)
        print(f"  {name:32s}" + "".join(cells))


def run_all(out: Path, options: argparse.Namespace) -> None:
    os.environ.setdefault("RESIGHT_CACHE", str(out / "cache"))
    tables, clocks = [], []
    for seed in options.seeds:
        compared, times = measure(out, options, seed)
        tables.append(table(compared))
        clocks.append({name: [value] for name, value in times.items()})
        print(f"\n{f'seed {seed}':34s}" + "".join(f"{name:>8s}" for name in FIGURES.values()))
        show(tables[-1])
        print("  seconds")
        show(clocks[-1])
    if len(tables) > 1:
        print(f"\nmean ± standard deviation over seeds {options.seeds}")
        show_spread(tables)
        print("  seconds")
        show_spread(clocks)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--world", default="standard", help="easy, standard or hard")
    parser.add_argument("--identities", type=int, default=180)
    parser.add_argument("--train-identities", type=int, default=120)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--published", action="store_true", help="also the published settings")
    parser.add_argument("--out", type=Path, help="keep pictures and runs here")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    from resight.recipe import parse_settings

    options.settings = parse_settings(options.set)
    print(f"{machine()}, world {options.world}, {options.identities} identities")
    if options.out is not None:
        run_all(options.out, options)
        return
    with tempfile.TemporaryDirectory() as name:
        run_all(Path(name), options)


if __name__ == "__main__":
    main()
