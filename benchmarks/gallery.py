"""Stores of galleries: Milvus Lite beside the file store, and search beside FAISS flat.

    python benchmarks/gallery.py stores [--rows 10000 100000] [--sides files milvus]
    python benchmarks/gallery.py search [--rows 100000 1000000] [--uniform] [--folder F]

Rows are made up: individuals with several crops each, seen by 8 cameras; queries are other crops of
the same individuals, in no store. Sides take turns within one process; times are medians. Where
other work runs beside it, times on the clock say little: `search` tells processor time as well.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from _machine import machine
from _stores import SIDES, Files, K, World, in_turn, memory, seconds

LARGE_BATCH = 4096
KILLS = 5
ONE_BY_ONE = 50
WAYS = ("FAISS flat", "exact", "approximate")


def share_found(true: np.ndarray, found: np.ndarray) -> float:
    """recall@10 of (Q, 10) ids."""
    return float(np.mean([len({*a} & {*b}) / K for a, b in zip(true, found, strict=True)]))


def fill_only(side: str, folder: Path, rows: int, dim: int) -> dict[str, float]:
    world, store = World(rows, dim, uniform=side == "uniform"), Files(folder, dim)
    for first, vectors, cameras in world.batches(LARGE_BATCH):
        store.insert(first, vectors, cameras)
    return {"s to optimise": seconds(store.settle)}


def fill(side: str, folder: Path, rows: int, dim: int) -> dict[str, float]:
    """Insert in batches, then one by one."""
    world, store = World(rows, dim), SIDES[side](folder, dim)
    spent = 0.0
    for first, vectors, cameras in world.batches():
        spent += seconds(lambda f=first, v=vectors, c=cameras: store.insert(f, v, c))
    one, camera = world.crops(ONE_BY_ONE, seed=10**9)
    single = [
        seconds(lambda i=i: store.insert(rows + i, one[i : i + 1], camera[i : i + 1]))
        for i in range(ONE_BY_ONE)
    ]
    settled = seconds(store.settle)
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 2**30
    return {
        "rows inserted a second, by 1000": rows / spent,
        "ms to insert one row": 1e3 * float(np.median(single)),
        "s to settle (flush or optimise)": settled,
        "GiB on disk": size,
        **{f"{k} after filling": v for k, v in memory().items()},
    }


def reopen(side: str, folder: Path, rows: int, dim: int) -> dict[str, float]:
    queries = World(1, dim).crops(1, seed=1)[0]
    begin = time.perf_counter()
    store = SIDES[side](folder, dim)
    counted = store.count()
    opened = time.perf_counter() - begin
    first = seconds(lambda: store.search(queries))
    assert counted in (rows, rows + ONE_BY_ONE), f"{counted} rows, expected {rows}"
    return {"s to open and count": opened, "s of the first search": first} | memory()


def compare(side: str, folder: Path, rows: int, dim: int) -> dict[str, float]:
    world, store = World(rows, dim), SIDES[side](folder, dim)
    flat, cameras = faiss.IndexFlatIP(dim), []
    for _, vectors, camera in world.batches():
        flat.add(vectors)
        cameras.append(camera)
    one, camera = world.crops(ONE_BY_ONE, seed=10**9)
    flat.add(one)
    chosen = np.flatnonzero(np.concatenate([*cameras, camera]) == 3)
    queries = world.crops(64, seed=10**9 + 1)[0]
    only = faiss.SearchParameters(sel=faiss.IDSelectorBatch(chosen))
    times = in_turn(
        7,
        flat_1=lambda: flat.search(queries[:1], K),
        side_1=lambda: store.search(queries[:1]),
        flat_64=lambda: flat.search(queries, K),
        side_64=lambda: store.search(queries),
        flat_filter=lambda: flat.search(queries[:1], K, params=only),
        side_filter=lambda: store.search(queries[:1], camera=3),
    )
    true, found = flat.search(queries, K)[1], store.search(queries)
    return {
        "recall@10": share_found(true, found),
        "ms, one query": 1e3 * times["side_1"].wall,
        "… / FAISS flat": times["side_1"].wall / times["flat_1"].wall,
        "ms a query in 64": 1e3 * times["side_64"].wall / 64,
        "… / FAISS flat in 64": times["side_64"].wall / times["flat_64"].wall,
        "ms, one query, one camera": 1e3 * times["side_filter"].wall,
        "… / FAISS flat with a selector": times["side_filter"].wall / times["flat_filter"].wall,
    }


def insert_forever(side: str, folder: Path, rows: int, dim: int) -> dict[str, float]:
    """Batches of 100 from the row that the store has got to; prints what was acknowledged."""
    store, world = SIDES[side](folder, dim), World(10**6, dim)
    first = store.count()
    vectors, cameras = world.crops(100, seed=1)
    print(first, flush=True)
    while True:
        store.insert(first, vectors, cameras)
        first += 100
        print(first, flush=True)


def count(side: str, folder: Path, rows: int, dim: int) -> dict[str, float]:
    return {"rows": SIDES[side](folder, dim).count()}


STEPS = {step.__name__: step for step in (fill, fill_only, reopen, compare, insert_forever, count)}


def child(step: str, side: str, folder: Path, rows: int, dim: int) -> list[str]:
    return [sys.executable, __file__, "step", step, side, str(folder), str(rows), str(dim)]


def run_step(step: str, side: str, folder: Path, rows: int, dim: int) -> dict[str, float]:
    words = child(step, side, folder, rows, dim)
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def killed(side: str, folder: Path, dim: int) -> dict[str, float]:
    """Rows that were acknowledged and are gone, and that are there beyond the last batch."""
    lost = torn = failed = 0
    chance = random.Random(0)
    for _ in range(KILLS):
        words = child("insert_forever", side, folder, 0, dim)
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            known = int(process.stdout.readline())
            end = time.monotonic() + chance.uniform(0.2, 1.5)
            while time.monotonic() < end:
                known = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            known = max([known, *map(int, process.stdout.read().split())])
        try:
            there = int(run_step("count", side, folder, 0, dim)["rows"])
        except subprocess.CalledProcessError:
            failed += 1
            continue
        lost += max(0, known - there)
        torn += there % 100
    return {
        "kills": KILLS,
        "acknowledged rows lost": lost,
        "parts of batches": torn,
        "failed": failed,
    }


def search(rows: int, dim: int, folder: Path, *, uniform: bool) -> None:
    """The file store, exact and approximate, beside FAISS flat in float32."""
    kind = "uniform" if uniform else "files"
    if not folder.exists():
        print(f"filled: {run_step('fill_only', kind, folder, rows, dim)}")
    print(f"opened: {run_step('reopen', kind, folder, rows, dim)}")
    store, world = Files(folder, dim).store, World(rows, dim, uniform=uniform)
    print(f"{store.state()}, memory {memory()}")
    flat, cameras = faiss.IndexFlatIP(dim), []
    for _, vectors, some in world.batches(LARGE_BATCH):
        flat.add(vectors)
        cameras.append(some)
    queries = world.crops(128, seed=10**9 + 1)[0]
    print(f"{'ms on the clock and of processors':40s}" + "".join(f"{n:>22s}" for n in WAYS))
    for name, (where, mask) in filters(np.concatenate(cameras)).items():
        selector = None
        if mask is not None:
            bits = np.packbits(mask, bitorder="little")
            selector = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        ways: list[Callable[[np.ndarray], np.ndarray]] = [
            lambda asked, s=selector: flat.search(asked, K, params=s)[1],
            lambda asked, w=where: store.search(asked, K, w, exact=True).ids,
            lambda asked, w=where: store.search(asked, K, w).ids,
        ]
        for n in (1, 16, 128) if mask is None else (1,):
            works = {
                way: lambda f=f, n=n: f(queries[:n]) for way, f in zip(WAYS, ways, strict=True)
            }
            times = in_turn(1 if n == 128 else 5, **works)
            base = times[WAYS[0]]
            cells = [f"{1e3 * t.wall:9.1f} {1e3 * t.cpu:8.1f} x{t.cpu / base.cpu:4.2f}"
                     for t in times.values()]  # fmt: skip
            print(f"{f'{name}, {n} at once':40s}{''.join(cells)}", flush=True)
        true, exact, near = (
            np.concatenate([f(queries[i : i + 8]) for i in range(0, 64, 8)]) for f in ways
        )
        shares = [share_found(true, found) for found in (exact, near)]
        print("    recall@10: exact {:.4f}, approximate {:.4f}".format(*shares))


def filters(cameras: np.ndarray) -> dict[str, tuple[Any, np.ndarray | None]]:
    """Filters with the rows that they leave; `times` are rows' numbers."""
    from resight.gallery.records import ALL, Filter

    first = np.arange(len(cameras)) <= len(cameras) / 100
    return {
        "all rows": (ALL, None),
        "7 of 8 cameras": (Filter(without_cameras=frozenset(["c3"])), cameras != 3),
        "1 of 8 cameras": (Filter(cameras=frozenset(["c3"])), cameras == 3),
        "1% by time": (Filter(until=len(cameras) / 100), first),
    }


