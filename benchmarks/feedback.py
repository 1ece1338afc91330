"""What answers about pairs of crops bring: `resight train --feedback` with a simulated user.

    python benchmarks/feedback.py [--answers 0 50 200] [--seeds 0] [--out FOLDER]

A run without answers comes first. Its features and clusters choose the questions, the doubtful ones
first and in turn: does the crop that is least surely nearer to its own cluster than to another
belong to it, do the two nearest clusters belong together, does the outlier that is nearest to a
cluster belong to it? Clusters are asked about by their most central crops. What follows from
earlier answers is not asked. The user answers truthfully, and training starts anew, from the same
weights and with as many batches. mAP and Rank-1 are over camera pairs of people that training
never saw; ARI is that of the pseudo-labels after they were corrected, mean of the epochs. The last
row is trained on the true identities: what any answers could reach with as many batches. Pictures
and runs in FOLDER are reused.

The defaults take minutes and teach little besides: with `--set size=[128,64] --epochs 10` and more
people there is more to be gained.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from _machine import machine

import resight
from resight.data import ImageStore, read_crops
from resight.data.demo import render_world
from resight.data.feedback import Crop, Decision, write
from resight.device import Device
from resight.models import load
from resight.recipe import parse_settings
from resight.records import Crops
from resight.training.extract import extract
from resight.training.feed import Feed
from resight.training.run_folder import RunFolder

SIZE = [64, 32]
Question = tuple[int, int]


def train(out: Path, data: Path, options: argparse.Namespace, **asked: Any) -> Path:
    """The finished run at `out`, made if need be."""
    if (out / "report.html").exists():
        return out
    if (out / "run.json").exists():
        return resight.resume(out)
    settings = {"optim.epochs": options.epochs, "optim.iterations": options.iterations}
    settings |= {"size": SIZE, **parse_settings(options.set), **asked.pop("settings", {})}
    method = "cluster-contrast"
    return resight.train(data, out=out, method=method, settings=settings, evaluate_every=0, **asked)


def look(run: Path, data: Path) -> tuple[Crops, np.ndarray, np.ndarray]:
    """The training crops, their features (N, D) by the run's encoder, and its last labels."""
    encoder, size = load(run)
    store = ImageStore.open(read_crops(data), size=size)
    rows = np.flatnonzero(store.crops.splits == "train")
    device = Device.choose("auto")
    features = extract(encoder, Feed(store, device), store.crops, device, rows=rows)
    folder = RunFolder.open(run)
    labels = folder.read_labels(folder.recipe().total_epochs - 1)
    return store.crops.select(rows), features.vectors, labels


