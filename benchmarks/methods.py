"""What the parts of the five methods cost and what they bring.

    python benchmarks/methods.py steps [--repeats 12]
    python benchmarks/methods.py persons
    python benchmarks/methods.py demo --out FOLDER [--seeds 0 1 2] [--rows NAME …]

steps    a training step with each part, against one of Cluster Contrast on the same crops of noise
         and labels; distillation also against one with the teacher's forward pass added, hard
         positive instances against one with Z forward and backward passes added
persons  hard person features on one thread, at B 256, C 1500, D 2048, V 10: milliseconds of its
         processor and memory besides the similarities
demo     mAP and Rank-1 over camera pairs of each method and of its parts, on worlds of the demo,
         with the same number of training images where a row's name says nothing else; the teachers
         of LP have as many of their own; what is in FOLDER is continued or reused

The sides of a ratio run in turn, and ratios are taken within a turn; figures are medians with their
smallest and largest. Steps are told in seconds of the processor, which others on the machine
disturb less than the clock on the wall.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _demo_rows import DemoRow, rows_of_demo
from _machine import machine

IDENTITIES, SHOTS, CAMERAS, SIZE = 48, 8, 4, (128, 64)
WORLD = {"world": "standard", "identities": 180, "train_identities": 120, "cameras": 6, "shots": 4}


def spread(values: list[float], digits: int = 3) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} - {high:.{digits}f})"


def variants() -> dict[str, Any]:
    """Recipes by name: the default one, and the same with a part of a method."""
    from resight.graph import Fused
    from resight.losses import (
        CameraEntropy,
        ClusterNCE,
        Distillation,
        GuidedLabels,
        HardPersonNCE,
        InstanceLoss,
    )
    from resight.memory import ClusterMemory
    from resight.methods import recipe_for
    from resight.recipe import Teacher

    base = recipe_for("cluster-contrast")
    parts = tuple(ClusterNCE(view=f"part{i}", weight=0.2) for i in (1, 2))
    views = (ClusterNCE(weight=0.8), *parts)
    hard = ClusterNCE(), InstanceLoss(positives="generated")
    return {
        "cluster-contrast": base,
        "CIE and CHD": replace(base, weights=CameraEntropy(), memory=ClusterMemory(update="chd")),
        "guided labels": replace(base, targets=GuidedLabels()),
        "hard person features": replace(base, losses=(HardPersonNCE(),)),
        "two more views": replace(
            base, encoder=replace(base.encoder, parts=2), graph=Fused(), losses=views
        ),
        "distillation": replace(
            base, losses=(ClusterNCE(), Distillation()), teacher=Teacher(epochs=0, warm_up=0)
        ),
        "hard positive instances": replace(base, losses=hard),
    }


def work_of(recipe: Any, crops: Any, store: Any) -> Any:
    """What the steps of an epoch share, with the crops' identities as labels."""
    import torch

    from resight.device import Device
    from resight.models import build_encoder
    from resight.records import Clustered
    from resight.training.batches import Work, network_of
    from resight.training.feed import Feed
    from resight.training.learner import Learner
    from resight.training.plan import plan_epoch
    from resight.training.randomness import streams

    device = Device.choose("cpu")
    encoder = build_encoder(recipe.encoder)
    teacher = build_encoder(recipe.encoder).requires_grad_(False) if recipe.teacher else None
    learner = Learner(
        recipe=recipe,
        encoder=encoder,
        forward=encoder,
        optimizer=torch.optim.Adam([p for p in encoder.parameters() if p.requires_grad]),
        feed=Feed(store, device),
        crops=crops,
        rows=np.arange(len(crops)),
        device=device,
        seed=0,
        teacher=teacher,
    )
    generator = torch.Generator().manual_seed(0)
    features = {
        view: torch.nn.functional.normalize(
            torch.randn(len(crops), encoder.dim, generator=generator)
        )
        for view in recipe.views
    }
    labels = dict.fromkeys(recipe.views, torch.from_numpy(crops.identities - 1))
    clustered = Clustered(features, labels, labels, torch.from_numpy(crops.cameras))
    random = streams(0, 0)
    memory = recipe.memory.start(clustered, generator=random.memory)
    encoder.train()
    return Work(learner, plan_epoch(recipe, 0, ()), clustered, memory, network_of(learner), random)


