"""What routes work with: the gallery, and what requests share."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar, cast

import anyio.to_thread
import numpy as np
from fastapi import Depends, HTTPException, Request, UploadFile

from resight.gallery import Gallery, Hit, Individuals, Rows
from resight.gallery.searching import hits_of, stored
from resight.gallery.store import FILES, Store
from resight.inference import Embedder, Picture
from resight.inference.pictures import Pixels
from resight.records import FloatArray
from resight.service import answers
from resight.service.cluster_table import ClusterTable
from resight.service.errors import RETRY
from resight.service.joint import JointEncoder, JointStore
from resight.service.metrics import Metrics
from resight.service.pictures import check_picture, decoded
from resight.service.settings import ServiceSettings
from resight.service.watch import Watch

LANES = 4
"""Searches that run at a time in a store that is a server; the embedded one uses all cores."""

DECODING = min(4, os.cpu_count() or 1)
"""Pictures that are decoded at a time: a large one takes hundreds of megabytes."""

PATIENCE = 5.0
"""Seconds that a request waits for others that change the gallery."""

Shown = TypeVar("Shown", bound=answers.Crop)


class Desk:
    """One per application, which owns it.

    untidy: crops were deleted since the last compaction. writers: half of the workers, as one
    writes at a time and others wait: all would leave none for searches during a compaction.
    """

    def __init__(self, gallery: Gallery, settings: ServiceSettings) -> None:
        self.gallery = gallery
        self.settings = settings
        self.metrics = Metrics()
        self.untidy = threading.Event()
        self.writers = asyncio.Semaphore(max(1, settings.workers // 2))
        self.watch = Watch(lambda: gallery.store.state().rows)
        self._encoder = JointEncoder(self._opened, told=self.metrics.batches("encoder"))
        self._decoding = threading.BoundedSemaphore(DECODING)
        self._reading = threading.Lock()
        self._table: ClusterTable | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let requests share encoder and searches; to be entered within the event loop."""
        workers = anyio.to_thread.current_default_thread_limiter()
        workers.total_tokens = self.settings.workers
        own = self.gallery.store
        lanes = 1 if self.gallery.settings.store == FILES else LANES
        joint = JointStore(own, lanes=lanes, told=self.metrics.batches("search"))
        self.gallery.store = cast("Store", joint)
        try:
            yield
        finally:
            self.gallery.store = own
            joint.stop()
            self.watch.stop()
            self._encoder.close()

    def embed(self, pictures: Sequence[Picture]) -> FloatArray:
        """(N, D) embeddings of checked pictures, together with those of other requests."""
        return self.embed_pixels(self.pixels(pictures))

    def pixels(self, pictures: Sequence[Picture]) -> Pixels:
        """(N, H, W, 3) pixels of checked pictures, of the encoder's size."""
        size = self.gallery.embedder.size
        with self._decoding:
            return decoded(pictures, size)

    def embed_pixels(self, pixels: Pixels) -> FloatArray:
        """(N, D) embeddings of (N, H, W, 3) pixels of the encoder's size."""
        return self._encoder(pixels)

    def read(self, upload: UploadFile) -> bytes:
        """An uploaded picture, checked; raises HTTPException 413 and 415."""
        data = upload.file.read()
        check_picture(data, max_pixels=self.settings.max_pixels)
        return data

    def rows(self, ids: Sequence[int]) -> Rows:
        """These rows; raises MissingError for one that is not there."""
        return stored(self.gallery, ids)[0]

    def crops(self, rows: Rows) -> list[answers.Crop]:
        """Stored rows as they are answered."""
        hits = hits_of(self.gallery, rows, np.zeros(len(rows), np.float32))
        return self.shown(hits, answers.Crop)

    def shown(
        self, hits: Iterable[Hit], kind: type[Shown], more: Iterable[dict[str, Any]] | None = None
    ) -> list[Shown]:
        """Hits as they are answered; more: further fields of each."""
        known = Individuals.of(self.gallery)
        pictured = self.gallery.settings.thumbnails != "none"
        hits = tuple(hits)
        return [
            kind(
                **hit.as_dict(),
                **others,
                label=known.label((hit.source, hit.path)),
                thumbnail=f"/api/crops/{hit.id}/thumbnail" if pictured else None,
            )
            for hit, others in zip(hits, more or [{}] * len(hits), strict=True)
        ]

    def clusters(self) -> ClusterTable:
        """The clusters, read again after they, decisions or crops changed, also elsewhere."""
        with self._reading:
            if self._table is None or not self._table.is_of(self.gallery):
                self._table = ClusterTable.read(self.gallery)
            return self._table

    def _opened(self) -> Embedder:
        return self.gallery.embedder


async def desk_of(request: Request) -> Desk:
    """The desk of the application that answers."""
    desk: Desk = request.app.state.desk
    return desk


async def who_asks(request: Request) -> str:
    """Who asks, for logs and decisions."""
    who: str = request.scope["state"]["who"]
    return who


async def writable(request: Request) -> AsyncIterator[None]:
    """A place among those who change something; raises HTTPException 403 where nothing may be
    changed, and 503 while all places are taken for longer than a few seconds.
    """
    desk: Desk = request.app.state.desk
    if desk.settings.read_only:
        raise HTTPException(403, "this service is read-only: nothing can be changed here")
    try:
        async with asyncio.timeout(PATIENCE):
            await desk.writers.acquire()
    except TimeoutError as error:
        raise HTTPException(503, "others are changing the gallery: try again", RETRY) from error
    try:
        yield
    finally:
        desk.writers.release()


TheDesk = Annotated[Desk, Depends(desk_of)]
Who = Annotated[str, Depends(who_asks)]
