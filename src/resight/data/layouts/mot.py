"""Ground truth of multi-object tracking (MOTChallenge): crops are cut from frames.

A sequence is a folder with gt/gt.txt, img1/ and seqinfo.ini; it is one camera. Identities and
tracks are those of its ground truth, so that nobody is known in two sequences.
"""

from __future__ import annotations

import configparser
import csv
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from resight.data.columns import Columns, Listed, as_columns
from resight.data.listing import folders_in, images_in
from resight.errors import DataError

logger = logging.getLogger(__name__)

TRUTH = "gt/gt.txt"

_DETECTORS = ("-DPM", "-FRCNN", "-SDP")
_PEDESTRIAN, _UNKNOWN = 1, -1
_WITH_CLASS = 9
_SHORTEST = 6
_LARGEST = 2.0**53  # below, whole numbers written as decimal fractions are exact


@dataclass(frozen=True)
class _Sequence:
    """A sequence: its folder ("" for the root), and what seqinfo.ini says.

    rate: frames per second, None where unknown. images: the folder of frames, below the root.
    frames: their names by number. all_classes: whether all classes count.
    """

    folder: str
    name: str
    rate: float | None
    images: str
    frames: Mapping[int, str]
    all_classes: bool

    def frame(self, number: int) -> str:
        """The path of frame `number`; where it is not there, the one that it should have."""
        stem, _, ending = next(iter(self.frames.values())).rpartition(".")
        due = f"{number:0{len(stem)}d}.{ending}" if stem.isdecimal() else f"frame {number}"
        return f"{self.images}/{self.frames.get(number, due)}"


def read_mot(root: Path) -> Columns:
    """Every considered box of a pedestrian that is seen, as a crop of split "train".

    As MOTChallenge defines it, rows whose seventh value is 0 are ignored, and of the classes of
    MOT16 and later (nine values a row) only pedestrians (1) count; where gt/labels.txt names other
    classes, all count. Rows of visibility 0 show somebody else and are left out; a class or a
    visibility of -1 is unknown. Crops of a negative id have no identity and no track.
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
    for sequence in _named_apart([_sequence(root, name) for name in _without_copies(folders)]):
        rows += _rows(root, sequence)
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


def _named_apart(sequences: list[_Sequence]) -> list[_Sequence]:
    """The sequences, by their folders where seqinfo.ini tells one name of several."""
    if len({sequence.name for sequence in sequences}) == len(sequences):
        return sequences
    logger.warning("several sequences have one name in seqinfo.ini: folders are their names")
    return [replace(one, name=_without_detector(one.folder)) for one in sequences]


def _without_detector(name: str) -> str:
    ending = next((end for end in _DETECTORS if name.endswith(end)), "")
    return name.removesuffix(ending)


def _sequence(root: Path, folder: str) -> _Sequence:
    place = root / folder
    told = _told(place / "seqinfo.ini")
    rate = _rate(place / "seqinfo.ini", told.get("frameRate", ""))
    if rate is None:
        logger.warning("%s tells no frame rate: its times are not known", place)
    images = told.get("imDir", "") or "img1"
    names = images_in(place / images) if (place / images).is_dir() else []
    if not names:
        raise DataError(f"{place / images} holds no frames, which the layout 'mot' cuts crops from")
    return _Sequence(
        folder=folder,
        name=_without_detector(told.get("name", "") or place.name),
        rate=rate,
        images=f"{folder}/{images}" if folder else images,
        frames=_numbered(names),
        all_classes=(place / "gt" / "labels.txt").is_file(),
    )


def _told(file: Path) -> dict[str, str]:
    """What seqinfo.ini says of the sequence; nothing where it is missing."""
    info = configparser.ConfigParser(interpolation=None)
    info.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their capitals
    try:
        info.read(file, encoding="utf-8-sig")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file}: {str(error).splitlines()[0]}") from error
    return dict(info.items("Sequence")) if info.has_section("Sequence") else {}


def _rate(file: Path, text: str) -> float | None:
    """Frames per second; None where there are none."""
    try:
        rate = float(text or "0")
    except ValueError as error:
        raise DataError(f"cannot read {file}: its frameRate {text!r} is no number") from error
    return rate if 0 < rate < math.inf else None


def _numbered(names: Sequence[str]) -> dict[int, str]:
    """Frames by number: that of their names where the first is a number, else in order, from 1."""
    stems = [name.rpartition(".")[0] for name in names]
    if not stems[0].isdecimal():
        return dict(enumerate(names, start=1))
    return {int(stem): name for stem, name in zip(stems, names, strict=True) if stem.isdecimal()}


def _rows(root: Path, sequence: _Sequence) -> Iterator[Listed]:
    file = root / sequence.folder / TRUTH
    left_out = 0
    for number, values in _values(file):
        if not _counts(values, sequence.all_classes):
            left_out += 1
            continue
        frame, person = int(values[0]), int(values[1])
        left, top, width, height = values[2:6]
        if width <= 0 or height <= 0:
            raise DataError(f"{file} has a box of {width:g} x {height:g} pixels in line {number}")
        name = f"{sequence.name}/{person}" if person >= 0 else None
        yield Listed(
            path=f"{sequence.frame(frame)}#{f'line{number}' if name is None else person}",
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
    return (all_classes or values[7] in (_PEDESTRIAN, _UNKNOWN)) and values[8] != 0


def _values(file: Path) -> Iterator[tuple[int, list[float]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            for number, row in enumerate(csv.reader(lines), start=1):
                if row:
                    yield number, _numbers(file, number, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {file}: {error}") from error


def _numbers(file: Path, line: int, row: Sequence[str]) -> list[float]:
    """The values of a row, whose frame and id are whole numbers."""
    try:
        values = [float(value) for value in row]
    except ValueError:
        values = []
    is_row = len(values) >= _SHORTEST and all(abs(value) < _LARGEST for value in values)
    if not is_row or values[0] % 1 or values[1] % 1:
        raise DataError(
            f"{file} has no row of MOTChallenge in line {line}: frame, id, left, top, width, "
            "height, …, separated by commas"
        )
    return values
