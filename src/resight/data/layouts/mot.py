"""Ground truth of multi-object tracking (MOTChallenge): crops are cut from frames.

A sequence is a folder with gt/gt.txt, img1/ and seqinfo.ini; it is one camera. Identities and
tracks are those of its ground truth, so that nobody is known in two sequences.
"""

from __future__ import annotations

import configparser
import csv
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from resight.data.columns import Columns, Listed, as_columns
from resight.data.listing import folders_in, images_in
from resight.errors import DataError

logger = logging.getLogger(__name__)

TRUTH = "gt/gt.txt"

_DETECTORS = ("-DPM", "-FRCNN", "-SDP")
_PEDESTRIAN = 1
_WITH_CLASS = 9
_SHORTEST = 6


@dataclass(frozen=True)
class _Sequence:
    """A sequence: its folder ("" for the root), and what seqinfo.ini says.

    rate: frames per second, None where unknown. images: the folder of frames, below the root.
    names: of the frames, in order.
    """

    folder: str
    name: str
    rate: float | None
    images: str
    names: tuple[str, ...]
    all_classes: bool

    def frame(self, number: int) -> str:
        """The path of frame `number`, from 1: by its name where that is a number, else in order."""
        stem, _, ending = self.names[0].rpartition(".")
        if stem.isdecimal():
            return f"{self.images}/{number:0{len(stem)}d}.{ending}"
        is_there = 1 <= number <= len(self.names)
        return f"{self.images}/{self.names[number - 1] if is_there else f'frame {number}'}"


def read_mot(root: Path) -> Columns:
    """Every considered box of a pedestrian that is seen, as a crop of split "train".

    As MOTChallenge defines it, rows whose seventh value is 0 are ignored, and of the classes of
    MOT16 and later (nine values a row) only pedestrians (1) count; where gt/labels.txt names other
    classes, all count. Rows of visibility 0 show somebody else and are left out.
    Times are seconds from the sequence's first frame. Sequences of MOT17 that differ in their
    detector alone are read once.
    """
    folders = _sequences(root)
    if not folders:
        raise DataError(
            f"{root} holds no sequence with {TRUTH}, which the layout 'mot' needs: test sequences "
            "have no ground truth"
        )
    rows: list[Listed] = []
    for folder in _without_copies(folders):
        rows += _rows(root, _sequence(root, folder))
    if not rows:
        raise DataError(f"{root} has no considered box in its ground truth")
    return as_columns(rows)


def fits_mot(root: Path) -> bool:
    """Whether there is a sequence with ground truth."""
    return bool(_sequences(root))


def _sequences(root: Path) -> list[str]:
    """Folders with ground truth: the root itself, those in it, and those in its `train`."""
    if (root / TRUTH).is_file():
        return [""]
    has_train = (root / "train").is_dir()
    nested = [f"train/{name}" for name in folders_in(root / "train")] if has_train else []
    return [name for name in (*folders_in(root), *nested) if (root / name / TRUTH).is_file()]


def _without_copies(folders: list[str]) -> list[str]:
    """The first of those sequences that differ in the detector at the end of their names."""
    chosen: dict[str, str] = {}
    for folder in folders:
        chosen.setdefault(_without_detector(folder), folder)
    if len(chosen) < len(folders):
        logger.info("%d sequences are copies with other detections", len(folders) - len(chosen))
    return list(chosen.values())


def _without_detector(name: str) -> str:
    ending = next((end for end in _DETECTORS if name.endswith(end)), "")
    return name.removesuffix(ending)


def _sequence(root: Path, folder: str) -> _Sequence:
    place = root / folder
    info = configparser.ConfigParser(interpolation=None)
    info.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their capitals
    try:
        info.read(place / "seqinfo.ini", encoding="utf-8-sig")
        told = dict(info.items("Sequence")) if info.has_section("Sequence") else {}
        rate = float(told["frameRate"]) if "frameRate" in told else None
    except (configparser.Error, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"cannot read {place / 'seqinfo.ini'}: {error}") from error
    if rate is None or rate <= 0:
        logger.warning("%s tells no frame rate: its times are not known", place)
        rate = None
    images = told.get("imDir", "img1")
    names = images_in(place / images) if (place / images).is_dir() else []
    if not names:
        raise DataError(f"{place / images} holds no frames, which the layout 'mot' cuts crops from")
    return _Sequence(
        folder=folder,
        name=_without_detector(told.get("name", "") or place.name),
        rate=rate,
        images=f"{folder}/{images}" if folder else images,
        names=tuple(names),
        all_classes=(place / "gt" / "labels.txt").is_file(),
    )


def _rows(root: Path, sequence: _Sequence) -> Iterator[Listed]:
    file = root / sequence.folder / TRUTH
    left_out = 0
    for number, values in _values(file):
        if not _counts(values, sequence.all_classes):
            left_out += 1
            continue
        frame, identity = int(values[0]), int(values[1])
        left, top, width, height = values[2:6]
        if width <= 0 or height <= 0:
            raise DataError(f"{file} has a box of {width:g} x {height:g} pixels in line {number}")
        name = f"{sequence.name}/{identity}"
        yield Listed(
            path=f"{sequence.frame(frame)}#{identity}",
            split="train",
            camera=sequence.name,
            identity=name,
            time=math.nan if sequence.rate is None else (frame - 1) / sequence.rate,
            track=name,
            box=(left - 1, top - 1, width, height),
        )
    logger.info("%s: left out %s rows that do not count", file, f"{left_out:,}")


def _counts(values: list[float], all_classes: bool) -> bool:
    """Whether a row is to be considered, a pedestrian where classes are told, and visible."""
    if len(values) > _SHORTEST and values[6] == 0:
        return False
    if len(values) != _WITH_CLASS:
        return True
    return (all_classes or values[7] == _PEDESTRIAN) and values[8] > 0


def _values(file: Path) -> Iterator[tuple[int, list[float]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            for number, row in enumerate(csv.reader(lines), start=1):
                if not row:
                    continue
                values = [float(value) for value in row]
                if len(values) < _SHORTEST or not all(map(math.isfinite, values)):
                    raise ValueError
                yield number, values
    except ValueError as error:
        raise DataError(
            f"{file} has no row of MOTChallenge in line {number}: frame, id, left, top, width, "
            "height, …"
        ) from error
    except (OSError, csv.Error) as error:
        raise DataError(f"cannot read {file}: {error}") from error
