"""What the engine costs beside the arithmetic it cannot avoid.

    python benchmarks/engine.py [training extraction memory start load] [--repeats 5] [--steps 10]

training    an epoch's training part, against as many bare forward, backward and Adam steps of the
            same encoder on one fixed batch, with the cross-entropy of its embeddings as the loss
extraction  `extract`, against bare inference in the same precision on one fixed batch
memory      ClusterNCE forward and backward with respect to q, and each update policy, on one
            thread, in milliseconds of its processor besides the two matrix products
start       `import resight` and `resight --help` in new processes
load        bare training steps beside a process that keeps one core busy: with the waiting of
            threads that resight chooses, with OpenMP's default, and with spinning

The sides of a ratio run in turn and ratios are taken within a round, so that what else the
machine does meets both; figures are medians over the rounds, with their smallest and largest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
from _machine import machine
from PIL import Image

IDENTITIES, SHOTS, SIZE = 48, 8, (128, 64)
BATCH, EXTRACT_BATCH = 64, 256
QUERIES, MEMBERS, CAMERAS, DIM, CLUSTERS = 256, 16, 6, 2_048, 750
MEMORY_ROUNDS, START_ROUNDS = 40, 5
UNDER_LOAD = "--under-load"
SPIN = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
parent = os.getppid()
while os.getppid() == parent:
    sum(range(100_000))
"""
DEFAULT_WAIT, OWN_WAIT, SPINNING = "default", "resight", "active"


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def thread_milliseconds(work: Callable[[], object]) -> float:
    """Of this thread on a processor: what the rest of the machine does is not counted."""
    started = time.thread_time()
    work()
    return 1e3 * (time.thread_time() - started)


def spread(values: list[float], digits: int = 3) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} - {high:.{digits}f})"


