"""A sheet of sample crops, to see what was read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from resight.data.store import ImageStore
from resight.errors import DataError
from resight.records import Crops, IntArray

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

_TILE_HEIGHT = 144
_GAP = 6
_LABEL_WIDTH = 150
_CAPTION_HEIGHT = 16
_FONT_SIZE = 12
_INK, _FAINT, _PAPER = "#1c1c1c", "#6b6b6b", "#fafafa"


@dataclass(frozen=True)
class _Strip:
    """One line of the sheet: a name, a note under it, and the rows of the store to show."""

    name: str
    note: str
    rows: IntArray


def draw_sheet(
    store: ImageStore, *, strips: int = 10, columns: int = 10, seed: int = 0
) -> Image.Image:
    """Draw random samples of a store, one strip per identity, else per camera, else without.

    At most `strips` groups are drawn, of identities those seen by several cameras first, with at
    most `columns` crops each. The caption of a crop is its camera where the strips are
    identities, its file name otherwise. The same `seed` gives the same sheet.
    """
    rng = np.random.default_rng(seed)
    chosen = _choose(store.crops, strips, columns, rng)
    height, width = store.images.shape[1:3]
    tile = (max(1, round(_TILE_HEIGHT * width / height)), _TILE_HEIGHT)
    widest = max(len(strip.rows) for strip in chosen)
    pitch = (tile[0] + _GAP, tile[1] + _CAPTION_HEIGHT + _GAP)
    page = (_LABEL_WIDTH + widest * pitch[0] + _GAP, len(chosen) * pitch[1] + _GAP)
    sheet = Image.new("RGB", page, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for line, strip in enumerate(chosen):
        top = _GAP + line * pitch[1]
        label = _LABEL_WIDTH - 2 * _GAP
        draw.text((_GAP, top), _fit(draw, strip.name, font, label), _INK, font)
        draw.text((_GAP, top + 18), _fit(draw, strip.note, font, label), _FAINT, font)
        for column, row in enumerate(strip.rows):
            left = _LABEL_WIDTH + column * pitch[0]
            sheet.paste(Image.fromarray(store.images[row]).resize(tile), (left, top))
            caption = _fit(draw, _caption(store.crops, int(row)), font, tile[0])
            draw.text((left, top + tile[1] + 1), caption, _FAINT, font)
    return sheet


def save_sheet(sheet: Image.Image, file: Path) -> None:
    """Save a sheet as PNG. Raises DataError when the file cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(file, format="PNG")
    except OSError as error:
        raise DataError(f"cannot write the sheet of samples {file}: {error.strerror}") from error


def _choose(crops: Crops, strips: int, columns: int, rng: np.random.Generator) -> list[_Strip]:
    if crops.identities is not None and (crops.identities > 0).any():
        return _identity_strips(crops, crops.identities, strips, columns, rng)
    if crops.cameras is not None:
        return _camera_strips(crops, crops.cameras, strips, columns, rng)
    rows = _sample(np.arange(len(crops)), strips * columns, rng)
    parts = [rows[start : start + columns] for start in range(0, len(rows), columns)]
    first = _Strip("samples", f"of {len(crops):,} crops", parts[0])
    return [first, *(_Strip("", "", part) for part in parts[1:])]


def _identity_strips(
    crops: Crops, identities: IntArray, strips: int, columns: int, rng: np.random.Generator
) -> list[_Strip]:
    seen = camera_counts(identities, crops.cameras)
    known = rng.permutation(np.unique(identities[identities > 0]))
    known = known[np.argsort(-np.minimum(seen[known], 2), kind="stable")][:strips]
    found = []
    for identity in np.sort(known):
        rows = np.flatnonzero(identities == identity)
        note = f"{len(rows):,} crops"
        if crops.cameras is not None:
            note += f", {seen[identity]} cameras"
        name = _titled("identity", crops.identity_names[identity - 1])
        found.append(_Strip(name, note, _sample(rows, columns, rng)))
    return found


def camera_counts(identities: IntArray, cameras: IntArray | None) -> IntArray:
    """By how many cameras each identity 0 … max was seen; zeros without cameras."""
    n = int(identities.max(initial=0)) + 1
    if cameras is None:
        return np.zeros(n, dtype=np.int64)
    known = identities >= 0
    pairs = np.unique(np.stack([identities[known], cameras[known]]), axis=1)
    return np.bincount(pairs[0], minlength=n)


def _camera_strips(
    crops: Crops, cameras: IntArray, strips: int, columns: int, rng: np.random.Generator
) -> list[_Strip]:
    shown = _sample(np.unique(cameras), strips, rng)
    found = []
    for camera in shown:
        rows = np.flatnonzero(cameras == camera)
        name = _titled("camera", crops.camera_names[camera])
        found.append(_Strip(name, f"{len(rows):,} crops", _sample(rows, columns, rng)))
    return found


def _sample(rows: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """At most `count` of the rows, without repetition, in ascending order."""
    return np.sort(rng.permutation(rows)[:count])


def _caption(crops: Crops, row: int) -> str:
    if crops.identities is not None and crops.cameras is not None:
        return _titled("camera", crops.camera_names[int(crops.cameras[row])])
    return Path(crops.paths[row]).name


def _titled(kind: str, name: str) -> str:
    """The name, with its kind before a bare number."""
    return name if name[:1].isalpha() else f"{kind} {name}"


def _fit(draw: ImageDraw.ImageDraw, text: str, font: Font, width: int) -> str:
    """The text on one line, its middle left out until it is no wider than `width` pixels."""
    text = " ".join(text.splitlines())
    if draw.textlength(text, font) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        short = f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"
        if draw.textlength(short, font) <= width:
            return short
    return "…"
