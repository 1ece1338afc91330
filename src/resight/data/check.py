"""What was read of a data set, and what is odd about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from resight.data.recognise import Recognised, recognise
from resight.data.sheet import camera_counts, draw_sheet, save_sheet
from resight.data.sources import detect_layout, read_crops
from resight.data.store import Broken, ImageStore
from resight.records import SPLITS, Crops, IntArray

_SHOWN = 8


@dataclass(frozen=True)
class Sizes:
    """The smallest, the median and the largest of the original heights and widths, in pixels."""

    height: tuple[int, int, int]
    width: tuple[int, int, int]


@dataclass(frozen=True)
class DataCheck:
    """What `check_data` found; counts are of readable images.

    layout: the one that was read. splits: images per split. cameras: images per camera, empty
    when nothing is known of cameras. identities: how many there are, None without labels;
    shared: how many of them at least two cameras saw. unlabelled: images without identity (junk
    in Market-1501); distractors: images that match nobody. tracks: how many there are, None when
    nothing is known of them. timed: images whose time is known. duplicates: groups of paths with
    the same bytes. benchmark: the published data set that this is a copy of, None where none is
    near. notes: what is odd, a sentence each. sheet: the file of samples, if asked for.
    """

    root: Path
    layout: str
    images: int
    splits: Mapping[str, int]
    cameras: Mapping[str, int]
    identities: int | None
    shared: int
    unlabelled: int
    distractors: int
    tracks: int | None
    timed: int
    sizes: Sizes
    broken: tuple[Broken, ...]
    duplicates: tuple[tuple[str, ...], ...]
    benchmark: Recognised | None
    notes: tuple[str, ...]
    sheet: Path | None = None

    def render(self) -> Table:
        """The findings as a two-column table for a rich console; long lists are cut short."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for label, text in self._lines():
            table.add_row(label, Text(text))
        return table

    def _lines(self) -> list[tuple[str, str]]:
        lines = [
            ("data", str(self.root)),
            ("layout", self.layout),
            *self._benchmark_lines(),
            ("images", f"{self.images:,} ({_counts(self.splits)})"),
            ("cameras", self._cameras_line()),
            ("identities", self._identities_line()),
            *([] if self.tracks is None else [("tracks", f"{self.tracks:,}")]),
            *([("times", f"of {self.timed:,} images")] if self.timed else []),
            ("height", _range(self.sizes.height)),
            ("width", _range(self.sizes.width)),
            ("unreadable", f"{len(self.broken):,}"),
            *_listed([f"{broken.path}: {broken.reason}" for broken in self.broken]),
            ("duplicates", self._duplicates_line()),
            *_listed([" = ".join(group[:4]) for group in self.duplicates]),
            *(("note", note) for note in self.notes),
        ]
        return [*lines, ("samples", str(self.sheet))] if self.sheet else lines

    def _benchmark_lines(self) -> list[tuple[str, str]]:
        if self.benchmark is None:
            return []
        state = "complete" if self.benchmark.complete else "not as published"
        first = f"{self.benchmark.name}, {state} ({self.benchmark.source})"
        return [("data set", first), *(("", text) for text in self.benchmark.differences)]

    def _cameras_line(self) -> str:
        return f"{len(self.cameras):,} ({_counts(self.cameras)})" if self.cameras else "not known"

    def _identities_line(self) -> str:
        if self.identities is None:
            return "not known (training does not need them)"
        text = f"{self.identities:,}"
        if self.cameras:
            text += f", {self.shared:,} of them seen by several cameras"
        if self.unlabelled:
            text += f"; {self.unlabelled:,} images without identity"
        return text + (f"; {self.distractors:,} distractors" if self.distractors else "")

    def _duplicates_line(self) -> str:
        extra = sum(map(len, self.duplicates)) - len(self.duplicates)
        return f"{extra:,}, the same bytes as another file" if extra else "0"


def check_data(
    data: str | Path,
    *,
    layout: str = "auto",
    camera_pattern: str | None = None,
    size: tuple[int, int] = (256, 128),
    sheet: Path | None = None,
    strict: bool = False,
    cache: Path | None = None,
) -> DataCheck:
    """Read and decode a data set, tell what is in it, and draw samples into the PNG `sheet`.

    The other arguments are those of `read_crops` and `ImageStore.open`, whose store is kept for
    training. Raises DataError and ConfigError as these do, and DataError when `sheet` cannot be
    written.
    """
    crops = read_crops(data, layout=layout, camera_pattern=camera_pattern)
    store = ImageStore.open(crops, size=size, cache=cache, strict=strict)
    if sheet is not None:
        save_sheet(draw_sheet(store), sheet)
    return _summary(store, detect_layout(data) if layout == "auto" else layout, sheet)


