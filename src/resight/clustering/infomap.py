"""InfoMap (Rosvall and Bergstrom 2008) on the links between nearest neighbours."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import scipy.sparse
from pyarrow import csv

from resight.clustering.numbering import by_first_member
from resight.errors import ConfigError
from resight.records import Features, Graph, IntArray, PseudoLabels

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class InfoMap:
    """Clusters in which a random walk along the links of nearest neighbours stays long.

    The option of Cluster Contrast's released code, with a graph of k1 = 15: a link from each sample
    to those of its k1 nearest that are similar enough, weighted by the similarity.

    min_similarity: smallest cosine of a link, above 0.
    min_size: members of smaller clusters, and samples without links, are outliers. The released
        code has the largest size that is left out, as its k2 of 4.

    Needs the package `infomap`: pip install resight[infomap].
    """

    min_similarity: float = 0.5
    min_size: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.min_similarity <= 1:
            raise ValueError(
                f"min_similarity is {self.min_similarity}, expected 0 < min_similarity <= 1"
            )
        if self.min_size < 1:
            raise ValueError(f"min_size is {self.min_size}, expected at least 1")

    def __call__(self, graph: Graph, features: Features, rng: np.random.Generator) -> PseudoLabels:
        """Cluster the nearest neighbours of the graph; features are not looked at.

        Raises ConfigError when the package `infomap` is missing or fails.
        """
        links = graph.nearest().tocoo()
        near = links.data >= np.float32(self.min_similarity)
        kept = scipy.sparse.coo_array(
            (links.data[near], (links.row[near], links.col[near])), shape=links.shape
        )
        modules = infomap_modules(kept, seed=int(rng.integers(1, LARGEST_SEED)))
        return PseudoLabels(modules).without_small(self.min_size)


def infomap_modules(links: scipy.sparse.coo_array, *, seed: int) -> IntArray:
    """The modules of two-level InfoMap on directed, weighted links.

    links: (N, N) float32 weights above 0, from row to column. seed: 1 … 2^31 - 1.
    Returns (N,) int64 modules, numbered by first member; -1 for samples without links. Raises
    ConfigError when the package `infomap` is missing or fails.

    InfoMap runs in a process of its own: loaded beside FAISS, its iterators crash (both are made by
    SWIG, and share its table of types). An interrupt ends that process.
    """
    if importlib.util.find_spec("infomap") is None:
        raise ConfigError(
            "InfoMap needs the package infomap, which is not installed: "
            "pip install resight[infomap]"
        )
    modules = np.full(links.shape[0], -1, np.int64)
    if links.nnz:
        with tempfile.TemporaryDirectory(prefix="resight-") as folder:
            samples, found = _run(Path(folder), links, seed)
        modules[samples] = found
    return by_first_member(modules)


def _run(folder: Path, links: scipy.sparse.coo_array, seed: int) -> tuple[IntArray, IntArray]:
    """The linked samples and their modules, by the package's command line."""
    table = pa.table({"from": links.row, "to": links.col, "weight": links.data})
    plain = csv.WriteOptions(include_header=False, delimiter=" ")
    csv.write_csv(table, folder / "links.txt", plain)
    options = ("--two-level", "--directed", "--clu", "--silent", "--seed", str(seed))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "infomap", "links.txt", ".", *options],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        told = " ".join((done.stderr or done.stdout).split())[-300:]
        raise ConfigError(
            f"the package infomap failed with exit code {done.returncode} on {links.nnz} links of "
            f"{links.shape[0]} crops ({told}): update it with pip install -U infomap"
        )
    found = np.loadtxt(folder / "links.clu", dtype=np.int64, usecols=(0, 1), ndmin=2)
    return found[:, 0], found[:, 1]
