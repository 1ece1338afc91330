"""A gallery: an encoder, a store of embedded crops, their thumbnails, and what people decided."""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt

from resight.data import feedback
from resight.errors import GalleryError
from resight.gallery import forgotten
from resight.gallery import settings as files
from resight.gallery.clusters import forget_clusters
from resight.gallery.describing import describe
from resight.gallery.records import NO_TRACK, Filter, IndexState, Rows
from resight.gallery.settings import Policy, Settings
from resight.gallery.store import FILES, Store, open_store
from resight.gallery.thumbnails import FOLDER, Thumbnails
from resight.gallery.writer import Writer
from resight.records import FloatArray, IntArray

if TYPE_CHECKING:
    from resight.evaluation.calibration import Threshold
    from resight.inference import Embedder, Picture

Made = TypeVar("Made")

STORE = "store"
SCRATCH = ".decoding"
DAY = 86_400.0
_BLOCK = 65_536


class Gallery:
    """An open gallery; safe to use from several threads, with one writer at a time.

    path: its folder. settings: see there. store: its rows and embeddings. thumbnails: its pictures.
    threshold: what `resight calibrate` found for the encoder, None where it was not run.
    """

    def __init__(self, path: Path, settings: Settings, store: Store, *, device: str) -> None:
        self.path = path
        self.settings = settings
        self.store = store
        self.threshold: Threshold | None = files.read_threshold(path)
        self.thumbnails = Thumbnails(path / FOLDER, settings.thumbnails)
        self._device = device
        self._embedder: Embedder | None = None
        self._opening = threading.Lock()
        self._memory: dict[object, tuple[object, object]] = {}
        self._remembering = threading.Lock()
        self._writer = Writer(path)

    @classmethod
    def create(
        cls,
        path: str | Path,
        model: str | Path,
        *,
        address: str = FILES,
        thumbnails: Policy = "keep",
        retention_days: float | None = None,
        log_searches: bool = False,
        device: str = "auto",
    ) -> Gallery:
        """A new, empty gallery with the encoder of `model`, a run folder or one like it.

        path: a folder that is absent or empty; only its owner may read it. address: of the store,
        see `open_store`. thumbnails, retention_days, log_searches: see `Settings`.
        Raises GalleryError when there is something already or no encoder, ConfigError and
        StoreError for a store that cannot be used.
        """
        from resight.inference.embedder import digest_of

        folder, source = Path(path), Path(model)
        settings = Settings(
            store=address,
            dim=files.dim_of(source),
            digest=digest_of(source / files.WEIGHTS),
            thumbnails=thumbnails,
            retention_days=retention_days,
            log_searches=log_searches,
            created=files.now_utc(),
        )
        _check_free(folder)
        with Writer(folder).hold():
            files.copy_model(source, folder)
            files.copy_threshold(source, folder)
            store = open_store(address, folder / STORE, dim=settings.dim, create=True)
            settings.write(folder)
        return cls(folder, settings, store, device=device)

    @classmethod
    def open(cls, path: str | Path, *, device: str = "auto") -> Gallery:
        """An existing gallery. Raises GalleryError when `path` is none, StoreError for its store.

        device: where the encoder runs once it is needed.
        """
        folder = Path(path)
        settings = Settings.read(folder)
        store = open_store(settings.store, folder / STORE, dim=settings.dim)
        return cls(folder, settings, store, device=device)

    @property
    def embedder(self) -> Embedder:
        """The encoder, loaded when it is first needed.

        Raises GalleryError when its weights are not those that the rows were embedded with.
        """
        from resight.inference import Embedder

        with self._opening:
            if self._embedder is None:
                opened = Embedder.open(self.path, device=self._device)
                if opened.digest != self.settings.digest:
                    raise GalleryError(
                        f"the encoder in {self.path} is not the one that its rows were embedded "
                        "with: bring the old weights back, or index into a new gallery"
                    )
                self._embedder = opened
            return self._embedder

    def add(self, pictures: Sequence[Picture], rows: Rows) -> IntArray:
        """Embed and store N pictures; returns their (N,) ids.

        rows: what is known of them, see `describe`. A crop of the same source and path is replaced.
        Raises DataError for a picture that cannot be read; nothing is stored then.
        """
        from resight.gallery.describing import original_sizes
        from resight.inference import to_pixels

        if len(pictures) != len(rows):
            raise ValueError(f"{len(rows)} rows for {len(pictures)} pictures")
        pixels = to_pixels(pictures, self.embedder.size)
        sizes = original_sizes(pictures)
        return self.add_embedded(self.embedder.embed_pixels(pixels), rows, pixels, sizes)

    def add_detections(
        self,
        detections: Any,
        frame: npt.NDArray[np.uint8],
        *,
        source: str,
        frame_name: str,
        camera: str = "",
        time: float = math.nan,
        rgb: bool = False,
    ) -> IntArray:
        """Embed and store what a detector or tracker found in a frame; returns the (N,) ids.

        detections: `supervision.Detections`, or anything with `xyxy` (N, 4) and perhaps
        `tracker_id` (N,), which become tracks. frame: (h, w, 3) uint8, BGR as OpenCV has it, RGB
        with `rgb`. source: the stream's name. frame_name: of this frame; the crops are called
        frame_name#0, #1, …. time: seconds. Boxes are clipped to the frame; raises DataError for one
        that lies outside.
        """
        from resight.inference.detections import crop_pixels

        boxes = np.asarray(detections.xyxy, np.float64)
        if not len(boxes):
            return np.empty(0, np.int64)
        pixels = crop_pixels(boxes, frame, self.embedder.size, rgb=rgb)
        height, width = frame.shape[:2]
        corners = np.rint(boxes).clip(0, [width, height, width, height]).astype(np.int64)
        tracks = getattr(detections, "tracker_id", None)
        rows = describe(
            source,
            [f"{frame_name}#{number}" for number in range(len(boxes))],
            cameras=camera,
            times=time,
            tracks=NO_TRACK if tracks is None else np.asarray(tracks, np.int64),
        )
        sizes = (corners[:, 2:] - corners[:, :2])[:, ::-1]
        return self.add_embedded(self.embedder.embed_pixels(pixels), rows, pixels, sizes)

    def add_embedded(
        self, vectors: FloatArray, rows: Rows, pixels: npt.NDArray[np.uint8], sizes: IntArray
    ) -> IntArray:
        """Store N crops that are embedded already; returns their (N,) ids.

        vectors: (N, D) of this gallery's encoder, rows of length 1. pixels: (N, H, W, 3) that they
        were made of, for thumbnails. sizes: (N, 2) height and width of the originals.
        """
        with self.writing():
            return self.commit(vectors, rows, pixels, sizes)

    def commit(
        self, vectors: FloatArray, rows: Rows, pixels: npt.NDArray[np.uint8], sizes: IntArray
    ) -> IntArray:
        """`add_embedded` from any thread, for a caller that holds `writing` already."""
        crops = list(zip(rows.sources, rows.paths, strict=True))
        self.thumbnails.write(crops, pixels, sizes)
        stored = replace(rows, added=np.full(len(rows), time.time()))
        return self.store.add(stored, vectors)

    def thumbnail(self, crop_id: int) -> bytes | None:
        """The picture of a crop as JPEG, None where none is kept or the crop is not there."""
        try:
            row = self.store.rows(np.array([crop_id]))
        except KeyError:
            return None
        return self.thumbnails.read(row.sources[0], row.paths[0])

    def delete(self, ids: Sequence[int] | IntArray, *, forget: bool = True) -> int:
        """Delete crops: rows, embeddings, thumbnails, decisions and labels of clusters.

        Ids that are not there do not matter. Returns how many were. Embedded stores may keep what
        was deleted on the disk, never shown, until `optimise`. forget: indexing the same files does
        not bring them back.
        """
        with self.writing():
            rows = self.present(np.unique(np.asarray(ids, np.int64)))
            if not len(rows):
                return 0
            if forget:
                forgotten.forget(self.path, rows)
            crops = set(zip(rows.sources, rows.paths, strict=True))
            self.thumbnails.remove(crops)
            forget_clusters(self.path, crops)
            feedback.erase(
                self.path / feedback.NAME,
                (feedback.Crop(*name) for crop in crops for name in (crop, ("", crop[1]))),
            )
            return self.store.delete(rows.ids)

    def past(self, now: float | None = None) -> IntArray:
        """Ids of what was added longer ago than the retention. now: seconds since 1970."""
        days = self.settings.retention_days
        if days is None:
            return np.empty(0, np.int64)
        before = (time.time() if now is None else now) - days * DAY
        return self.store.select(Filter(added_before=before))

    def expire(self, now: float | None = None) -> int:
        """Delete what is past the retention, from the disk too; returns how many that was.

        now: seconds since 1970, by default the clock's.
        """
        past = self.past(now)
        if not len(past):
            return 0
        with self.writing():
            deleted = self.delete(past)
            self.store.optimise()
        return deleted

    def optimise(self) -> IndexState:
        """Clear away what deleted and interrupted work left, and build the search index."""
        with self.writing():
            shutil.rmtree(self.path / SCRATCH, ignore_errors=True)
            self.thumbnails.sweep(self._crops())
            return self.store.optimise()

    def change(
        self, *, thumbnails: Policy, retention_days: float | None, log_searches: bool
    ) -> None:
        """Change what is kept; pictures that are kept already are blurred or removed as asked.

        Raises GalleryError for a policy that keeps more than the pictures there are, ConfigError
        for values that `Settings` refuses.
        """
        changed = replace(
            self.settings,
            thumbnails=thumbnails,
            retention_days=retention_days,
            log_searches=log_searches,
        )
        policies = get_args(Policy)
        if policies.index(thumbnails) < policies.index(self.settings.thumbnails):
            raise GalleryError(
                f"{self.path} has thumbnails {self.settings.thumbnails!r}, and what was not kept "
                "cannot be brought back: index into a new gallery"
            )
        with self.writing():
            changed.write(self.path)
            self.thumbnails = self.thumbnails.restrict(thumbnails)
            self.settings = changed

    def take_threshold(self, model: Path) -> None:
        """Take over the calibrated threshold of the run that the encoder comes from, if any."""
        with self.writing():
            files.copy_threshold(model, self.path)
            self.threshold = files.read_threshold(self.path)

    def present(self, ids: IntArray) -> Rows:
        """The rows of those of these ids that are there."""
        try:
            return self.store.rows(ids)
        except KeyError:
            there = [crop_id for crop_id in ids.tolist() if self._has(crop_id)]
            return self.store.rows(np.array(there, dtype=np.int64))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer; raises GalleryError when another process stays one."""
        with self._writer.hold():
            yield

    def remember(self, key: object, names: Sequence[str], make: Callable[[Gallery], Made]) -> Made:
        """`make(self)`, made again only after one of these files of the folder changed."""
        state = tuple(map(self._state, names))
        with self._remembering:
            known = self._memory.get(key)
            if known is None or known[0] != state:
                known = self._memory[key] = (state, make(self))
        return cast("Made", known[1])

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *told: object) -> None:
        self.close()

    def _state(self, name: str) -> tuple[int, int, int] | None:
        try:
            status = (self.path / name).stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _has(self, crop_id: int) -> bool:
        return bool((self.store.select(after=crop_id - 1, limit=1) == crop_id).any())

    def _crops(self) -> Iterator[tuple[str, str]]:
        """Source and path of every row."""
        ids = self.store.select()
        for start in range(0, len(ids), _BLOCK):
            rows = self.store.rows(ids[start : start + _BLOCK])
            yield from zip(rows.sources, rows.paths, strict=True)


def _check_free(folder: Path) -> None:
    """Raise GalleryError unless `folder` can become a gallery; make it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = [file.name for file in folder.iterdir() if file.name not in _LEFT_OVER]
    except OSError as error:
        raise GalleryError(f"cannot write to {folder}: {error.strerror}") from error
    if files.FILE in taken:
        raise GalleryError(f"{folder} is a gallery already: open it, or choose another folder")
    if taken:
        raise GalleryError(f"{folder} holds other files: choose a new or empty folder")


# What a start that was cut short leaves; gallery.json is written last.
_LEFT_OVER = {".lock", files.WEIGHTS, files.DESCRIPTION, "threshold.json", STORE}