def stores(rows: list[int], sides: list[str], dim: int) -> None:
    for n in rows:
        print(f"\n{n} x {dim}: {machine()}")
        columns = {}
        for side in sides:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name) / "store"
                figures = run_step("fill", side, folder, n, dim)
                figures |= run_step("reopen", side, folder, n, dim)
                figures |= run_step("compare", side, folder, n, dim)
                columns[side] = figures
        table(columns)
    columns = {}
    for side in sides:
        with tempfile.TemporaryDirectory() as name:
            columns[side] = killed(side, Path(name) / "store", dim)
    print("\nkill -9 during insertion")
    table(columns)


def table(columns: dict[str, dict[str, float]]) -> None:
    print(f"{'':36s}" + "".join(f"{side:>12s}" for side in columns))
    for name in next(iter(columns.values())):
        print(f"{name:36s}" + "".join(f"{column[name]:12.4g}" for column in columns.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    beside = commands.add_parser("stores")
    beside.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    beside.add_argument(
        "--sides", nargs="+", choices=["milvus", "files"], default=["milvus", "files"]
    )
    beside.add_argument("--dim", type=int, default=1280)
    speed = commands.add_parser("search")
    speed.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    speed.add_argument("--dim", type=int, default=1280)
    speed.add_argument("--uniform", action="store_true")
    speed.add_argument("--folder", type=Path, help="keep the store there")
    step = commands.add_parser("step")
    for name in ("name", "side", "folder"):
        step.add_argument(name)
    step.add_argument("rows", type=int)
    step.add_argument("dim", type=int)
    options = parser.parse_args()
    if options.command == "stores":
        stores(options.rows, options.sides, options.dim)
    elif options.command == "search":
        for rows in options.rows:
            with tempfile.TemporaryDirectory() as name:
                print(f"\n{rows} x {options.dim}: {machine()}")
                folder = options.folder or Path(name) / "store"
                search(rows, options.dim, folder, uniform=options.uniform)
    else:
        work = STEPS[options.name]
        print(json.dumps(work(options.side, Path(options.folder), options.rows, options.dim)))


if __name__ == "__main__":
    main()
