"""An answer as one picture: the query, and what was found, in order."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from resight.files import write_atomically
from resight.gallery.describing import original_sizes
from resight.gallery.gallery import Gallery
from resight.gallery.searching import Answer, Hit, Query
from resight.gallery.telling import told_time
from resight.inference import Picture, to_pixels

HEIGHT, NARROWEST, WIDEST = 192, 96, 288
COLUMNS = 8
MOST = 400
FRAME, GAP, MARGIN, HEADING, CAPTION = 5, 18, 28, 48, 62
PAPER, INK, SOFT, BLANK = "#ffffff", "#1b2330", "#566173", "#e3e7ec"
ACCEPTED, REJECTED, UNJUDGED = "#00785a", "#808996", "#c9cfd6"
DASH = 12

Place = tuple[int, int, int, int]


def answer_sheet(gallery: Gallery, query: Query, answer: Answer, path: Path) -> Path:
    """Write a PNG of the query's pictures and of the first 400 hits to `path`, and return that.

    The query's pictures are in the first column, as many as the hits have rows. Each hit has its
    rank, similarity, camera and time; accepted ones have a green frame and a check mark, others a
    dashed grey one, and without a threshold all have a plain one. Crops without a thumbnail are
    grey.
    Raises ResightError when the file cannot be written.
    """
    hits = answer.hits[:MOST]
    found = [_stored(gallery, hit.source, hit.path) for hit in hits]
    columns, rows = min(COLUMNS, max(1, len(found))), max(1, math.ceil(len(found) / COLUMNS))
    asked = _queries(gallery, query, rows)
    widest = max(picture.width for picture in [*asked, *found])
    cell = (max(NARROWEST, widest) + 2 * FRAME, HEIGHT + 2 * FRAME)
    pitch = (cell[0] + GAP, cell[1] + CAPTION)
    size = (2 * MARGIN + GAP + (columns + 1) * pitch[0], 2 * MARGIN + HEADING + rows * pitch[1])
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    heading = verdict(gallery, answer)
    heading += f"; the first {MOST} are shown" if len(answer.hits) > MOST else ""
    draw.text((MARGIN, MARGIN), heading, INK, ImageFont.load_default(22))
    top = MARGIN + HEADING
    more = len(query.pictures) + len(query.ids) - len(asked)
    for row, picture in enumerate(asked):
        place = (MARGIN, top + row * pitch[1])
        lines = ["query", f"and {more} more" if more and picture is asked[-1] else ""]
        _cell(sheet, (*place, place[0] + cell[0], place[1] + cell[1]), picture, INK, lines)
    for rank, (hit, picture) in enumerate(zip(hits, found, strict=True)):
        left = MARGIN + GAP + (1 + rank % COLUMNS) * pitch[0]
        upper = top + rank // COLUMNS * pitch[1]
        box = (left, upper, left + cell[0], upper + cell[1])
        _cell(sheet, box, picture, _colour(hit), _caption(rank + 1, hit))
        _judge(draw, box, hit.accepted)
    write_atomically(path, lambda draft: sheet.save(draft, "PNG", optimize=True))
    return path


def verdict(gallery: Gallery, answer: Answer) -> str:
    """Whether the individual is known, in one line."""
    order = ", re-ranked" if answer.reranked else ""
    threshold = gallery.threshold
    if threshold is None or answer.unknown is None:
        return f"{_counted(len(answer.hits), 'answer')}{order}; no threshold tells who is known"
    if answer.unknown:
        return f"unknown: no crop reaches similarity {threshold.similarity:.3f}"
    accepted = sum(hit.accepted is True for hit in answer.hits)
    told = f"{accepted} of {_counted(len(answer.hits), 'answer')} accepted"
    return f"{told}, similarity from {threshold.similarity:.3f}{order}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _queries(gallery: Gallery, query: Query, most: int) -> list[Image.Image]:
    """The first pictures of a query, those that were given before stored ones."""
    given = [_given(picture) for picture in query.pictures[:most]]
    rows = gallery.present(np.array(query.ids[: most - len(given)], dtype=np.int64))
    crops = zip(rows.sources, rows.paths, strict=True)
    return [*given, *(_stored(gallery, source, path) for source, path in crops)]


def _given(picture: Picture) -> Image.Image:
    width, height = _fitted(*original_sizes([picture])[0, ::-1])
    return Image.fromarray(to_pixels([picture], (height, width))[0])


def _stored(gallery: Gallery, source: str, path: str) -> Image.Image:
    data = gallery.thumbnails.read(source, path) or b""
    try:
        picture = Image.open(io.BytesIO(data)).convert("RGB")
    except Exception:  # none is kept, or a power cut left a part of it
        return Image.new("RGB", (HEIGHT // 2, HEIGHT), BLANK)
    return picture.resize(_fitted(*picture.size), Image.Resampling.LANCZOS)


def _fitted(width: int, height: int) -> tuple[int, int]:
    scale = min(HEIGHT / height, WIDEST / width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _colour(hit: Hit) -> str:
    return {True: ACCEPTED, False: REJECTED, None: UNJUDGED}[hit.accepted]


def _caption(rank: int, hit: Hit) -> list[str]:
    return [f"{rank}.  {hit.similarity:.3f}", hit.camera, told_time(hit.time)]


def _cell(
    sheet: Image.Image, place: Place, picture: Image.Image, colour: str, lines: Sequence[str]
) -> None:
    """A framed picture with lines below it."""
    left, top, right, bottom = place
    draw = ImageDraw.Draw(sheet)
    middle = (left + right) // 2
    corner = (middle - picture.width // 2, (top + bottom - picture.height) // 2)
    sheet.paste(picture, corner)
    draw.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=FRAME - 1)
    for number, line in enumerate(filter(None, lines)):
        font = ImageFont.load_default(17 if number == 0 else 14)
        y = bottom + 5 + (0 if number == 0 else 4 + 17 * number)
        draw.text((middle, y), _fit(draw, line, font, right - left), SOFT, font, anchor="ma")


def _judge(draw: ImageDraw.ImageDraw, place: Place, accepted: bool | None) -> None:
    """A check mark for what is accepted, a dashed frame for what is not."""
    left, top, right, bottom = place
    if accepted is None:
        return
    if accepted:
        x, y = right - 4, top + 4
        draw.ellipse((x - 14, y - 14, x + 14, y + 14), fill=ACCEPTED, outline=PAPER, width=2)
        draw.line([(x - 7, y + 1), (x - 2, y + 6), (x + 7, y - 6)], fill=PAPER, width=4)
        return
    for x in range(left + DASH, right - DASH // 2, 2 * DASH):
        for y in (top, bottom - FRAME):
            draw.rectangle((x, y, x + DASH // 2, y + FRAME), fill=PAPER)
    for y in range(top + DASH, bottom - DASH // 2, 2 * DASH):
        for x in (left, right - FRAME):
            draw.rectangle((x, y, x + FRAME, y + DASH // 2), fill=PAPER)


def _fit(
    draw: ImageDraw.ImageDraw,
    text: str,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    width: int,
) -> str:
    """The text on one line, its end left out where it is wider than `width` pixels."""
    text = " ".join(text.split())
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(f"{text}…", font) > width:
        text = text[:-1]
    return f"{text}…"