def _summary(store: ImageStore, layout: str, sheet: Path | None) -> DataCheck:
    crops = store.crops
    identities = np.empty(0, dtype=np.int64) if crops.identities is None else crops.identities
    seen = np.zeros(1, dtype=np.int64)
    if crops.identities is not None:
        seen = camera_counts(identities, crops.cameras)
    groups = _duplicates(store)
    return DataCheck(
        root=crops.root,
        layout=layout,
        images=len(store),
        splits={split: n for split in SPLITS if (n := int((crops.splits == split).sum()))},
        cameras=_per_camera(crops),
        identities=None if crops.identities is None else len(np.unique(identities[identities > 0])),
        shared=int((seen[1:] > 1).sum()),
        unlabelled=int((identities < 0).sum()),
        distractors=int((identities == 0).sum()),
        tracks=None if crops.tracks is None else len(np.unique(crops.tracks[crops.tracks >= 0])),
        timed=0 if crops.times is None else int(np.isfinite(crops.times).sum()),
        sizes=Sizes(*(_spread(values) for values in store.original_sizes.T)),
        broken=store.broken,
        duplicates=tuple(tuple(crops.paths[row] for row in rows) for rows in groups),
        benchmark=recognise(crops, layout),
        notes=(*_notes(store, groups), *_identity_notes(crops, layout)),
        sheet=sheet,
    )


def _per_camera(crops: Crops) -> dict[str, int]:
    if crops.cameras is None:
        return {}
    counts = np.bincount(crops.cameras, minlength=len(crops.camera_names))
    return dict(zip(crops.camera_names, map(int, counts), strict=True))


def _spread(values: IntArray) -> tuple[int, int, int]:
    return int(values.min()), int(np.median(values)), int(values.max())


def _duplicates(store: ImageStore) -> list[IntArray]:
    """The rows of each group of files with the same bytes."""
    _, group, counts = np.unique(store.digests, return_inverse=True, return_counts=True)
    repeated = np.flatnonzero(counts[group] > 1)
    order = repeated[np.argsort(group[repeated], kind="stable")]
    starts = np.flatnonzero(np.diff(group[order])) + 1
    groups = [rows for rows in np.split(order, starts) if len(rows)]
    return sorted(groups, key=lambda rows: int(rows[0]))


def _notes(store: ImageStore, groups: list[IntArray]) -> list[str]:
    crops = store.crops
    notes = []
    if len(store) == 1:
        notes.append("there is a single image: nothing can be learnt from it")
    elif groups and len(groups[0]) == len(store):
        notes.append("all files have the same bytes: nothing can be learnt from them")
    if crops.cameras is None:
        notes.append("cameras are not known: training goes without them (see --camera-pattern)")
    elif len(np.unique(crops.cameras)) == 1:
        notes.append("there is a single camera: methods that compare cameras gain nothing")
    return notes + _duplicate_notes(crops, groups)


def _identity_notes(crops: Crops, layout: str) -> list[str]:
    if crops.identities is None or layout != "market1501":
        return []
    is_train = crops.splits == "train"
    train, others = crops.identities[is_train], crops.identities[~is_train]
    shared = np.intersect1d(train[train > 0], others)
    if not len(shared):
        return []
    return [
        f"{len(shared):,} identities of train are in query or gallery too: where both count from "
        "0, as in MSMT17, choose the layout 'msmt17'"
    ]


def _duplicate_notes(crops: Crops, groups: list[IntArray]) -> list[str]:
    notes = []
    across = [rows for rows in groups if len(np.unique(crops.splits[rows])) > 1]
    judged = [rows for rows in across if {"query", "gallery"} <= set(crops.splits[rows])]
    if across:
        notes.append(f"duplicates lie in more than one split ({len(across):,} groups)")
    if judged:
        shown = " = ".join(crops.paths[row] for row in judged[0][:_SHOWN])
        notes.append(f"query and gallery share images ({len(judged):,} groups), first {shown}")
    if crops.identities is not None:
        mixed = [rows for rows in groups if len(np.unique(crops.identities[rows])) > 1]
        if mixed:
            shown = " = ".join(crops.paths[row] for row in mixed[0][:_SHOWN])
            notes.append(f"one image, several identities ({len(mixed):,} groups), first {shown}")
    return notes


def _counts(counts: Mapping[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(counts) > _SHOWN else "")


def _range(values: tuple[int, int, int]) -> str:
    low, middle, high = values
    return f"{low:,} px" if low == high else f"{low:,} – {high:,} px, median {middle:,}"


def _listed(texts: list[str]) -> list[tuple[str, str]]:
    more = [f"and {len(texts) - _SHOWN:,} more"] if len(texts) > _SHOWN else []
    return [("", text) for text in texts[:_SHOWN] + more]
