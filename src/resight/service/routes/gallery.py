"""GET /api/gallery: what is held here."""

from __future__ import annotations

from resight.gallery import Individuals
from resight.service import answers
from resight.service.desk import TheDesk
from resight.service.routes.common import api

router = api("gallery")


@router.get("/gallery")
def show_gallery(desk: TheDesk) -> answers.Overview:
    """What the gallery holds, and what may be done with it."""
    gallery = desk.gallery
    state, threshold = gallery.store.state(), gallery.threshold
    cameras = gallery.store.cameras()
    return answers.Overview(
        name=gallery.path.resolve().name,
        rows=state.rows,
        cameras=[answers.Camera(name=name, rows=rows) for name, rows in cameras.items()],
        times=gallery.store.times(),
        threshold=None
        if threshold is None
        else answers.Threshold(
            similarity=threshold.similarity, far=threshold.far, notes=list(threshold.notes)
        ),
        thumbnails=gallery.settings.thumbnails,
        clusters=len(Individuals.of(gallery).sizes),
        index=answers.Index(kind=state.kind, recall=state.recall),
        read_only=desk.settings.read_only,
    )
