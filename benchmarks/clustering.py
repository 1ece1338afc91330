"""Neighbours, graph and DBSCAN against FAISS alone; with --doctor, eps and k1 without labels.

    python benchmarks/clustering.py [--crops 12936] [--dim 2048] [--repeats 3]
    python benchmarks/clustering.py --doctor [--worlds 20] [--split-views] [--runs RUN …]

Times are the best of the repeats, as ratios to FAISS's exact search for 30 neighbours in the same
run. The doctor is judged by the adjusted Rand index with the true identities on random worlds, and
with --runs on features of the crops that these runs trained on, before training and after it.
"""

from __future__ import annotations

import argparse
import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from _machine import machine

from resight.clustering import DBSCAN, silhouette
from resight.clustering.density import dbscan
from resight.clustering.doctor import CANDIDATES, GRID, propose_eps, propose_k1
from resight.clustering.quality import against_identities
from resight.graph import JaccardGraph, centre_cameras, jaccard_graph, neighbours, search_cpu
from resight.records import Features

BEST = "best of the grid of k1 and eps"
World = tuple[np.ndarray, np.ndarray, np.ndarray]


def world(
    rng: np.random.Generator,
    sizes: np.ndarray,
    *,
    cameras: int,
    dim: int,
    noise: float,
    shift: float,
    view: float,
    junk: float,
    rank: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, identities and cameras of crops in random order.

    An individual has a centre, a look of its own in each camera (`view`), and a noise level of its
    own; a camera shifts all that it sees. `junk` is the share of crops that show no individual.
    """
    n_identities, n = len(sizes), int(sizes.sum())
    identities = np.repeat(np.arange(n_identities), sizes)
    liking = rng.random((n_identities, cameras)) ** 2 + 0.05
    bounds = np.cumsum(liking / liking.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    seen = (rng.random((n, 1)) > bounds[identities]).sum(axis=1)
    spread = np.arange(1, rank + 1) ** -0.3
    basis = rng.standard_normal((rank, dim)) * (spread / np.sqrt(np.mean(spread**2)))[:, None]
    own_noise = noise * np.exp(0.25 * rng.standard_normal(n_identities))
    latent = rng.standard_normal((n_identities, rank))[identities]
    latent += shift * rng.standard_normal((cameras, rank))[seen]
    latent += view * rng.standard_normal((n_identities, cameras, rank))[identities, seen]
    latent += own_noise[identities, None] * rng.standard_normal((n, rank))
    n_junk = int(junk * n)
    latent = np.vstack((latent, 1.3 * rng.standard_normal((n_junk, rank))))
    identities = np.append(identities, n_identities + np.arange(n_junk))
    seen = np.append(seen, rng.integers(0, cameras, n_junk))
    rows = (latent.astype(np.float32) @ basis.astype(np.float32)) / np.float32(np.sqrt(rank))
    rows += np.float32(0.25) * rng.standard_normal(rows.shape, dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    order = rng.permutation(len(rows))
    return rows[order], identities[order], seen[order]


def best_of(repeats: int, work: Callable[[], Any]) -> tuple[float, Any]:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - begin)
    return min(times), result


def memory_added(features: np.ndarray) -> float:
    """GiB that neighbours, graph, near(0.7) and DBSCAN add to the process; sampled, Linux only."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    def watch() -> None:
        while not done.wait(0.005):
            seen.append(resident())

    seen, done = [resident()], threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    near = jaccard_graph(features).near(0.7)
    dbscan(near, min_samples=4)
    done.set()
    watcher.join()
    return (max(seen) - seen[0]) / 2**30


def speed(crops: int, dim: int, repeats: int) -> None:
    rng = np.random.default_rng(0)
    sizes = rng.multinomial(crops - 751, np.full(751, 1 / 751)) + 1
    features, identities, cameras = world(
        rng, sizes, cameras=6, dim=dim, noise=0.7, shift=0.3, view=0.4, junk=0, rank=64
    )
    features = centre_cameras(features, cameras)
    jaccard_graph(features[:64]).near(0.5)

    def search() -> Any:
        index = faiss.IndexFlatIP(dim)
        index.add(features)
        return index.search(features, 30)

    base, _ = best_of(repeats, search)
    print(f"FAISS flat, {crops} x {dim}, 30 neighbours: {base:.2f} s = 1")
    added = memory_added(features)
    plain_time, _ = best_of(repeats, lambda: search_cpu.search(features, 30))
    nearest_time, nearest = best_of(repeats, lambda: neighbours(features, 30))
    graph_time, graph = best_of(repeats, lambda: jaccard_graph(features, nearest=nearest))
    near_time, near = best_of(repeats, lambda: graph.near(0.7))
    label_time, labels = best_of(
        repeats, lambda: DBSCAN(0.6)(graph, Features({"global": features}), rng)
    )
    core_time, _ = best_of(repeats, lambda: dbscan(near, min_samples=4))
    silhouette_time, _ = best_of(repeats, lambda: silhouette(graph, labels.labels))
    pass_time, _ = best_of(repeats, lambda: graph.reduce(len))
    ari = against_identities(labels.labels, identities + 1)["ari"]
    for name, seconds in (
        ("neighbours", nearest_time),
        ("neighbours without bfloat16", plain_time),
        ("affinities V after the neighbours", graph_time),
        (f"near(0.7), {near.nnz / crops:.0f} pairs a row", near_time),
        ("V + near(0.7)", graph_time + near_time),
        ("neighbours + V + near(0.7)", nearest_time + graph_time + near_time),
        (f"DBSCAN(0.6) with its near pairs, ARI {ari:.2f}", label_time),
        ("DBSCAN on near pairs alone", core_time),
        ("a pass over all rows", pass_time),
        (f"silhouettes, {silhouette_time / pass_time:.2f} of a pass", silhouette_time),
    ):
        print(f"{name:45s} {seconds:7.3f} s  {seconds / base:6.3f}")
    print(f"memory added to the features: {added:.2f} GiB")


def random_world(seed: int, split_views: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """30 to 1000 identities of 4 to 60 crops, at most about 6000 in all, in 1 to 8 cameras."""
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.uniform(np.log(5), np.log(40)))
    n_identities = int(np.exp(rng.uniform(np.log(30), np.log(1000))))
    n_identities = max(30, min(n_identities, int(6000 / mean)))
    sizes = mean * np.exp(rng.choice([0, 0.25, 0.5]) * rng.standard_normal(n_identities))
    return world(
        rng,
        np.clip(sizes, 4, 60).astype(int),
        cameras=int(rng.integers(2 if split_views else 1, 9)),
        dim=256,
        noise=rng.uniform(0.3, 0.8) if split_views else rng.uniform(0.35, 1.1),
        shift=rng.uniform(0, 0.6),
        view=rng.uniform(0.5, 1.3) if split_views else rng.uniform(0, 0.6),
        junk=rng.choice([0, 0.03, 0.1]),
        rank=int(rng.choice([24, 48, 96])),
    )


def doctor(worlds: Iterable[World]) -> None:
    totals: dict[str, list[float]] = {}
    for features, identities, cameras in worlds:
        features = centre_cameras(features, cameras)
        for name, ari in study(features, identities, cameras).items():
            totals.setdefault(name, []).append(ari)
    best = np.array(totals[BEST])
    print(f"{f'{len(best)} worlds':45s} mean ARI   of the best: mean   least")
    for name, values in totals.items():
        share = values / best
        print(f"{name:45s} {np.mean(values):8.3f} {share.mean():18.3f} {share.min():7.3f}")


def features_of(run: Path) -> Iterator[World]:
    """Of the crops that a run trained on: by the network before training, and by the trained."""
    import resight
    from resight.device import Device
    from resight.models import build_encoder, load
    from resight.training.extract import extract
    from resight.training.feed import Feed
    from resight.training.run_folder import RunFolder

    folder = RunFolder.open(run)
    asked, recipe, device = folder.settings(), folder.recipe(), Device.choose()
    crops = resight.read_crops(asked.data, layout=asked.layout)
    store = resight.ImageStore.open(crops, size=recipe.size)
    rows = np.flatnonzero(crops.splits == "train")
    for encoder in (build_encoder(recipe.encoder, seed=asked.seed), load(run)[0]):
        features = extract(encoder, Feed(store, device), crops, device, rows=rows)
        assert features.crops is not None
        yield features.vectors, features.crops.identities, features.crops.cameras


def study(features: np.ndarray, identities: np.ndarray, cameras: np.ndarray) -> dict[str, float]:
    nearest = neighbours(features, 30)
    graphs = {k: jaccard_graph(features, k1=k[0], k2=k[1], nearest=nearest) for k in CANDIDATES}

    def ari(graph: JaccardGraph, eps: float) -> float:
        labels = dbscan(graph.near(eps), min_samples=4).labels
        return against_identities(labels, identities + 1)["ari"]

    published = graphs[30, 6]
    tables = {k: [ari(graph, eps) for eps in GRID] for k, graph in graphs.items()}
    found = {
        BEST: max(map(max, tables.values())),
        "best eps at k1 = 30": max(tables[30, 6]),
        "published, k1 = 30, eps = 0.6": ari(published, 0.6),
    }
    proposals = {
        "propose_eps, k1 = 30": propose_eps(published),
        "propose_eps, k1 = 30, features": propose_eps(published, features=features),
    }
    for name, proposal in proposals.items():
        found[name] = ari(published, proposal.eps) if proposal else 0.0
    for name, known in (("propose_k1", None), ("propose_k1, cameras", cameras)):
        joint = propose_k1(features, lambda *k: graphs[k], cameras=known)
        found[name] = ari(graphs[joint.k1, joint.k2], joint.eps) if joint else 0.0
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=int, default=12_936)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--doctor", action="store_true")
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--split-views", action="store_true")
    parser.add_argument("--runs", type=Path, nargs="+", default=[])
    options = parser.parse_args()
    print(f"{machine()}, {torch.get_num_threads()} threads")
    if options.doctor:
        split = options.split_views
        print(f"random worlds{', an individual looks different in each camera' if split else ''}")
        doctor(random_world(seed, split) for seed in range(options.worlds))
        if options.runs:
            print("crops of runs, before training and after it")
            doctor(world for run in options.runs for world in features_of(run))
    else:
        speed(options.crops, options.dim, options.repeats)


if __name__ == "__main__":
    main()
