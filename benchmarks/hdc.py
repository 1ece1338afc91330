"""HDC's iterations against one pass over the rows and one product with the centroids.

    python benchmarks/hdc.py [--crops 12936] [--dim 2048] [--clusters 750] [--cut 0.9]

An iteration is the difference between runs that stop after different numbers of iterations from the
same starting samples. Times are the best of the repeats, and ratios to the row pass plus the
product in the same run.
"""

from __future__ import annotations

import argparse
from typing import Any
from unittest import mock

import numpy as np
import torch
from _machine import machine
from clustering import best_of, world

from resight.clustering import euler
from resight.clustering.hdc import HarmonicClusters, hdc
from resight.clustering.hdc_init import kmeans_plus_plus
from resight.clustering.quality import against_identities
from resight.graph import JaccardGraph, centre_cameras, jaccard_graph


def evaluations(run: Any) -> tuple[HarmonicClusters, int, int]:
    """What a run returns, how many distances it evaluates, and how many columns it multiplies."""
    pairs, columns = [], []

    def distances(*arguments: Any, **options: Any) -> np.ndarray:
        pairs.append(len(arguments[2]))
        return evaluate(*arguments, **options)

    def bounds(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
        columns.append(len(centroids))
        return bound(vectors, centroids)

    evaluate, bound = euler.euler_distances, euler._squared_bounds
    with (
        mock.patch.object(euler, "euler_distances", distances),
        mock.patch.object(euler, "_squared_bounds", bounds),
    ):
        return run(), sum(pairs), sum(columns)


def study(
    graph: JaccardGraph, features: np.ndarray, options: argparse.Namespace
) -> tuple[HarmonicClusters, HarmonicClusters]:
    repeats, k = options.repeats, options.clusters
    row_pass, _ = best_of(repeats, lambda: graph.reduce(lambda rows: len(rows.values)))
    centroids = features[:k].copy()
    product, _ = best_of(repeats, lambda: features @ centroids.T)
    base = row_pass + product
    print(f"row pass {row_pass:.3f} s + product {product:.3f} s = {base:.3f} s = 1")
    start, seeds = best_of(1, lambda: kmeans_plus_plus(graph, k, np.random.default_rng(1)))

    def run(iterations: int, cut: float | None = None) -> HarmonicClusters:
        return hdc(
            graph,
            features,
            n_clusters=k,
            rng=np.random.default_rng(1),
            init_indices=tuple(seeds.tolist()),
            max_iterations=iterations,
            cut=cut,
        )

    first, _ = best_of(repeats, lambda: run(1))
    early, _ = best_of(repeats, lambda: run(5))
    whole, found = best_of(1, lambda: run(80))
    _, pairs, columns = evaluations(lambda: run(80))
    short, cut = best_of(1, lambda: run(80, options.cut))
    rounds = found.iterations
    for name, seconds in (
        ("k-means++", start),
        ("iterations 2 to 5, each", (early - first) / 4),
        (f"iterations 6 to {rounds}, each", (whole - early) / max(1, rounds - 5)),
        (f"whole run, {rounds} iterations", start + whole),
        (f"the same up to a cut of {options.cut}, {cut.iterations} iterations", start + short),
    ):
        print(f"{name:50s} {seconds:7.3f} s  {seconds / base:6.2f}")
    tables = rounds * k
    print(f"largest distance: {columns} of {tables} columns multiplied, ", end="")
    print(f"{pairs / rounds:.0f} of {len(features) * k} distances evaluated an iteration")
    return found, cut


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=int, default=12_936)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--clusters", type=int, default=750)
    parser.add_argument("--cut", type=float, default=0.9)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"{machine()}, {torch.get_num_threads()} threads")
    rng = np.random.default_rng(0)
    n_identities = options.clusters + 1
    sizes = rng.multinomial(options.crops - n_identities, np.full(n_identities, 1 / n_identities))
    features, identities, cameras = world(
        rng,
        sizes + 1,
        cameras=6,
        dim=options.dim,
        noise=0.7,
        shift=0.3,
        view=0.4,
        junk=0,
        rank=64,
    )
    features = centre_cameras(features, cameras)
    graph = jaccard_graph(features)
    found, cut = study(graph, features, options)
    for name, labels in (("exact", found.labels), ("cut", cut.labels)):
        ari = against_identities(labels, identities + 1)["ari"]
        print(f"ARI with the identities, {name}: {ari:.3f}")


if __name__ == "__main__":
    main()
