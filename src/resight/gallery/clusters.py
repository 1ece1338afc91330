"""The pseudo-labels of the run that a gallery's encoder comes from: clusters.parquet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resight.errors import GalleryError
from resight.files import write_atomically
from resight.records import IntArray

FILE = "clusters.parquet"


@dataclass(frozen=True, eq=False)
class Clusters:
    """crops: N pairs of source and path. labels: (N,) int64 from 0."""

    crops: tuple[tuple[str, str], ...]
    labels: IntArray

    def __post_init__(self) -> None:
        if self.labels.shape != (len(self.crops),):
            raise ValueError(f"labels has shape {self.labels.shape} for {len(self.crops)} crops")


def read_clusters(folder: Path) -> Clusters:
    """The clusters that a gallery keeps, perhaps none; raises GalleryError for a damaged file."""
    file = folder / FILE
    if not file.exists():
        return Clusters((), np.empty(0, np.int64))
    try:
        table = pq.read_table(file, columns=["source", "path", "label"])
        labels = table["label"].to_numpy().astype(np.int64)
        crops = zip(table["source"].to_pylist(), table["path"].to_pylist(), strict=True)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise GalleryError(
            f"{file} cannot be read ({error}): delete it, and index again to write it anew"
        ) from error
    return Clusters(tuple(crops), labels)


def write_clusters(folder: Path, clusters: Clusters) -> None:
    """Replace the clusters of a gallery."""
    if not len(clusters.labels):
        (folder / FILE).unlink(missing_ok=True)
        return
    table = pa.table(
        {
            "source": _column(clusters.crops, 0),
            "path": _column(clusters.crops, 1),
            "label": clusters.labels,
        }
    )
    write_atomically(folder / FILE, lambda draft: pq.write_table(table, draft))


def forget_clusters(folder: Path, crops: Collection[tuple[str, str]]) -> None:
    """Take crops out of the clusters of a gallery."""
    if not (folder / FILE).exists():
        return
    clusters = read_clusters(folder)
    kept = [row for row, crop in enumerate(clusters.crops) if crop not in crops]
    if len(kept) < len(clusters.crops):
        left = tuple(clusters.crops[row] for row in kept)
        write_clusters(folder, Clusters(left, clusters.labels[kept]))


def _column(crops: Sequence[tuple[str, str]], place: int) -> pa.Array:
    return pa.array([crop[place] for crop in crops], pa.string()).dictionary_encode()
