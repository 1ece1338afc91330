"""CUHK03: labelled and detected boxes, the new protocol (767/700) and the classic one (1367/100).

Published as cuhk-03.mat, an HDF5 file with the pixels inside, which `resight data unpack` turns
into PNG files and the lists of the classic splits; people also keep it as CUHK03-NP, packaged like
Market-1501 (labeled/ and detected/).
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from resight.data.columns import Columns, Listed, as_columns
from resight.data.layouts import market
from resight.data.layouts.splits import read_folders
from resight.data.listing import folders_in, list_images
from resight.errors import ConfigError, DataError

BOXES = {"detected": "detected", "labelled": "labeled"}

_LIKE = "0001_c1_1.png is identity 1 seen by camera 1"
_NAME = re.compile(r"(\d+)_(\d+)_([12])_\d+\.\w+$")


class _Split(NamedTuple):
    """A classic split: the names of all images that it lists, and those of the people tested."""

    names: frozenset[str]
    tested: frozenset[str]


def read_new(root: Path, boxes: str) -> Columns:
    """The new protocol; boxes: "detected" or "labelled"."""
    if market.fits_market(root):
        return as_columns(_packaged(root, "", boxes))
    folder = _folder(root, (BOXES[boxes], boxes, f"cuhk03-np-{BOXES[boxes]}"))
    if folder is not None and market.fits_market(root / folder):
        return as_columns(_packaged(root, f"{folder}/", boxes))
    return as_columns(_unpacked(root, boxes))


def read_classic(root: Path, boxes: str, trial: int) -> Columns:
    """One of the 20 classic splits, trial 1 … 20, from splits_classic_*.json.

    Of the 100 test identities, images of the first camera are queries, those of the second
    gallery. Images that the split names are listed whether or not they are there. Raises
    ConfigError when there is no such trial.
    """
    splits = _classic_splits(splits_file(root, boxes))
    if not 1 <= trial <= len(splits):
        raise ConfigError(f"CUHK03 has the classic splits 1 … {len(splits)}, there is no {trial}")
    chosen = splits[trial - 1]
    tested = {person_of(name) for name in chosen.tested}
    folder = _images_folder(root, boxes)
    rows = []
    for path in sorted(chosen.names.union(list_images(root / folder))):
        match = _match(root / folder, path)
        split = "train"
        if person_of(path) in tested:
            split = "query" if match[3] == "1" else "gallery"
        rows.append(Listed(f"{folder}/{path}", split, f"c{match[3]}", person_of(path)))
    return as_columns(rows)


def classic_images(root: Path, boxes: str) -> frozenset[str]:
    """The names of all images that the first classic split lists; none if it lists no training.

    Raises DataError when there are no such splits.
    """
    first = next(iter(_classic_splits(splits_file(root, boxes))), _Split(frozenset(), frozenset()))
    return first.names if first.names > first.tested else frozenset()


def splits_file(root: Path, boxes: str) -> Path:
    """Where the classic splits are."""
    return root / f"splits_classic_{BOXES[boxes]}.json"


def raw_file(root: Path) -> Path | None:
    """cuhk-03.mat, if it is here or in cuhk03_release/."""
    places = (root / "cuhk-03.mat", root / "cuhk03_release" / "cuhk-03.mat")
    return next((place for place in places if os.path.isfile(place)), None)


def fits_both(root: Path) -> bool:
    """Whether this is CUHK03 twice over, with labelled and with detected boxes."""
    folders = {name.lower() for name in folders_in(root)}
    pairs = ({"labeled", "detected"}, {"images_labeled", "images_detected"})
    if any(pair <= folders for pair in pairs) or "cuhk03_release" in folders:
        return True
    return raw_file(root) is not None


def _packaged(root: Path, part: str, boxes: str) -> list[Listed]:
    layout = f"cuhk03-{boxes}"
    rows = read_folders(root / part, market.FOLDERS, market.market_name, layout=layout, like=_LIKE)
    return [row._replace(path=part + row.path) for row in rows]


def _unpacked(root: Path, boxes: str) -> list[Listed]:
    """Unpacked images, and the split from the MATLAB file of Zhong et al. (CVPR 2017)."""
    folder = _images_folder(root, boxes)
    file = root / f"cuhk03_new_protocol_config_{BOXES[boxes]}.mat"
    table = _mat(file)
    try:
        names = [str(cell.item()) for cell in table["filelist"].ravel()]
        numbers = range(1, len(names) + 1)
        people = [str(int(label)) for label in table["labels"].ravel()]
        kinds = {
            "train": table["train_idx"].ravel(),
            "query": table["query_idx"].ravel(),
            "gallery": table["gallery_idx"].ravel(),
        }
        return [
            Listed(f"{folder}/{names[i]}", split, _camera(file, names[i]), people[i])
            for split, rows in kinds.items()
            for i in (numbers.index(int(row)) for row in rows)
        ]
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        raise DataError(
            f"{file} is no split of CUHK03, which has filelist, labels, train_idx, query_idx and "
            f"gallery_idx: {error}"
        ) from error


def _mat(file: Path) -> dict[str, Any]:
    import scipy.io

    try:
        with file.open("rb") as opened:
            table: dict[str, Any] = scipy.io.loadmat(opened)
    except FileNotFoundError as error:
        raise DataError(
            f"{file.parent} lacks {file.name}, which has the new protocol of CUHK03"
        ) from error
    except NotImplementedError as error:
        raise DataError(f"{file} is a MATLAB 7.3 file: save it as version 7 or older") from error
    except Exception as error:  # SciPy's reader raises nearly anything on hostile bytes
        raise DataError(f"cannot read the split {file}: {error}") from error
    return table


def _classic_splits(file: Path) -> list[_Split]:
    """The splits of a file, whose paths may be of any system."""
    try:
        return [_split(split) for split in json.loads(file.read_text(encoding="utf-8-sig"))]
    except FileNotFoundError as error:
        _refuse_raw(file.parent)
        raise DataError(
            f"{file.parent} lacks {file.name}, which has the classic splits of CUHK03"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise DataError(f"cannot read the classic splits {file}: {error!r}") from error


def _split(split: Mapping[str, Sequence[Sequence[str]]]) -> _Split:
    """A split as it is written: rows of a path, a person and a camera; "query" is all tested."""
    tested = frozenset(PureWindowsPath(row[0]).name for row in split["query"])
    train = [PureWindowsPath(row[0]).name for row in split.get("train", ())]
    return _Split(tested.union(train), tested)


def _images_folder(root: Path, boxes: str) -> str:
    folder = _folder(root, (f"images_{BOXES[boxes]}", f"cuhk03_{BOXES[boxes]}"))
    if folder is not None:
        return folder
    _refuse_raw(root)
    raise DataError(
        f"{root} lacks images_{BOXES[boxes]} and {BOXES[boxes]}/bounding_box_train, one of which "
        f"the layout 'cuhk03-{boxes}' needs"
    )


def _refuse_raw(root: Path) -> None:
    file = raw_file(root)
    if file is not None:
        raise DataError(
            f"{file} holds images that are not, or not all, unpacked: run `resight data unpack "
            f"{shlex.quote(str(root))}`, or take CUHK03-NP"
        )


def _folder(root: Path, names: tuple[str, ...]) -> str | None:
    """The first of these folders that is there, whatever its capitals."""
    there = {name.lower(): name for name in folders_in(root)}
    return next((there[name] for name in names if name in there), None)


def _match(folder: Path, path: str) -> re.Match[str]:
    match = _NAME.match(PurePosixPath(path).name)
    if match is None:
        raise DataError(
            f"{folder / path} is not named as in CUHK03, where 1_001_2_06.png is person 1 of the "
            "first pair of cameras, seen by the second"
        )
    return match


def _camera(file: Path, name: str) -> str:
    return f"c{_match(file, name)[3]}"


def person_of(path: str) -> str:
    """The pair of cameras and the person's number in it."""
    return "_".join(PurePosixPath(path).name.split("_")[:2])
