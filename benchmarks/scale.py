"""The clustering stage on up to a million crops: seconds of each stage, peak memory, recall.

    python benchmarks/scale.py [--crops 100000 1000000] [--dim 256]

Features of each size are made and clustered in processes of their own; the peak is that of the
whole process, features included. The last lines compare the stages of the sizes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from _machine import machine

GIB = 2**30


def make(crops: int, dim: int, folder: Path) -> None:
    """17 crops of each identity in the mean, 8 cameras."""
    from clustering import world

    rng = np.random.default_rng(0)
    n_identities = crops // 17
    sizes = rng.multinomial(crops - n_identities, np.full(n_identities, 1 / n_identities)) + 1
    features, identities, _ = world(
        rng, sizes, cameras=8, dim=dim, noise=0.7, shift=0.3, view=0.4, junk=0, rank=64
    )
    np.save(folder / "features.npy", features)
    np.save(folder / "identities.npy", identities)


def run(folder: Path) -> dict[str, float]:
    """Approximate neighbours, V, near(0.6), DBSCAN; seconds of each, and what came of it."""
    from resight.clustering.density import dbscan
    from resight.clustering.quality import against_identities
    from resight.graph import jaccard_graph, neighbours

    features = np.load(folder / "features.npy")
    small = jaccard_graph(features[:64])
    dbscan(small.near(0.5), min_samples=4)
    clock = [time.perf_counter()]
    nearest = neighbours(features, 30, exact=False)
    clock.append(time.perf_counter())
    graph = jaccard_graph(features, nearest=nearest)
    clock.append(time.perf_counter())
    near = graph.near(0.6)
    clock.append(time.perf_counter())
    labels = dbscan(near, min_samples=4)
    clock.append(time.perf_counter())
    figures = dict(zip(("neighbours", "V", "near(0.6)", "DBSCAN"), np.diff(clock), strict=True))
    figures["total"] = clock[-1] - clock[0]
    figures["peak GiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    figures["features GiB"] = features.nbytes / GIB
    figures["recall@30"] = recall(features, nearest.indices)
    figures["V entries a row"] = len(graph.affinities.data) / len(features)
    figures["near pairs a row"] = near.nnz / len(features)
    figures["clusters"] = labels.n_clusters
    identities = np.load(folder / "identities.npy")
    figures["ARI"] = against_identities(labels.labels, identities + 1)["ari"]
    return figures


def recall(features: np.ndarray, found: np.ndarray) -> float:
    """Share of the true 30 nearest of 500 crops, other crops than the search itself looked at."""
    rows = np.random.default_rng(12345).choice(len(features), 500, replace=False)
    table, queries = torch.from_numpy(features), torch.from_numpy(features[rows])
    true = (queries @ table.T).topk(found.shape[1]).indices.numpy()
    pairs = zip(true, found[rows], strict=True)
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in pairs]))


def measure(crops: int, dim: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        for step in ("make", "run"):
            words = [sys.executable, __file__, "--step", step, "--folder", name]
            words += ["--crops", str(crops), "--dim", str(dim)]
            done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--step", choices=["make", "run"])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.step == "make":
        make(options.crops[0], options.dim, options.folder)
        return
    if options.step == "run":
        print(json.dumps({name: float(value) for name, value in run(options.folder).items()}))
        return
    print(f"{machine()}, {torch.get_num_threads()} threads, D {options.dim}")
    table = {crops: measure(crops, options.dim) for crops in options.crops}
    for name in table[options.crops[0]]:
        values = [table[crops][name] for crops in options.crops]
        growth = f"  x {values[-1] / values[0]:.1f}" if values[0] else ""
        print(f"{name:20s}" + "".join(f"{value:14.3f}" for value in values) + growth)


if __name__ == "__main__":
    main()
