"""MSMT17, V1 and V2, as published and packaged like Market-1501.

V2 differs from V1 in masked faces and in the names of two folders. Identities of train and test
both count from 0, so that their names here begin with the half they belong to.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path, PurePosixPath

from resight.data.columns import Columns, Listed, as_columns
from resight.data.layouts import market
from resight.data.layouts.splits import Name, read_folders
from resight.data.listing import folders_in
from resight.errors import DataError

logger = logging.getLogger(__name__)

V1 = ("train", "test")
V2 = ("mask_train_v2", "mask_test_v2")

_LISTS = {
    "list_train.txt": "train",
    "list_val.txt": "train",
    "list_query.txt": "query",
    "list_gallery.txt": "gallery",
}
_OPTIONAL = "list_val.txt"
_LABEL = re.compile(r"-?[0-9]+")
_NAME = re.compile(r"(\d+)_\d+_(\d+)_\d+(morning|noon|afternoon)_", re.IGNORECASE)
_LIKE = "0000_000_01_0303morning_0015_0.jpg is identity 0 seen by camera 01"


def read_msmt17(root: Path) -> Columns:
    """MSMT17; the lists of training and of validation together are the published training set.

    Images that a list names are listed whether or not they are there. The time of day in the names
    is no time.
    """
    if market.fits_market(root):
        return as_columns(_repackaged(root))
    half = _halves(root)
    rows: list[Listed] = []
    for name, split in _LISTS.items():
        if not (root / name).is_file():
            if name != _OPTIONAL:
                raise DataError(f"{root} lacks {name}, which the layout 'msmt17' needs")
            logger.warning("%s lacks %s: the training set is smaller than published", root, name)
            continue
        rows += _list(root / name, split, half[split == "train"])
    return as_columns(rows)


def fits_msmt17(root: Path) -> bool:
    """Whether the lists and one of the pairs of folders are there, or names are of MSMT17."""
    if market.fits_market(root):
        return bool(_NAME.match(market.first_name(root)))
    has_lists = all((root / name).is_file() for name in _LISTS if name != _OPTIONAL)
    return has_lists and bool(_versions(root))


def _versions(root: Path) -> list[tuple[str, str]]:
    """The pairs of folders that are there, named as on disk."""
    named = {name.lower(): name for name in folders_in(root)}
    pairs = (V1, V2)
    return [(named[a], named[b]) for a, b in pairs if a in named and b in named]


def _halves(root: Path) -> tuple[str, str]:
    """The folder of the test images and that of the training images."""
    found = _versions(root)
    if not found:
        raise DataError(
            f"{root} lacks the folders train and test (V1) or mask_train_v2 and mask_test_v2 (V2), "
            "which the layout 'msmt17' needs"
        )
    if len(found) > 1:
        raise DataError(
            f"{root} holds the images of MSMT17 V1 and of V2: move one of them to another folder"
        )
    train, test = found[0]
    return test, train


def _list(file: Path, split: str, folder: str) -> list[Listed]:
    rows = []
    for number, line in enumerate(_lines(file), start=1):
        if not line:
            continue
        path, label = (*line.rsplit(maxsplit=1), "")[:2]
        parts = PurePosixPath(path).name.split("_")
        if not _LABEL.fullmatch(label) or len(parts) < 3 or not parts[2].isdecimal():
            raise DataError(
                f"{file} has {line!r} in line {number}, expected a path and an identity as in "
                "'0000/0000_000_01_0303morning_0015_0.jpg 0'"
            )
        rows.append(Listed(f"{folder}/{path}", split, parts[2], _identity(split, label)))
    return rows


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the list {file}: {error}") from error
    return [line.strip() for line in lines]


def _repackaged(root: Path) -> list[Listed]:
    rows = read_folders(root, market.FOLDERS, _name, layout="msmt17", like=_LIKE)
    return [row._replace(identity=_identity(row.split, row.identity or "")) for row in rows]


def _name(name: str) -> Name | None:
    match = _NAME.match(name)
    return Name(match[1], match[2]) if match else market.market_name(name)


def _identity(split: str, label: str) -> str:
    if label.startswith("-"):
        return label
    return f"{'train' if split == 'train' else 'test'}-{label.lstrip('0').zfill(4)}"
