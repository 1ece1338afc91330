"""Made-up rows of galleries, the stores that keep them, and how these are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

CAMERAS = 8
CROPS_EACH = 17
BATCH = 1000
K = 10


class World:
    """Individuals around a common mean, with crops around them.

    Like the embeddings of a trained encoder (the demo's), 45% of whose length is common to all and
    30% differs between crops of an individual; the i-th direction has i ** -1.2 of what
    differs between individuals and 1 / i of what differs between crops. Or else directions are
    uniformly random, where nothing is near.
    """

    def __init__(self, rows: int, dim: int, *, uniform: bool = False) -> None:
        rng = np.random.default_rng(0)
        self.rows, self.dim, self.uniform = rows, dim, uniform
        self.mean = rng.standard_normal(dim, dtype=np.float32) * np.sqrt(0.45 / dim)
        shares = [0.25 * _falling(dim, 1.2), 0.3 * _falling(dim, 1.0)]
        self.between, self.within = (np.sqrt(share).astype(np.float32) for share in shares)

    def crops(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """(n, dim) rows of length 1 of random individuals, and (n,) their cameras."""
        rng = np.random.default_rng((seed, 1))
        cameras = rng.integers(0, CAMERAS, n)
        rows = rng.standard_normal((n, self.dim), dtype=np.float32)
        if not self.uniform:
            rows *= self.within
            rows += self.mean
            for row, individual in enumerate(rng.integers(0, self.rows // CROPS_EACH + 1, n)):
                own = np.random.default_rng((individual, 2))
                rows[row] += self.between * own.standard_normal(self.dim, dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows, cameras

    def batches(self, size: int = BATCH) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for first in range(0, self.rows, size):
            yield first, *self.crops(min(size, self.rows - first), seed=first + 1)


def _falling(dim: int, power: float) -> np.ndarray:
    """(dim,) shares i ** -power of 1."""
    shares = np.arange(1, dim + 1) ** -power
    return shares / shares.sum()


class Side(Protocol):
    def insert(self, first: int, vectors: np.ndarray, cameras: np.ndarray) -> None: ...
    def search(self, queries: np.ndarray, camera: int | None = None) -> np.ndarray: ...
    def count(self) -> int: ...
    def settle(self) -> None: ...


class MilvusLite:
    """Milvus Lite as its documentation has it: one collection, searched exactly (FLAT)."""

    def __init__(self, folder: Path, dim: int, kind: str = "FLAT") -> None:
        from pymilvus import DataType, MilvusClient

        folder.mkdir(parents=True, exist_ok=True)
        self.client = MilvusClient(str(folder / "milvus.db"))
        if not self.client.has_collection("crops"):
            schema = self.client.create_schema(auto_id=False)
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("camera", DataType.VARCHAR, max_length=64)
            schema.add_field("path", DataType.VARCHAR, max_length=512)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
            index = self.client.prepare_index_params()
            index.add_index("vector", index_type=kind, metric_type="IP")
            self.client.create_collection("crops", schema=schema, index_params=index)
        self.client.load_collection("crops")

    def insert(self, first: int, vectors: np.ndarray, cameras: np.ndarray) -> None:
        rows = [
            {"id": first + i, "camera": f"c{camera}", "path": f"{first + i}.jpg", "vector": vector}
            for i, (camera, vector) in enumerate(zip(cameras, vectors, strict=True))
        ]
        self.client.insert("crops", rows)

    def search(self, queries: np.ndarray, camera: int | None = None) -> np.ndarray:
        where = "" if camera is None else f'camera == "c{camera}"'
        found = self.client.search("crops", data=list(queries), limit=K, filter=where)
        return np.array([[hit["id"] for hit in hits] for hits in found])

    def count(self) -> int:
        return int(self.client.query("crops", filter="", output_fields=["count(*)"])[0]["count(*)"])

    def settle(self) -> None:
        self.client.flush("crops")


class Files:
    """The embedded store of resight."""

    def __init__(self, folder: Path, dim: int) -> None:
        from resight.gallery.stores.files import FileStore

        self.store = FileStore.open(folder, dim=dim, create=True)

    def insert(self, first: int, vectors: np.ndarray, cameras: np.ndarray) -> None:
        from resight.gallery.records import Rows

        n = len(vectors)
        names = tuple(f"{first + i}.jpg" for i in range(n))
        unknown = np.full(n, -1, np.int64)
        rows = Rows(
            sources=("made up",) * n,
            paths=names,
            stamps=("1",) * n,
            cameras=tuple(f"c{camera}" for camera in cameras),
            times=np.arange(first, first + n, dtype=np.float64),
            tracks=unknown,
            added=np.full(n, time.time()),
            ids=unknown,
        )
        self.store.add(rows, vectors)

    def search(self, queries: np.ndarray, camera: int | None = None) -> np.ndarray:
        from resight.gallery.records import Filter

        where = Filter(cameras=None if camera is None else frozenset([f"c{camera}"]))
        return self.store.search(queries, K, where).ids

    def count(self) -> int:
        return self.store.count()

    def settle(self) -> None:
        self.store.optimise()


SIDES: dict[str, Callable[[Path, int], Side]] = {
    "milvus": MilvusLite,
    "files": Files,
    "uniform": Files,
}


def seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


class Times(NamedTuple):
    """Median seconds on the clock, and of processors."""

    wall: float
    cpu: float


def in_turn(rounds: int, **sides: Callable[[], Any]) -> dict[str, Times]:
    """The times of each side after one round to warm up; the sides take turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, work in sides.items():
            cpu = time.process_time()
            wall = seconds(work)
            times[name] += [(wall, time.process_time() - cpu)] if number else []
    return {name: Times(*np.median(both, axis=0).tolist()) for name, both in times.items()}


def memory() -> dict[str, float]:
    """GiB of this process: its own, and of files that it has mapped, which the system can drop."""
    status = Path("/proc/self/status").read_text().splitlines()
    table = dict(line.split(":", 1) for line in status if ":" in line)
    return {
        "own GiB": int(table["RssAnon"].split()[0]) / 2**20,
        "mapped GiB": int(table["RssFile"].split()[0]) / 2**20,
    }
