"""How far apart trained encoders hold individuals that training never saw.

    python benchmarks/spread.py RUN [RUN ...]

For each run (of `methods.py demo`, or any whose data have query and gallery crops with identities
and cameras): the mean cosine of pairs of one individual over cameras and of pairs of two, the mean
cosine to the nearest crop of somebody else, and d', the distance of the two kinds of pairs in
standard deviations.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from _machine import machine

import resight
from resight.training.run_folder import RunFolder


def figures(run: Path) -> dict[str, float]:
    crops = resight.read_crops(RunFolder.open(run).settings().data)
    there = np.flatnonzero(np.isin(crops.splits, ["query", "gallery"]) & (crops.identities > 0))
    embedded = resight.load(run).embed([crops.root / crops.paths[row] for row in there.tolist()])
    similar = embedded @ embedded.T
    same = np.equal.outer(crops.identities[there], crops.identities[there])
    pairs = np.triu(np.not_equal.outer(crops.cameras[there], crops.cameras[there]))
    one, two = similar[pairs & same], similar[pairs & ~same]
    return {
        "pairs of one": float(one.mean()),
        "pairs of two": float(two.mean()),
        "nearest other": float(np.where(same, -1, similar).max(axis=1).mean()),
        "d'": float((one.mean() - two.mean()) / np.sqrt((one.var() + two.var()) / 2)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    options = parser.parse_args()
    print(machine())
    for run in options.runs:
        print(run, {name: round(value, 3) for name, value in figures(run).items()}, flush=True)


if __name__ == "__main__":
    main()