def noise_crops(folder: Path) -> None:
    """JPEGs of noise, SHOTS of each identity."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(IDENTITIES * SHOTS):
        pixels = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04d}.jpg")


def learner(place: Path, steps: int, device_name: str):
    """The default recipe over crops of noise, labels given, `steps` batches in an epoch."""
    from resight.clustering import TrueLabels
    from resight.data import ImageStore
    from resight.device import Device
    from resight.graph import Jaccard
    from resight.methods import recipe_for
    from resight.records import Crops
    from resight.training.epoch import Learner
    from resight.training.feed import Feed

    base = recipe_for("cluster-contrast")
    recipe = replace(
        base, graph=Jaccard(), clusterer=TrueLabels(), optim=replace(base.optim, iterations=steps)
    )
    noise_crops(place / "crops")
    n = IDENTITIES * SHOTS
    crops = Crops(
        place / "crops",
        tuple(f"{number:04d}.jpg" for number in range(n)),
        np.full(n, "train"),
        cameras=np.arange(n) % SHOTS,
        identities=np.arange(n) // SHOTS + 1,
    )
    device = Device.choose(device_name)
    store = ImageStore.open(crops, size=SIZE, cache=place / "cache")
    encoder, optimizer = network(device)
    return Learner(
        recipe=recipe,
        encoder=encoder,
        forward=encoder,
        optimizer=optimizer,
        feed=Feed(store, device),
        crops=crops,
        rows=np.arange(n),
        device=device,
        seed=0,
    )


def network(device):
    """The encoder of the default recipe, and Adam as training makes it."""
    import torch

    from resight.methods import recipe_for
    from resight.models import build_encoder

    recipe = recipe_for("cluster-contrast")
    encoder = build_encoder(recipe.encoder).to(device.place)
    trained = [p for p in encoder.parameters() if p.requires_grad]
    optim = recipe.optim
    return encoder, torch.optim.Adam(trained, lr=optim.lr, weight_decay=optim.weight_decay)


def fixed_images(n: int, device):
    import torch

    images = torch.randn(n, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    return images.contiguous(memory_format=torch.channels_last).to(device.place)


def bare_training(device) -> Callable[[int], float]:
    """A function that does so many bare steps; returns their last loss, hence waits for it."""
    import torch
    from torch.nn import functional as F

    from resight.records import GLOBAL

    encoder, optimizer = network(device)
    images = fixed_images(BATCH, device)
    labels = torch.arange(BATCH, device=device.place)

    def train(steps: int) -> float:
        encoder.train()
        for _ in range(steps):
            with device.autocast(training=True):
                embeddings = encoder(images)[GLOBAL]
            loss = F.cross_entropy(embeddings.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    return train


def training(options: argparse.Namespace) -> None:
    from resight.training.epoch import run_epoch

    with tempfile.TemporaryDirectory() as name:
        engine = learner(Path(name), options.steps, options.device)
        bare = bare_training(engine.device)
        run_epoch(engine, 0)
        bare(2)
        ratios, steps = [], []
        for epoch in range(1, options.repeats + 1):
            whole = run_epoch(engine, epoch % engine.recipe.optim.epochs).seconds["train"]
            base = seconds(lambda: bare(options.steps))
            ratios.append(whole / base)
            steps.append(1e3 * base / options.steps)
    print(f"training / bare steps           {spread(ratios)}   goal <= 1.10")
    print(f"  a bare step of {BATCH} images      {spread(steps, 0)} ms")


def extraction(options: argparse.Namespace) -> None:
    import torch

    from resight.records import GLOBAL
    from resight.training.extract import extract

    with tempfile.TemporaryDirectory() as name:
        engine = learner(Path(name), options.steps, options.device)
        rows = np.arange(2 * EXTRACT_BATCH) % len(engine.feed)
        encoder, device = engine.encoder.eval(), engine.device
        images = fixed_images(EXTRACT_BATCH, device)

        def bare() -> None:
            with torch.inference_mode(), device.autocast(training=False):
                for _ in range(len(rows) // EXTRACT_BATCH):
                    embeddings = encoder(images)[GLOBAL]
            embeddings.cpu()

        def whole() -> None:
            extract(encoder, engine.feed, engine.crops, device, rows=rows)

        whole(), bare()
        times = [(seconds(whole), seconds(bare)) for _ in range(options.repeats)]
    precision = "bf16" if device.extract_bf16 else "float32"
    print(f"extract / bare inference        {spread([a / b for a, b in times])}   goal <= 1.10")
    fastest = len(rows) / min(base for _, base in times)
    print(f"  bare, {precision}: {fastest:.0f} images/s")


def memory(options: argparse.Namespace) -> None:
    import torch
    from torch.nn import functional as F

    from resight.losses import cluster_nce
    from resight.memory.update import Policy, move

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    q = F.normalize(torch.randn(QUERIES, DIM, generator=generator))
    vectors = F.normalize(torch.randn(CLUSTERS, DIM, generator=generator))
    chosen = torch.randperm(CLUSTERS, generator=generator)[: QUERIES // MEMBERS]
    labels = chosen.repeat_interleave(MEMBERS)
    cameras = torch.randint(CAMERAS, (QUERIES,), generator=generator)
    tracked, slope = q.clone().requires_grad_(), torch.randn(QUERIES, CLUSTERS)

    def products() -> None:
        q @ vectors.T, slope @ vectors

    def loss() -> None:
        tracked.grad = None
        cluster_nce(tracked, vectors, labels, temperature=0.05).mean().backward()

    def update(policy: Policy) -> None:
        move(policy, vectors, q, labels, momentum=0.1, cameras=cameras, generator=generator)

    products(), loss()
    extra, bare = [], []
    updates: dict[Policy, list[float]] = {policy: [] for policy in get_args(Policy)}
    for _ in range(MEMORY_ROUNDS):
        bare.append(thread_milliseconds(products))
        extra.append(thread_milliseconds(loss) - bare[-1])
        for policy, times in updates.items():
            times.append(thread_milliseconds(lambda policy=policy: update(policy)))
    torch.set_num_threads(threads)
    print(
        f"B = {QUERIES}, D = {DIM}, C = {CLUSTERS}, one thread; besides the products, goal < 3 ms"
    )
    print(f"  the two matrix products       {spread(bare, 2)} ms")
    print(f"  loss, besides the products    {spread(extra, 2)} ms")
    for policy, times in updates.items():
        total = statistics.median(extra) + statistics.median(times)
        print(f"  {policy:8s} {spread(times, 2)} ms; with the loss {total:.2f} ms")


def start(options: argparse.Namespace) -> None:
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import resight": [sys.executable, "-c", "import resight"],
        "resight --help": [sys.executable, "-c", "from resight.cli import main; main()", "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(START_ROUNDS):
        for name, command in commands.items():
            times[name].append(seconds(lambda c=command: subprocess.run(c, capture_output=True)))
    for name, goal in zip(commands, ("", "goal 0.2 s", "goal 1 s"), strict=True):
        print(f"{name}                  {spread(times[name], 2)} s   {goal}")


@contextmanager
def busy_core() -> Iterator[None]:
    """A process that computes without end, on one core where the system can bind it."""
    process = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def under_load(wait: str, steps: int) -> None:
    """Print the milliseconds of a bare training step; `wait` says when OpenMP is loaded."""
    if wait == DEFAULT_WAIT:
        import torch  # noqa: F401  (before resight, which chooses how threads wait)
    from resight.device import Device

    train = bare_training(Device.choose("cpu"))
    train(2)
    print(1e3 * seconds(lambda: train(steps)) / steps)


def step_in_new_process(wait: str, steps: int) -> float:
    chosen = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in chosen}
    if wait == SPINNING:
        environment |= {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "infinite"}
    command = [sys.executable, __file__, UNDER_LOAD, wait, "--steps", str(steps)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def load(options: argparse.Namespace) -> None:
    waits = (OWN_WAIT, DEFAULT_WAIT, SPINNING)
    with busy_core():
        rounds = [
            {wait: step_in_new_process(wait, options.steps) for wait in waits}
            for _ in range(options.repeats)
        ]
    own = [times[OWN_WAIT] for times in rounds]
    print(f"a training step beside a busy core, resight's waiting: {spread(own, 0)} ms")
    for wait in waits[1:]:
        ratios = [times[wait] / times[OWN_WAIT] for times in rounds]
        print(f"  {wait} waiting / resight's        {spread(ratios, 2)}")


PARTS = {
    "training": training,
    "extraction": extraction,
    "memory": memory,
    "start": start,
    "load": load,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="in each timed stretch of training")
    parser.add_argument("--device", default="auto")
    parser.add_argument(UNDER_LOAD, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.under_load:
        under_load(options.under_load, options.steps)
        return
    if unknown := sorted(set(options.parts) - set(PARTS)):
        parser.error(f"unknown {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    print(f"{machine()}, {options.repeats} rounds of {options.steps} steps")
    for part in options.parts:
        PARTS[part](options)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