def fixed_batch(work: Any) -> Any:
    import torch

    from resight.records import GLOBAL, Batch

    labels = work.clustered.labels[GLOBAL]
    recipe = work.learner.recipe.batches
    rows = torch.arange(recipe.identities)[:, None] * SHOTS + torch.arange(recipe.instances)
    rows = rows.flatten()
    images = torch.randn(len(rows), 3, *SIZE, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    return Batch(rows, images, labels[rows], work.clustered.cameras[rows])


def steps(options: argparse.Namespace) -> None:
    """Print the ratio of each variant's step to that of Cluster Contrast."""
    from resight.data import ImageStore
    from resight.device import keep_freed_memory
    from resight.records import Crops
    from resight.training.batches import train_step

    keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        n = IDENTITIES * SHOTS
        crops = Crops(
            Path(name),
            noise_crops(Path(name), n),
            np.full(n, "train"),
            cameras=np.arange(n) % CAMERAS,
            identities=np.arange(n) // SHOTS + 1,
        )
        store = ImageStore.open(crops, size=SIZE, cache=Path(name) / "cache")
        works = {key: work_of(recipe, crops, store) for key, recipe in variants().items()}
        batch = fixed_batch(works["cluster-contrast"])
        calls: dict[str, Callable[[], object]] = {
            key: lambda work=work: train_step(work, batch) for key, work in works.items()
        }
        calls |= beside(works, batch)
        taken: dict[str, list[float]] = {key: [] for key in calls}
        for turn in range(options.repeats + 1):
            for key, call in calls.items():
                started = time.process_time()
                call()
                if turn:
                    taken[key].append(time.process_time() - started)
    report_steps(taken)


def noise_crops(folder: Path, n: int) -> tuple[str, ...]:
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(n):
        pixels = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04d}.png")
    return tuple(f"{number:04d}.png" for number in range(n))


def beside(works: dict[str, Any], batch: Any) -> dict[str, Callable[[], object]]:
    """What a part cannot avoid: the teacher's forward pass; a forward and backward pass."""
    import torch

    from resight.records import GLOBAL
    from resight.training import teacher

    def forward() -> object:
        work = works["distillation"]
        with work.learner.device.autocast(training=True):
            return teacher.embed(work.learner.teacher, batch.images, work.learner.recipe.teacher)

    encoder = works["cluster-contrast"].learner.encoder

    def forward_and_backward() -> None:
        with works["cluster-contrast"].learner.device.autocast(training=True):
            q = encoder(batch.images)[GLOBAL]
        encoder.zero_grad(set_to_none=True)
        q.sum().backward()

    assert not torch.is_inference_mode_enabled()
    return {"(teacher)": forward, "(pass)": forward_and_backward}


def report_steps(taken: dict[str, list[float]]) -> None:
    base = taken["cluster-contrast"]
    goals = {
        "CIE and CHD": 1.02,
        "guided labels": 1.02,
        "hard person features": 1.05,
        "two more views": 1.10,
    }
    print(f"a step of cluster-contrast      {spread([1e3 * t for t in base], 0)} ms")
    for key, goal in goals.items():
        ratios = [t / b for t, b in zip(taken[key], base, strict=True)]
        print(f"{key:<31} {spread(ratios)}   goal <= {goal:.2f}")
    steps_and = {
        "distillation": ("(teacher)", 1, 1.03),
        "hard positive instances": ("(pass)", 3, 1.05),
    }
    for key, (extra, times, goal) in steps_and.items():
        ratios = [
            t / (b + times * e) for t, b, e in zip(taken[key], base, taken[extra], strict=True)
        ]
        print(f"{key:<31} {spread(ratios)}   goal <= {goal:.2f}, of a step and {times} {extra}")


def persons(options: argparse.Namespace) -> None:
    """Print milliseconds and memory of hard person features besides the similarities."""
    import torch
    from torch.nn import functional as F

    from resight.losses import hard_persons
    from resight.losses.similarity import similarities

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    q = F.normalize(torch.randn(256, 2048, generator=generator))
    memory = F.normalize(torch.randn(1500, 2048, generator=generator))
    q.requires_grad_()
    labels = torch.randint(0, 1500, (256,), generator=generator)

    def hard() -> torch.Tensor:
        return hard_persons(
            q,
            memory,
            labels,
            temperature=0.05,
            steps=10,
            positive_rate=0.00035,
            negative_rate=0.0028,
        )

    def milliseconds(work: Callable[[], object]) -> float:
        started = time.thread_time()
        work()
        return 1e3 * (time.thread_time() - started)

    both = [
        (milliseconds(hard), milliseconds(lambda: similarities(q, memory)))
        for _ in range(options.repeats + 3)
    ][3:]
    print(f"hard persons less similarities  {spread([h - s for h, s in both], 1)} ms   goal < 30")
    with torch.profiler.profile(profile_memory=True) as profiled:
        hard()
    held = peak(profiled.profiler.kineto_results.events())
    table = 4 * 256 * 1500 / 2**20
    print(
        f"  memory at its highest         {held:.1f} MiB, the similarities {table:.1f}   goal < 50"
    )


