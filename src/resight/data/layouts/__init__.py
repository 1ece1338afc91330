"""How data sets lie on disk: one module per family, one table of them all."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from resight.data import tables
from resight.data.columns import Columns
from resight.data.layouts import cuhk03, folders, market, mot, msmt17, veri776, wildlife
from resight.data.listing import folders_in
from resight.errors import ConfigError, DataError


@dataclass(frozen=True)
class Layout:
    """A way to read crops.

    read: from a folder or a file to columns. fits: whether a place is unmistakably of this layout,
    told from names alone; None for layouts that must be named.
    """

    read: Callable[[Path], Columns]
    fits: Callable[[Path], bool] | None = None
    of_files: bool = False
    of_folders: bool = True


LAYOUTS: dict[str, Layout] = {
    "wildlife": Layout(wildlife.read_wildlife, wildlife.fits_wildlife, of_files=True),
    "table": Layout(tables.read_table, tables.is_table, of_files=True, of_folders=False),
    "msmt17": Layout(msmt17.read_msmt17, msmt17.fits_msmt17),
    "dukemtmc": Layout(market.read_duke, market.fits_duke),
    "market1501": Layout(market.read_market, market.fits_market),
    "veri776": Layout(veri776.read_veri, veri776.fits_veri),
    "personx": Layout(market.read_personx, market.fits_personx),
    "mot": Layout(mot.read_mot, mot.fits_mot),
    **{f"cuhk03-{boxes}": Layout(partial(cuhk03.read_new, boxes=boxes)) for boxes in cuhk03.BOXES},
    **{
        f"cuhk03-classic-{boxes}": Layout(partial(cuhk03.read_classic, boxes=boxes, trial=1))
        for boxes in cuhk03.BOXES
    },
    "cameras": Layout(folders.read_cameras, folders.fits_cameras),
    "identities": Layout(folders.read_identities),
    "images": Layout(folders.read_images),
}

_GENERAL = ("cameras", "identities", "images")
_FEW = 20


def find_layout(place: Path) -> str:
    """The first layout that unmistakably fits a folder or file; "images" for other folders.

    Raises DataError for files that are no table, and for folders that hold a data set one level
    below or CUHK03 twice, where the layout "images" would mix what should stay apart.
    """
    if place.is_file():
        for name, layout in LAYOUTS.items():
            if layout.of_files and layout.fits is not None and layout.fits(place):
                return name
        raise DataError(f"{place} is a file; give a folder of images, or a .csv or .parquet table")
    fitting = _fitting(place)
    if fitting is None:
        _refuse_both(place)
        _refuse_wrapper(place)
    return fitting or "images"


def layout_named(name: str) -> Layout | None:
    """The layout of this name; "cuhk03-classic-detected:7" is the seventh classic split."""
    base, colon, trial = name.partition(":")
    if not colon:
        return LAYOUTS.get(name)
    boxes = base.removeprefix("cuhk03-classic-")
    if base not in LAYOUTS or boxes not in cuhk03.BOXES:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", trial):
        raise ConfigError(f"the layout {name!r} should end in a number, as in '{base}:7'")
    return Layout(partial(cuhk03.read_classic, boxes=boxes, trial=int(trial)))


def _fitting(folder: Path) -> str | None:
    for name, layout in LAYOUTS.items():
        if layout.of_folders and layout.fits is not None and layout.fits(folder):
            return name
    return None


def _refuse_both(folder: Path) -> None:
    if cuhk03.fits_both(folder):
        raise DataError(
            f"{folder} holds CUHK03 with labelled and with detected boxes: choose the layout "
            "'cuhk03-labelled' or 'cuhk03-detected' for it"
        )


def _refuse_wrapper(folder: Path) -> None:
    inside = folders_in(folder)
    for name in inside if len(inside) <= _FEW else ():
        _refuse_both(folder / name)
        found = _fitting(folder / name)
        if found is not None and found not in _GENERAL:
            raise DataError(
                f"{folder / name} is of the layout {found!r}: give that folder rather than "
                f"{folder.name}, or choose the layout 'images' to read all images alike"
            )
