"""VeRi-776: vehicles, with labels in XML and the tracks of the gallery."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from resight.data.columns import Columns, Listed, as_columns
from resight.data.layouts.splits import Name, has_folders, read_folders
from resight.errors import DataError

logger = logging.getLogger(__name__)

FOLDERS = {"image_train": "train", "image_query": "query", "image_test": "gallery"}
TRACKS = "test_track.txt"

_LABELS = {"train_label.xml": "image_train", "test_label.xml": "image_test"}
_NAME = re.compile(r"(\d+)_(c\d+)_(\d+)_\d+\.\w+$")
_LIKE = "0001_c001_00016450_0.jpg is vehicle 1 seen by camera 1 in frame 16450"
_RATE = 25.0


class Label(NamedTuple):
    """What train_label.xml or test_label.xml say of an image; colour and kind are numbers.

    The numbers are explained in the data set's list_color.txt and list_type.txt.
    """

    vehicle: str
    camera: str
    colour: int | None
    kind: int | None


def read_veri(root: Path) -> Columns:
    """VeRi-776; times are seconds (25 frames each), tracks those of test_track.txt.

    Images that only an XML file names are listed too. A query has the track of the gallery image
    of the same name, of which it is a copy.
    """
    rows = read_folders(root, FOLDERS, _name, layout="veri776", like=_LIKE)
    for name, folder in _LABELS.items():
        if (root / name).is_file():
            rows += _only_labelled(root / name, folder, rows)
    tracks = read_tracks(root / TRACKS) if (root / TRACKS).is_file() else {}
    if not tracks:
        logger.warning("%s lacks %s: tracks are not known", root, TRACKS)
    return as_columns([_with_track(row, tracks) for row in rows])


def fits_veri(root: Path) -> bool:
    """Whether image_train, image_query and image_test are there."""
    return has_folders(root, FOLDERS)


def read_labels(file: Path) -> dict[str, Label]:
    """The labels of train_label.xml or test_label.xml by image name.

    Raises DataError for a file that cannot be read or an image without vehicle or camera.
    """
    try:
        # As text: the files name an encoding that expat lacks, and what matters is ASCII.
        text = file.read_text(encoding="utf-8-sig", errors="replace")
        items = ElementTree.fromstring(text).iter("Item")
        return {
            item.attrib["imageName"]: Label(
                item.attrib["vehicleID"],
                item.attrib["cameraID"],
                _number(item.get("colorID")),
                _number(item.get("typeID")),
            )
            for item in items
        }
    except (ElementTree.ParseError, OSError) as error:
        raise DataError(f"cannot read the labels {file}: {error}") from error
    except KeyError as error:
        raise DataError(f"{file} has an Item without {error.args[0]}") from error


def read_tracks(file: Path) -> dict[str, str]:
    """The track of each image name in test_track.txt, whose lines are tracks.

    The first word of a line is the track's name unless it is an image itself; the others are the
    track's images. Tracks without a name get their line's number. Raises DataError for an image in
    two tracks.
    """
    tracks: dict[str, str] = {}
    try:
        lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"cannot read the tracks {file}: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        words = line.split()
        images = [word for word in words if _NAME.match(word)]
        is_named = bool(words) and words[0] not in images
        track = f"{number:05d}_{words[0]}" if is_named else f"{number:05d}"
        for image in images:
            if tracks.setdefault(image, track) != track:
                raise DataError(f"{file} has {image} in line {number} and in another track")
    return tracks


def _name(name: str) -> Name | None:
    match = _NAME.match(name)
    return Name(match[1], match[2], int(match[3]) / _RATE) if match else None


def _with_track(row: Listed, tracks: Mapping[str, str]) -> Listed:
    is_test = row.split != "train"
    return row._replace(track=tracks.get(row.path.rpartition("/")[2])) if is_test else row


def _only_labelled(file: Path, folder: str, rows: list[Listed]) -> list[Listed]:
    """Rows of the images that the XML names and the folder lacks; names and labels must agree."""
    listed = {row.path for row in rows}
    missing = []
    for name, label in read_labels(file).items():
        parsed = _name(name)
        if parsed is None:
            raise DataError(f"{file} has the image {name!r}, which is not named as in {_LIKE}")
        named = (parsed.identity.lstrip("0"), parsed.camera)
        if named != (label.vehicle.lstrip("0"), label.camera):
            raise DataError(
                f"{file} says that {name} is vehicle {label.vehicle} in {label.camera}, unlike its "
                "name"
            )
        path = f"{folder}/{name}"
        if path not in listed:
            split = FOLDERS[folder]
            missing.append(Listed(path, split, parsed.camera, parsed.identity, parsed.time))
    return missing


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdecimal() else None
