"""The service under load: many clients at once against a real server process.

    python benchmarks/service.py [--rows 20000] [--queries 10000] [--clients 50] [--uploads 500]

A gallery of made-up embeddings (1280 dimensions, individuals with 17 crops each) is served by
`resight serve` in a process of its own. One client asks alone first: the median is the single-query
time. Then all clients ask at once, each for the next query as soon as it has an answer: searches
from stored crops, then searches for uploaded JPEGs of 128 x 64 with an encoder of random weights,
which costs what a trained one does. Clients and server share the machine. The bound on p99 is
5 x the single-query time x queue depth, the number of clients.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _machine import machine
from PIL import Image

from resight.gallery import Gallery, describe
from resight.models import EncoderSpec, build_encoder, save

CROPS_EACH = 17
ALONE = 200
WARM = 100
BOUND = 5
Request = Callable[[int], bytes]


class Asked(NamedTuple):
    """Seconds that each request took, its status, and seconds that all took together."""

    seconds: np.ndarray
    statuses: Counter[int]
    wall: float


def make_gallery(folder: Path, rows: int) -> Path:
    """A gallery of random individuals."""
    run = folder / "run"
    run.mkdir()
    save(build_encoder(EncoderSpec(weights="none"), seed=0).eval(), run, size=(256, 128))
    rng = np.random.default_rng(0)
    with Gallery.create(folder / "gallery", run, thumbnails="none", device="cpu") as gallery:
        dim = gallery.store.dim
        for start in range(0, rows, 5000):
            numbers = np.arange(start, min(start + 5000, rows))
            vectors = np.stack([centre(number // CROPS_EACH, dim) for number in numbers])
            vectors += 0.7 * rng.standard_normal(vectors.shape) / np.sqrt(dim)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            described = describe(
                "made up",
                [f"{number:06d}.jpg" for number in numbers],
                cameras=[f"camera {number % 8}" for number in numbers],
                times=numbers.astype(float),
            )
            gallery.store.add(described, vectors.astype(np.float32))
        gallery.optimise()
    return folder / "gallery"


def centre(identity: int, dim: int) -> np.ndarray:
    return np.random.default_rng(identity).standard_normal(dim) / np.sqrt(dim)


@contextmanager
def served(gallery: Path, log: Path) -> Iterator[tuple[int, int]]:
    """Process id and port of `resight serve`."""
    program = "from resight.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", str(gallery), "--port", "0"]
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stderr=file, stdout=file)
    try:
        yield process.pid, _port(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        if process.wait(60) != 0:
            raise SystemExit(f"the service ended badly: {log.read_text()[-2000:]}")


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        told = re.search(r"serving at http://\S+:(\d+)", log.read_text())
        if told:
            return int(told[1])
        time.sleep(0.1)
    raise SystemExit(log.read_text())


async def ask(port: int, request: Request, count: int, clients: int) -> Asked:
    """Ask `count` times, `clients` at a time, each on a connection that it keeps."""
    seconds, statuses = np.empty(count), Counter[int]()
    numbers = iter(range(count))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            started = time.perf_counter()
            writer.write(request(number))
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
            seconds[number] = time.perf_counter() - started
            statuses[int(head.split()[1])] += 1
        writer.close()
        await writer.wait_closed()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return Asked(seconds, statuses, time.perf_counter() - started)


def stored(rows: int) -> Request:
    """Searches from random stored crops."""
    chosen = np.random.default_rng(1).integers(0, rows, 1 << 16).tolist()

    def request(number: int) -> bytes:
        body = json.dumps({"ids": [chosen[number % len(chosen)]], "k": 10}).encode()
        return _head("/api/search/stored", "application/json", body)

    return request


def uploaded() -> Request:
    """Searches for pictures of noise."""
    rng = np.random.default_rng(2)
    bodies = []
    for _ in range(32):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (128, 64, 3), dtype=np.uint8)).save(file, "JPEG")
        part = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        bodies.append(part + file.getvalue() + b"\r\n--edge--\r\n")

    def request(number: int) -> bytes:
        return _head("/api/search", "multipart/form-data; boundary=edge", bodies[number % 32])

    return request


def _head(path: str, kind: str, body: bytes) -> bytes:
    told = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    return told.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def megabytes(process: int) -> float:
    """Of memory that the process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(process: int, port: int, request: Request, count: int, clients: int) -> None:
    """Print how one kind of request goes alone, and how with all clients at once."""
    asyncio.run(ask(port, request, WARM, 1))
    alone = float(np.median(asyncio.run(ask(port, request, ALONE, 1)).seconds))
    before = megabytes(process)
    many = asyncio.run(ask(port, request, count, clients))
    p50, p99 = np.quantile(many.seconds, (0.5, 0.99))
    speed, bound = count / many.wall, BOUND * alone * clients
    print(f"  a client alone   {1000 * alone:8.1f} ms a query (median)")
    print(f"  {clients} at once, p50 {1000 * p50:8.1f} ms")
    print(f"              p99 {1000 * p99:8.1f} ms, {p99 / bound:.3f} of the bound")
    print(
        f"  throughput       {speed:8.1f} queries/s, {speed * alone:.2f} x that of a client alone"
    )
    print(f"  statuses         {dict(many.statuses)}")
    print(f"  memory           {before:8.0f} MB before, {megabytes(process):.0f} MB after")


def batches(port: int) -> str:
    """How many requests were worked on together, on average, for each kind of work."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    sums = dict(re.findall(r'batch_size_sum\{work="(\w+)"\} ([\d.]+)', text))
    counts = dict(re.findall(r'batch_size_count\{work="(\w+)"\} ([\d.]+)', text))
    told = (f"{work} {float(sums[work]) / max(1.0, float(counts[work])):.1f}" for work in sums)
    return ", ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--uploads", type=int, default=500)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        gallery = make_gallery(Path(folder), given.rows)
        with served(gallery, Path(folder) / "log") as (process, port):
            print(f"{given.queries:,} searches from stored crops of {given.rows:,}")
            measure(process, port, stored(given.rows), given.queries, given.clients)
            if given.uploads:
                print(f"{given.uploads:,} searches for uploaded pictures")
                measure(process, port, uploaded(), given.uploads, given.clients)
            print(f"worked on together, on average: {batches(port)}")


if __name__ == "__main__":
    main()
