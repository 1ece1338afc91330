"""Ranked lists as one picture, for pages that cannot show HTML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from resight.errors import RunError
from resight.files import write_atomically
from resight.reporting.ranked import RankedList, ranked_lists
from resight.reporting.thumbnails import Box, crop_file, read_picture

PICTURE_HEIGHT, NARROWEST, WIDEST = 192, 96, 256
FRAME, GAP, MARGIN, QUERY_GAP, CAPTION, HEADING = 6, 20, 28, 32, 34, 44
MARK = 15
LISTS_OF_EACH, MATCHES = 2, 8
PAPER, INK, SOFT, BLANK = "#ffffff", "#1b2330", "#566173", "#e3e7ec"
RIGHT, WRONG, DROPPED = "#00785a", "#c2410c", "#808996"
COLOURS = {"right": RIGHT, "wrong": WRONG, "dropped": DROPPED}
DASH = 14

Place = tuple[int, int, int, int]


def ranked_sheet(evaluation: Mapping[str, Any], path: Path) -> Path:
    """Write a PNG of the ranked lists in `evaluation` (as evaluation.json holds them) to `path`.

    Two lists of each kind, one a row: the query, then its first eight answers. Right answers have
    a green frame and a check mark, wrong ones a dashed red frame and a cross. Dropped ones, up to
    four more, have a grey frame and a dash. Returns `path`.
    Raises RunError without ranked lists, ResightError when the file cannot be written.
    """
    lists = ranked_lists(evaluation, of_each=LISTS_OF_EACH)
    if not lists:
        raise RunError("the evaluation has no ranked lists: evaluate crops with known identities")
    picture = _draw(lists, Path(evaluation.get("root", ".")))
    write_atomically(path, lambda draft: picture.save(draft, "PNG", optimize=True))
    return path


def _draw(lists: tuple[RankedList, ...], root: Path) -> Image.Image:
    shown = [one.first(MATCHES) for one in lists]
    files: dict[str, Box | None] = {one.path: one.box for one in lists}
    files |= {match.path: match.box for matches in shown for match in matches}
    pictures = {path: _picture(root, path, box) for path, box in files.items()}
    width = max(NARROWEST, *(picture.width for picture in pictures.values())) + 2 * FRAME
    row = HEADING + PICTURE_HEIGHT + 2 * FRAME + CAPTION
    length = 2 * MARGIN + width + QUERY_GAP + (width + GAP) * max(map(len, shown))
    sheet = Image.new("RGB", (length, 2 * MARGIN + row * len(lists)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (ranked, matches) in enumerate(zip(lists, shown, strict=True)):
        x, y = MARGIN, MARGIN + number * row
        title = f"{ranked.kind}, average precision {ranked.ap:.2f}"
        draw.text((x, y + 6), title, INK, ImageFont.load_default(22))
        box = (x, y + HEADING, x + width - 1, y + HEADING + PICTURE_HEIGHT + 2 * FRAME - 1)
        _cell(sheet, box, pictures[ranked.path], f"query {ranked.camera or ''}", None)
        for place, match in enumerate(matches, start=1):
            shift = QUERY_GAP + place * (width + GAP)
            moved = (box[0] + shift, box[1], box[2] + shift, box[3])
            caption = f"{match.camera or ''}  {match.similarity:.2f}"
            _cell(sheet, moved, pictures[match.path], caption, match.kind)
    return sheet


def _picture(root: Path, path: str, box: Box | None) -> Image.Image:
    picture = read_picture(crop_file(root, path, box), WIDEST, PICTURE_HEIGHT, box=box)
    return picture or Image.new("RGB", (PICTURE_HEIGHT // 2, PICTURE_HEIGHT), BLANK)


def _cell(
    sheet: Image.Image, place: Place, picture: Image.Image, caption: str, kind: str | None
) -> None:
    """A framed picture with its caption; `kind` is None for queries."""
    left, top, edge, bottom = place
    draw = ImageDraw.Draw(sheet)
    middle = (left + edge + 1) // 2
    sheet.paste(picture, (middle - picture.width // 2, (top + bottom + 1 - picture.height) // 2))
    colour = INK if kind is None else COLOURS[kind]
    _frame(draw, place, colour, dashed=kind == "wrong")
    if kind is not None:
        _mark(draw, (edge - 7, top + 8), kind)
    font = ImageFont.load_default(18)
    draw.text((middle, bottom + 6), caption.strip(), SOFT, font, anchor="ma")


def _frame(draw: ImageDraw.ImageDraw, box: Place, colour: str, *, dashed: bool) -> None:
    draw.rectangle(box, outline=colour, width=FRAME - 2)
    if not dashed:
        return
    left, top, right, bottom = box
    for x in range(left + DASH, right - DASH // 2, 2 * DASH):
        for y in (top, bottom - FRAME + 3):
            draw.rectangle((x, y, x + DASH // 2, y + FRAME - 3), fill=PAPER)
    for y in range(top + DASH, bottom - DASH // 2, 2 * DASH):
        for x in (left, right - FRAME + 3):
            draw.rectangle((x, y, x + FRAME - 3, y + DASH // 2), fill=PAPER)


def _mark(draw: ImageDraw.ImageDraw, centre: tuple[int, int], kind: str) -> None:
    x, y = centre
    colour, place = COLOURS[kind], (x - MARK, y - MARK, x + MARK, y + MARK)
    if kind == "wrong":
        draw.rounded_rectangle(place, 5, fill=colour, outline=PAPER, width=2)
        draw.line([(x - 6, y - 6), (x + 6, y + 6)], fill=PAPER, width=4)
        draw.line([(x - 6, y + 6), (x + 6, y - 6)], fill=PAPER, width=4)
        return
    draw.ellipse(place, fill=colour, outline=PAPER, width=2)
    stroke = [(x - 7, y + 1), (x - 2, y + 6), (x + 7, y - 6)] if kind == "right" else []
    draw.line(stroke or [(x - 7, y), (x + 7, y)], fill=PAPER, width=4)