def centres(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(C, D) mean vectors of length 1."""
    sums = np.zeros((labels.max() + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, labels[labels >= 0], vectors[labels >= 0])
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def doubtful(vectors: np.ndarray, labels: np.ndarray) -> Iterator[Question]:
    """Questions, the most doubtful first, in turn about members, pairs of clusters and outliers."""
    centre = centres(vectors, labels)
    to_centres = vectors @ centre.T  # (N, C)
    inside, outside = np.flatnonzero(labels >= 0), np.flatnonzero(labels < 0)
    own = np.full(len(labels), -2.0)
    own[inside] = to_centres[inside, labels[inside]]
    central = np.array([np.argmax(np.where(labels == c, own, -2)) for c in range(len(centre))])
    near = np.argsort(-to_centres[outside].max(axis=1), kind="stable")
    outliers = zip(outside[near], central[to_centres[outside[near]].argmax(axis=1)], strict=True)
    one, other = np.triu_indices(len(centre), 1)
    nearest = np.argsort(-(centre @ centre.T)[one, other], kind="stable")
    joins = zip(central[one[nearest]], central[other[nearest]], strict=True)
    to_centres[inside, labels[inside]] = -2
    sure = own[inside] - to_centres[inside].max(axis=1)
    members = inside[np.argsort(sure, kind="stable")]
    stays = zip(members, central[labels[members]], strict=True)
    turns = chain.from_iterable(zip_longest(stays, joins, outliers))
    return ((int(q[0]), int(q[1])) for q in turns if q is not None and q[0] != q[1])


class User:
    """Answers truthfully, and is not asked what follows from earlier answers."""

    def __init__(self, identities: np.ndarray) -> None:
        self.identities = identities
        self.known = np.arange(len(identities))
        self.apart: set[frozenset[int]] = set()

    def answer(self, question: Question) -> bool | None:
        """Whether the crops are one individual; None when that is known already."""
        one, other = (int(self.known[row]) for row in question)
        if one == other or frozenset((one, other)) in self.apart:
            return None
        same = bool(self.identities[question[0]] == self.identities[question[1]])
        if same:
            self.known[self.known == other] = one
            self.apart = {frozenset(one if c == other else c for c in p) for p in self.apart}
        else:
            self.apart.add(frozenset((one, other)))
        return same


def ask(run: Path, data: Path, most: int) -> list[Decision]:
    """The first answers to the most doubtful questions about a run."""
    crops, vectors, labels = look(run, data)
    user, found = User(crops.identities), []
    for question in doubtful(vectors, labels):
        same = user.answer(question) if len(found) < most else None
        if len(found) >= most:
            break
        if same is not None:
            pair = [Crop(str(crops.root), crops.paths[row]) for row in question]
            found.append(Decision(*pair, same, time.time(), "simulated"))
    return found


def figures(run: Path) -> dict[str, Any]:
    found = resight.evaluate(run, protocol="camera-pairs")["figures"]
    epochs = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    wrong = " ".join(str(epoch["feedback"]["violated"]) for epoch in epochs if "feedback" in epoch)
    ari = np.mean([epoch["against_identities"]["ari"] for epoch in epochs])
    return {"mAP": found["mAP"], "rank1": found["rank1"], "ari": ari, "wrong": wrong}


def show(name: str, same: int, run: Path) -> None:
    row = figures(run)
    values = f"{row['mAP']:7.1f}{row['rank1']:8.1f}{row['ari']:7.3f}"
    print(f"{name:>16s}{same:7d}{values}   {row['wrong']}", flush=True)


def measure(out: Path, seed: int, options: argparse.Namespace) -> None:
    data = render_world(
        out / f"world-{seed}",
        identities=options.identities + options.searched,
        train_identities=options.identities,
        cameras=options.cameras,
        shots=options.shots,
        seed=seed,
    )
    first = train(out / f"run-{seed}-0", data, options, seed=seed)
    answers = ask(first, data, max(options.answers))
    print(f"\nseed {seed}   answers   same    mAP  Rank-1    ARI   violated in each epoch")
    for number in options.answers:
        run, chosen = first, answers[:number]
        if number:
            told = out / f"answers-{seed}-{number}.jsonl"
            write(told, chosen)
            run = train(out / f"run-{seed}-{number}", data, options, seed=seed, feedback=told)
        show(str(len(chosen)), sum(decision.same is True for decision in chosen), run)
    true = {"clusterer": {"part": "TrueLabels"}}
    bound = train(out / f"run-{seed}-true", data, options, seed=seed, settings=true)
    show("all identities", 0, bound)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=int, nargs="+", default=[0, 50, 200])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--identities", type=int, default=48, help="people trained on")
    parser.add_argument("--searched", type=int, default=24, help="people searched for")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--iterations", type=int, default=24, help="batches in an epoch")
    parser.add_argument("--out", type=Path, help="keep pictures and runs here")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    print(machine())
    if options.out is not None:
        for seed in options.seeds:
            measure(options.out, seed, options)
        return
    with tempfile.TemporaryDirectory() as name:
        for seed in options.seeds:
            measure(Path(name), seed, options)


if __name__ == "__main__":
    main()