def peak(events: Any) -> float:
    """MiB that tensors held at once, from the allocations that torch's profiler saw."""
    changes = [e for e in events if e.name() == "[memory]"]
    ordered = sorted(changes, key=lambda e: e.start_ns())
    return max(np.cumsum([e.nbytes() for e in ordered])) / 2**20


def demo(options: argparse.Namespace) -> None:
    """Train every row with every seed, then print the table of all that is there."""
    import resight

    rows = rows_of_demo()
    chosen = options.rows or list(rows)
    for seed in options.seeds:
        world = world_of(options.out, seed)
        for name in chosen:
            run = run_of(options.out, name, seed)
            if (run / "report.html").exists():
                continue
            if (run / "run.json").exists():
                resight.resume(run)
                continue
            recipe = with_teacher(rows[name].recipe(), rows, options.out, seed)
            train_seed = seed + rows[name].chance
            resight.train(world, out=run, recipe=recipe, seed=train_seed, evaluate_every=0)
    print_table(options.out, rows, options.seeds)


def with_teacher(recipe: Any, rows: dict[str, DemoRow], out: Path, seed: int) -> Any:
    """The recipe with a finished row's run for its teacher, where that row trains the same."""
    if recipe.teacher is None:
        return recipe
    trained_first = recipe.of_teacher()
    for name, row in rows.items():
        if row.chance:
            continue
        run = run_of(out, name, seed).absolute()
        alike = replace(row.recipe(), name=trained_first.name) == trained_first
        if alike and (run / "report.html").exists():
            return replace(recipe, teacher=replace(recipe.teacher, run=str(run), epochs=None))
    return recipe


def world_of(out: Path, seed: int) -> Path:
    from resight.data.demo import render_world

    world: Path = render_world(out / f"world-{seed}", **WORLD, seed=seed)
    return world


def print_table(out: Path, rows: dict[str, Any], seeds: list[int]) -> None:
    print("| | " + " | ".join(f"seed {s}" for s in seeds) + " | mean | gain over the first |")
    print("|---" * (len(seeds) + 3) + "|")
    found = {name: [figures_of(run_of(out, name, s)) for s in seeds] for name in rows}
    first = found[next(iter(rows))]
    untrained = [f and f["untrained"] for f in first]
    for name, figures in {"untrained": untrained, **found}.items():
        cells = [f"{f['mAP']:.1f} / {f['rank1']:.1f}" if f else "–" for f in figures]
        gains = [f["mAP"] - g["mAP"] for f, g in zip(figures, first, strict=True) if f and g]
        known = [f["mAP"] for f in figures if f]
        print(f"| {name} | {' | '.join(cells)} | {around(known)} | {around(gains, '+')} |")


def around(values: list[float], sign: str = "") -> str:
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.1f}{spread}"


def run_of(out: Path, name: str, seed: int) -> Path:
    return out / f"seed-{seed}" / name.replace(": ", "-").replace(" ", "_")


def figures_of(run: Path) -> dict[str, Any] | None:
    """Means over camera pairs, and those of the network before training; None without a run."""
    import resight

    if not (run / "report.html").exists():
        return None
    file = run / "camera-pairs.json"
    if not file.exists():
        result = resight.evaluate(run, protocol="camera-pairs", baselines=True)
        compared = {row["name"]: row["figures"] for row in result["comparison"]}
        untrained = next(f for name, f in compared.items() if name.endswith("untrained"))
        file.write_text(json.dumps({**result["figures"], "untrained": untrained}))
    figures: dict[str, Any] = json.loads(file.read_text())
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for work in (steps, persons, demo):
        command = commands.add_parser(work.__name__)
        command.set_defaults(work=work)
        command.add_argument("--repeats", type=int, default=12)
        if work is demo:
            command.add_argument("--out", type=Path, required=True)
            command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
            command.add_argument("--rows", nargs="+", help="some rows of the table")
    options = parser.parse_args()
    print(machine())
    options.work(options)


if __name__ == "__main__":
    main()
