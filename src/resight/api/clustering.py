"""`resight cluster`: features in, labels and a summary out."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resight.clustering import DBSCAN, AutoDBSCAN
from resight.clustering.doctor import (
    CameraMix,
    Proposal,
    SweepRow,
    camera_mix,
    diagnose,
    propose_eps,
    sweep,
)
from resight.clustering.quality import against_identities, label_free
from resight.errors import ConfigError, DataError, ResightError
from resight.files import as_json, write_atomically
from resight.graph import Jaccard
from resight.parts import near
from resight.recipe import Recipe
from resight.records import (
    OUTLIER,
    Crops,
    Features,
    FloatArray,
    Graph,
    IntArray,
    PseudoLabels,
)

SETTINGS = ("graph", "clusterer", "min_cluster_size")
DEFAULTS = replace(
    Recipe(),
    graph=Jaccard(centre_cameras=True),
    clusterer=AutoDBSCAN(margin=0, largest_k1=30),
)
UNITS = {"B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
VANISHED = 1e-12


@dataclass(frozen=True, eq=False)
class Explanation:
    """What the doctor saw: the sweep over eps with its proposal, and how cameras mix.

    proposal: None when no eps is of use. cameras: None when they are not known. centred: whether
    the graph's features are centred per camera already.
    """

    sweep: tuple[SweepRow, ...]
    proposal: Proposal | None
    cameras: CameraMix | None
    centred: bool


@dataclass(frozen=True, eq=False)
class Clustering:
    """Labels (N,) of features, the graph that they come from, and figures about them.

    summary: what `summary.json` holds. explanation: when it was asked for.
    """

    labels: PseudoLabels
    graph: Graph
    summary: dict[str, Any]
    explanation: Explanation | None = None


def cluster(
    features: str | Path | FloatArray,
    *,
    out: str | Path | None = None,
    cameras: str | Path | IntArray | None = None,
    identities: str | Path | IntArray | None = None,
    settings: Mapping[str, Any] | None = None,
    explain: bool = False,
    memory: int | str | None = None,
    seed: int = 0,
) -> Clustering:
    """Cluster features on their k-reciprocal Jaccard graph.

    features: (N, D) floating point, or an .npy file of them; rows are normalised. cameras,
    identities: (N,) numbers or names, or .npy files; identities (-1 for unknown) only serve to
    judge the result, unless the clusterer is TrueLabels.
    settings: overrides of `graph`, `clusterer` and `min_cluster_size` of a recipe, for example
    {"clusterer.part": "DBSCAN", "clusterer.eps": 0.6}; by default k1 and eps come from the data.
    explain: also sweep eps and tell what the distances look like; then all samples are outliers,
    instead of an error, when no k1 and eps is of use. memory: bytes that may be used
    besides the features, or "8G". out: a folder that gets labels.parquet (row, label) and
    summary.json; what is there is replaced.

    Raises ResightError subclasses for what the caller can mend.
    """
    plan = _plan(settings or {})
    if seed < 0:
        raise ConfigError(f"seed is {seed}, expected 0 or more")
    if out is not None:
        _check_folder(Path(out))
    limit = None if memory is None else bytes_of(memory)
    table = _normalised(_array(features, "features"))
    seen = _numbered(cameras, "cameras", len(table))
    known = _known(identities, len(table))
    crops = _crops(len(table), seen, known)
    plan.check(crops)
    given = Features({"global": table}, crops)
    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    labels, graph, used = _cluster(plan, given, limit, rng, explain=explain)
    summary = _summary(labels, graph, used, seen, known)
    summary["seconds"] = round(time.perf_counter() - started, 2)
    explanation = _explain(plan, graph, given) if explain else None
    if out is not None:
        _write(Path(out), labels, summary)
    return Clustering(labels, graph, summary, explanation)


def bytes_of(text: int | str) -> int:
    """8589934592 of "8G", "8GB" or "8 GiB"; binary units. Raises ConfigError for other words."""
    if isinstance(text, int):
        return text
    word = text.strip().upper().removesuffix("IB").removesuffix("B") or "?"
    number, unit = (word[:-1], word[-1]) if word[-1] in UNITS else (word, "B")
    try:
        size = float(number) * UNITS[unit]
    except ValueError:
        size = math.nan
    if not 0 < size < math.inf:
        raise ConfigError(f"memory is {text!r}, expected a size like 8G or 500M")
    return int(size)


def _plan(settings: Mapping[str, Any]) -> Recipe:
    for key in settings:
        if key.split(".")[0] not in SETTINGS:
            raise ConfigError(f"{key}: clustering has no such setting; {near(key, SETTINGS)}")
    plan = DEFAULTS.override(settings)
    if plan.graph.colour:
        raise ConfigError("graph.colour needs images: leave it out when clustering features")
    return plan


def _array(given: str | Path | np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    if isinstance(given, np.ndarray):
        return given
    try:
        array: np.ndarray[Any, Any] = np.load(given, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"cannot read {name} from {given}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise DataError(
            f"{given} is not a NumPy file (.npy) of {name}: save them with numpy.save, "
            "numbers or words, not objects"
        ) from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{given} holds several arrays: save the {name} alone with numpy.save")
    return array


def _normalised(table: np.ndarray[Any, Any]) -> FloatArray:
    """(N, D) float32 with rows of length 1. Raises DataError naming rows that cannot be."""
    if table.ndim != 2 or table.dtype.kind != "f":
        raise DataError(
            f"features are {table.shape} {table.dtype}, expected (N, D) floating point numbers"
        )
    rows = np.asarray(table, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    broken = np.flatnonzero(~(np.isfinite(lengths[:, 0]) & (lengths[:, 0] > VANISHED)))
    if len(broken):
        listed = ", ".join(map(str, broken[:5])) + (", …" if len(broken) > 5 else "")
        raise DataError(
            f"{len(broken)} of {len(rows)} feature rows are zero, NaN or infinite "
            f"(rows {listed}): leave these out"
        )
    normalised: FloatArray = rows / lengths
    return normalised


def _numbered(given: str | Path | IntArray | None, name: str, n: int) -> IntArray | None:
    """Any names as 0, 1, …; raises DataError unless there are n."""
    if given is None:
        return None
    names = _array(given, name)
    if names.shape != (n,):
        raise DataError(f"{name} have shape {names.shape}, expected ({n},): one per feature row")
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _known(given: str | Path | IntArray | None, n: int) -> IntArray | None:
    """Identities from 1 on; -1 stays, as unlabelled."""
    numbered = _numbered(given, "identities", n)
    if given is None or numbered is None:
        return None
    names = _array(given, "identities")
    unlabelled = names == -1 if names.dtype.kind in "if" else np.zeros(n, np.bool_)
    return np.where(unlabelled, -1, numbered + 1)


def _crops(n: int, cameras: IntArray | None, identities: IntArray | None) -> Crops:
    """What a graph and a clusterer may ask about features without files."""
    return Crops(
        Path(),
        tuple(map(str, range(n))),
        np.full(n, "train"),
        cameras=cameras,
        identities=identities,
    )


def _cluster(
    plan: Recipe,
    features: Features,
    memory: int | None,
    rng: np.random.Generator,
    *,
    explain: bool,
) -> tuple[PseudoLabels, Graph, dict[str, Any]]:
    """Labels, graph, and the settings that the data proposed."""
    clusterer = plan.clusterer_at(0)
    if not isinstance(clusterer, AutoDBSCAN):
        graph = plan.graph(features, memory=memory)
        labels = clusterer(graph, features, rng)
        return labels.without_small(plan.min_cluster_size), graph, {}
    vectors = plan.graph.vectors(features)
    cameras = None if features.crops is None else features.crops.cameras
    variants = plan.graph.variants(features, vectors, memory=memory)
    chosen = clusterer.choose(vectors, variants, cameras=cameras)
    if chosen is None and explain:
        nothing = PseudoLabels(np.full(len(features), OUTLIER, np.int64))
        return nothing, plan.graph(features, memory=memory), {}
    if chosen is None:
        raise DataError(
            f"no k1 and eps separates these {len(features)} features into clusters: look at the "
            "distances with --explain, or name a clusterer and its settings with --set"
        )
    graph, labels, proposal = chosen
    used = {"k1": proposal.k1, "k2": proposal.k2, "eps": proposal.eps}
    return labels.without_small(plan.min_cluster_size), graph, used


def _summary(
    labels: PseudoLabels,
    graph: Graph,
    used: dict[str, Any],
    cameras: IntArray | None,
    identities: IntArray | None,
) -> dict[str, Any]:
    """Figures of the result; what does not exist is None."""
    summary: dict[str, Any] = {"features": len(graph), **used}
    summary |= label_free(labels.labels, graph=graph, cameras=cameras)
    problem = diagnose(labels) if len(graph) else None
    if problem is not None:
        summary["problem"] = str(problem)
    if identities is not None:
        summary["against_identities"] = against_identities(labels.labels, identities)
    return summary


def _explain(plan: Recipe, graph: Graph, features: Features) -> Explanation:
    clusterer = plan.clusterer_at(0)
    centred = isinstance(plan.graph, Jaccard) and plan.graph.centre_cameras
    if not len(graph):
        return Explanation((), None, None, centred)
    dbscan = clusterer if isinstance(clusterer, DBSCAN | AutoDBSCAN) else DBSCAN("auto")
    cameras = None if features.crops is None else features.crops.cameras
    seen: dict[str, Any] = {
        "min_samples": dbscan.min_samples,
        "features": plan.graph.vectors(features),
        "cameras": cameras,
    }
    proposal = propose_eps(graph, **seen)
    rows = sweep(graph, **seen) if proposal is None else proposal.sweep
    mix = None
    if cameras is not None and len(np.unique(cameras)) > 1:
        mix = camera_mix(graph, cameras)
    return Explanation(rows, proposal, mix, centred)


def _check_folder(out: Path) -> None:
    """Raise before the work what writing would raise after it."""
    there = next(folder for folder in (out, *out.parents) if folder.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise ResightError(f"cannot write to {out}: {there} is no folder that can be written")


def _write(out: Path, labels: PseudoLabels, summary: dict[str, Any]) -> None:
    table = pa.table({"row": np.arange(len(labels.labels)), "label": labels.labels})
    write_atomically(out / "labels.parquet", lambda draft: pq.write_table(table, draft))
    text = as_json(summary, indent=2)
    write_atomically(out / "summary.json", lambda draft: draft.write_text(text))
