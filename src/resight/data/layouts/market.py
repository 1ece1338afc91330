"""Market-1501 and the data sets packaged like it: DukeMTMC-reID, Occluded-Duke, PersonX.

Three folders, bounding_box_train, query and bounding_box_test, and names that begin with the
identity and the camera: 0002_c1s1_000451_03.jpg.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from resight.data.columns import DISTRACTOR, Columns, Listed, as_columns
from resight.data.layouts.splits import Name, has_folders, read_folders
from resight.data.listing import folders_in, images_in, list_images
from resight.errors import DataError

logger = logging.getLogger(__name__)

FOLDERS = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
DISTRACTOR_FOLDERS = ("images", "distractors_500k", "distractors")
LIKE = "0002_c1s1_000451_03.jpg is identity 2 seen by camera 1"

_NAME = re.compile(r"(-?\d+)_(c\d+)")
_DUKE_NAME = re.compile(r"(-?\d+)_(c\d+)_f(\d+)")
_DUKE_LIKE = "0002_c1_f0044158.jpg is identity 2 seen by camera 1 in its frame 44158"
# The frame of the common clock at which each camera began, and frames per second, as published
# with DukeMTMC (Ristani et al., ECCVW 2016).
_DUKE_STARTS = (5543, 3607, 27244, 31182, 1, 22402, 18968, 46766)
_DUKE_RATE = 59.94


def read_market(root: Path) -> Columns:
    """Market-1501, with the 500k distractors where their folder lies beside the three.

    -1 is junk; 0000 is a distractor, unless train or query hold it, where a distractor cannot be.
    """
    rows = _zeros(read_folders(root, FOLDERS, market_name, layout="market1501", like=LIKE))
    return as_columns(rows + _distractors(root))


def read_duke(root: Path) -> Columns:
    """DukeMTMC-reID and Occluded-Duke; times are seconds of the cameras' common clock."""
    rows = read_folders(root, FOLDERS, _duke_name, layout="dukemtmc", like=_DUKE_LIKE)
    return as_columns(rows)


def read_personx(root: Path) -> Columns:
    """PersonX: the three folders, or a folder per camera that holds the three."""
    parts = [""] if has_folders(root, FOLDERS) else [f"{part}/" for part in _parts(root)]
    if not parts:
        raise DataError(
            f"{root} lacks {', '.join(FOLDERS)}, which the layout 'personx' needs, here or in "
            "folders beside one another"
        )
    rows: list[Listed] = []
    for part in parts:
        found = read_folders(root / part, FOLDERS, market_name, layout="personx", like=LIKE)
        rows += [row._replace(path=part + row.path) for row in found]
    return as_columns(rows)


def fits_market(root: Path) -> bool:
    """Whether the three folders are there."""
    return has_folders(root, FOLDERS)


def fits_duke(root: Path) -> bool:
    """Whether the three folders are there, with names that tell frames of DukeMTMC."""
    return fits_market(root) and bool(_DUKE_NAME.match(first_name(root)))


def fits_personx(root: Path) -> bool:
    """Whether numbered folders hold the three folders each."""
    parts = folders_in(root)
    return bool(parts) and all(part.isdecimal() for part in parts) and parts == _parts(root)


def first_name(root: Path) -> str:
    """The first file name in bounding_box_train, "" where there is none."""
    return next(iter(images_in(root / "bounding_box_train")), "")


def market_name(name: str) -> Name | None:
    """Identity and camera of a name like 0002_c1s1_000451_03.jpg."""
    match = _NAME.match(name)
    return Name(match[1], match[2]) if match else None


def is_distractor_path(path: str) -> bool:
    """Whether a crop of the layout 'market1501' is of the distractor pack."""
    return path.split("/", 1)[0] in DISTRACTOR_FOLDERS


def _duke_name(name: str) -> Name | None:
    match = _DUKE_NAME.match(name)
    if not match:
        return None
    camera = int(match[2][1:])
    if not 1 <= camera <= len(_DUKE_STARTS):
        return Name(match[1], match[2])
    frame = int(match[3]) + _DUKE_STARTS[camera - 1] - 1
    return Name(match[1], match[2], frame / _DUKE_RATE)


def _zeros(rows: Sequence[Listed]) -> list[Listed]:
    """The rows with identity 0 made a distractor, unless it is a person."""
    zeros = {row.split for row in rows if row.identity is not None and not row.identity.strip("0")}
    if zeros != {"gallery"}:
        return list(rows)
    return [
        row._replace(identity=DISTRACTOR) if not (row.identity or "").strip("0") else row
        for row in rows
    ]


def _distractors(root: Path) -> list[Listed]:
    """The 500k distractors, which people keep in `images` or under the name of their archive."""
    rows = []
    for folder in DISTRACTOR_FOLDERS:
        if not (root / folder).is_dir():
            continue
        paths = list_images(root / folder)
        logger.info("%s: %s distractors join the gallery", root / folder, f"{len(paths):,}")
        for path in paths:
            name = market_name(PurePosixPath(path).name)
            camera = DISTRACTOR if name is None else name.camera
            junk = name is not None and name.identity.startswith("-")
            identity = "-1" if junk else DISTRACTOR
            rows.append(Listed(f"{folder}/{path}", "gallery", camera, identity))
    return rows


def _parts(root: Path) -> list[str]:
    return [part for part in folders_in(root) if has_folders(root / part, FOLDERS)]
