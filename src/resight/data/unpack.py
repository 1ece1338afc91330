"""Unpacking CUHK03: from cuhk-03.mat to PNG files and the lists of the classic splits."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from resight.data.layouts import cuhk03
from resight.data.listing import images_in
from resight.data.published import PUBLISHED, Count
from resight.errors import DataError
from resight.files import as_json, locked, write_atomically
from resight.progress import bar, step

if TYPE_CHECKING:
    from resight.data.cuhk03_mat import Mat, Person


@dataclass(frozen=True)
class Unpacked:
    """What `unpack_data` left in the folder `root`.

    counts: images and identities with "labelled" and with "detected" boxes. written: how many of
    the images it wrote; all others were there.
    """

    root: Path
    counts: Mapping[str, Count]
    written: int

    def render(self) -> Table:
        """The counts, beside the published ones where they differ, for a rich console."""
        table = Table.grid(padding=(0, 2))
        table.add_row("data", Text(str(self.root)))
        for boxes, count in self.counts.items():
            published = _published(boxes)
            told = "as published" if count == published else f"published are {_told(published)}"
            table.add_row(boxes, f"{_told(count)}, {told}")
        table.add_row("written", f"{self.written:,} images; all others were there")
        table.add_row("layouts", ", ".join(f"cuhk03-classic-{boxes}" for boxes in self.counts))
        return table


def unpack_data(folder: str | Path) -> Unpacked:
    """Unpack cuhk-03.mat, which is in `folder` or in its cuhk03_release/, into `folder`.

    Writes images_labeled/ and images_detected/ (PNG, the pixels unchanged, names like
    1_001_2_06.png) and the 20 classic splits, splits_classic_labeled.json and _detected.json: what
    the layouts "cuhk03-classic-labelled" and "-detected" read, and, beside the lists of the new
    protocol, "cuhk03-labelled" and "-detected".

    May be stopped at any time: images that are there with the same pixels are kept, others of their
    names are replaced. The splits are written last; where they and all images that they list are
    there, nothing is done and no .mat file is needed. One image is in memory at a time.

    Raises DataError when there is no cuhk-03.mat or it is damaged, ConfigError without h5py,
    RunError while another process unpacks there, ResightError when nothing can be written.
    """
    root = Path(os.path.expanduser(folder)).absolute()
    found = {boxes: _finished(root, boxes) for boxes in cuhk03.BOXES}
    missing = [boxes for boxes, names in found.items() if not names]
    written = 0
    if missing:
        file = _raw_file(root)
        from resight.data.cuhk03_mat import Mat

        with locked(root, use="unpacked"), closing(Mat(file)) as mat:
            jobs = [_job(mat, boxes) for boxes in missing]
            with bar("unpacking", sum(len(job.people) for job in jobs)) as progress:
                for job in jobs:
                    found[job.boxes], new = _unpack(mat, job, root, progress)
                    written += new
    return Unpacked(root, {boxes: _count(names) for boxes, names in found.items()}, written)


@dataclass(frozen=True)
class _Job:
    """The boxes to unpack: the references (10,) of each person, and whom each split tests."""

    boxes: str
    people: Mapping[Person, NDArray[Any]]
    test_sets: Sequence[frozenset[Person]]


def _job(mat: Mat, boxes: str) -> _Job:
    people = mat.people(cuhk03.BOXES[boxes])
    return _Job(boxes, people, mat.test_sets(people))


def _raw_file(root: Path) -> Path:
    if not os.path.isdir(root):
        raise DataError(f"{root} is no folder: give the one that holds cuhk-03.mat")
    file = cuhk03.raw_file(root)
    if file is None:
        raise DataError(
            f"{root} holds neither cuhk-03.mat nor cuhk03_release/cuhk-03.mat, as which CUHK03 is "
            "published: resight unpacks nothing else"
        )
    return file


def _finished(root: Path, boxes: str) -> frozenset[str]:
    """The names of all images if nothing is left to do, none otherwise."""
    try:
        names = cuhk03.classic_images(root, boxes)
        there = images_in(_folder(root, boxes)) if names else ()
    except DataError:
        return frozenset()
    return names if names.issubset(there) else frozenset()


def _unpack(mat: Mat, job: _Job, root: Path, progress: Progress) -> tuple[frozenset[str], int]:
    """The names of all images, and how many of them were written."""
    folder = _folder(root, job.boxes)
    images: dict[Person, list[str]] = {}
    written = 0
    for person, references in job.people.items():
        for name, pixels in mat.images(person, references):
            written += _write(folder / name, pixels)
            images.setdefault(person, []).append(name)
        step(progress)
    _sweep(folder)
    os.sync()
    text = as_json([_split(images, tested, folder.name) for tested in job.test_sets])
    write_atomically(cuhk03.splits_file(root, job.boxes), lambda draft: draft.write_text(text))
    return frozenset(itertools.chain.from_iterable(images.values())), written


def _sweep(folder: Path) -> None:
    """Remove the drafts that killed processes left; the folder is locked."""
    for draft in folder.glob(".*.tmp"):
        with suppress(OSError):
            draft.unlink()


def _write(file: Path, pixels: NDArray[np.uint8]) -> bool:
    """Write an image unless it is there; whether it was not.

    To have each on the disk at once would take longer than all else. What a power cut spoils
    differs from its source, and is written anew.
    """
    if _holds(file, pixels):
        return False
    save = partial(Image.fromarray(pixels).save, format="PNG")
    write_atomically(file, save, durable=False)
    return True


def _holds(file: Path, pixels: NDArray[np.uint8]) -> bool:
    try:
        with Image.open(file, formats=("PNG",)) as image:
            same_kind = image.mode == "RGB" and image.size == pixels.shape[1::-1]
            return same_kind and np.array_equal(np.asarray(image), pixels)
    except Exception:  # Pillow raises nearly anything on damaged bytes
        return False


def _split(
    images: Mapping[Person, Sequence[str]], tested: frozenset[Person], folder: str
) -> dict[str, list[tuple[str, int, int]]]:
    """Rows of a path, a person and a camera, both from 0; "query" is all images of the tested."""
    rows: dict[str, list[tuple[str, int, int]]] = {"train": [], "query": []}
    numbers = {kind: itertools.count() for kind in rows}
    for person, names in images.items():
        kind = "query" if person in tested else "train"
        number = next(numbers[kind])
        rows[kind] += [(f"{folder}/{name}", number, int(name.split("_")[2]) - 1) for name in names]
    return rows


def _folder(root: Path, boxes: str) -> Path:
    return root / f"images_{cuhk03.BOXES[boxes]}"


def _count(names: frozenset[str]) -> Count:
    return Count(len(names), len({cuhk03.person_of(name) for name in names}))


def _published(boxes: str) -> Count:
    """All images and identities, which the new protocol divides into three."""
    splits = next(one.splits for one in PUBLISHED if f"cuhk03-{boxes}" in one.layouts)
    images = sum(split.images or 0 for split in splits.values())
    return Count(images, splits["train"].identities + splits["query"].identities)


def _told(count: Count) -> str:
    return f"{count.images:,} images of {count.identities:,} identities"
