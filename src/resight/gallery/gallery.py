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
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt

from resight.data import feedback
from resight.errors import GalleryError
from resight.files import digest_of
from resight.gallery import forgotten
from resight.gallery import settings as files
from resight.gallery.clusters import forget_clusters
from resight.gallery.describing import describe
from resight.gallery.folder import SCRATCH, STORE, make_free, remove_drafts, telling
from resight.gallery.records import NO_TRACK, Filter, IndexState, Rows
from resight.gallery.settings import Policy, Settings
from resight.gallery.store import FILES, Store, open_store
from resight.gallery.stores.checks import check_texts
from resight.gallery.telling import without_password
from resight.gallery.thumbnails import FOLDER, Thumbnails
from resight.gallery.writer import Writer
from resight.records import FloatArray, IntArray

if TYPE_CHECKING:
    from resight.evaluation.threshold import Threshold
    from resight.inference import Embedder, Picture

Made = TypeVar("Made")

DAY = 86_400.0
_BLOCK = 65_536
_LARGEST = np.iinfo(np.int64).max

_State: TypeAlias = tuple[int, int, int]


class Gallery:
    """An open gallery; safe to use from several threads, with one writer at a time.

    path: its folder. store: its rows and embeddings. threshold: what `resight calibrate` found for
    the encoder, None where it was not run.
    """

    def __init__(self, path: Path, settings: Settings, store: Store, *, device: str) -> None:
        self.path = path
        self.store = store
        self.threshold: Threshold | None = files.read_threshold(path)
        self._settings: tuple[_State | None, Settings] = None, settings
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

        path: a folder that is absent or empty; only its owner may read it from then on. address: of
        the store, see `open_store`. thumbnails, retention_days, log_searches: see `Settings`.
        Raises GalleryError when there is something already or no encoder, ConfigError and
        StoreError for a store that cannot be used.
        """
        folder, source = Path(path), Path(model)
        settings = Settings(
            store=address,
            dim=files.dim_of(source),
            digest="",
            thumbnails=thumbnails,
            retention_days=retention_days,
            log_searches=log_searches,
            created=files.now_utc(),
        )
        make_free(folder)
        with Writer(folder).hold():
            make_free(folder)  # another process may have made it meanwhile
            files.copy_model(source, folder)
            files.copy_threshold(source, folder)
            # Of the copy: the run may be in training, and write other weights meanwhile.
            settings = replace(settings, digest=digest_of(folder / files.WEIGHTS))
            store = open_store(address, folder / STORE, dim=settings.dim, create=True)
            _check_empty(store, address)
            settings.write(folder)
        return cls(folder, settings, store, device=device)

    @classmethod
    def open(cls, path: str | Path, *, device: str = "auto") -> Gallery:
        """An existing gallery. Raises MissingError when `path` is none, StoreError for its store.

        device: where the encoder runs once it is needed.
        """
        folder = Path(path)
        settings = Settings.read(folder)
        store = open_store(settings.store, folder / STORE, dim=settings.dim)
        return cls(folder, settings, store, device=device)

    @property
    def settings(self) -> Settings:
        """What it keeps; read again when another process changed it."""
        state = self._state(files.FILE)
        known = self._settings
        if known[0] != state:
            known = self._settings = state, Settings.read(self.path)
        return known[1]

    @property
    def thumbnails(self) -> Thumbnails:
        """Its pictures."""
        return Thumbnails(self.path / FOLDER, self.settings.thumbnails)

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
        check_texts(rows)
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
            self.clear_up()
            rows = self.present(np.unique(_as_ids(ids)))
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
            self.clear_up(thoroughly=True)
            return self.store.optimise()

    def clear_up(self, *, thoroughly: bool = False) -> None:
        """Remove what killed work left: drafts, decoded crops, and pictures that have no row.

        Pictures are looked through where indexing was killed, or always with `thoroughly`.
        Raises GalleryError when something cannot be removed.
        """
        scratch = self.path / SCRATCH
        with self.writing(), telling(f"cannot clear up {self.path}"):
            if thoroughly or scratch.exists():
                self.thumbnails.sweep(self._crops())
            if scratch.exists():
                shutil.rmtree(scratch)
            remove_drafts(self.path)

    def change(
        self, *, thumbnails: Policy, retention_days: float | None, log_searches: bool
    ) -> None:
        """Change what is kept; pictures that are kept already are blurred or removed as asked.

        Raises GalleryError for a policy that keeps more than the pictures there are, ConfigError
        for values that `Settings` refuses.
        """
        policies = get_args(Policy)
        with self.writing():
            now = self.settings
            changed = replace(
                now,
                thumbnails=thumbnails,
                retention_days=retention_days,
                log_searches=log_searches,
            )
            if policies.index(thumbnails) < policies.index(now.thumbnails):
                raise GalleryError(
                    f"{self.path} has thumbnails {now.thumbnails!r}, and what was not kept cannot "
                    "be brought back: index into a new gallery"
                )
            if thumbnails != now.thumbnails:  # before it is noted: killed here, it is done again
                self.thumbnails.restrict(thumbnails)
            changed.write(self.path)

    def take_threshold(self, model: Path) -> None:
        """Take over the calibrated threshold of the run that the encoder comes from, if any."""
        with self.writing():
            files.copy_threshold(model, self.path)
            self.threshold = files.read_threshold(self.path)

    def present(self, ids: IntArray) -> Rows:
        """The rows of those of these ids that are there, in their order."""
        while True:
            try:
                return self.store.rows(ids)
            except KeyError:
                there = ids[np.isin(ids, self.store.select())]
                if len(there) == len(ids):
                    raise
                ids = there  # of which some may be deleted before they are read

    def has(self, crop_id: int) -> bool:
        """Whether there is such a crop."""
        if not 0 <= crop_id <= _LARGEST:
            return False
        return bool((self.store.select(after=crop_id - 1, limit=1) == crop_id).any())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer; raises BusyError when another process stays one."""
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

    def _state(self, name: str) -> _State | None:
        try:
            status = (self.path / name).stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _crops(self) -> Iterator[tuple[str, str]]:
        """Source and path of every row."""
        ids = self.store.select()
        for start in range(0, len(ids), _BLOCK):
            rows = self.store.rows(ids[start : start + _BLOCK])
            yield from zip(rows.sources, rows.paths, strict=True)


def _check_empty(store: Store, address: str) -> None:
    """Raise GalleryError for a store with rows, whose encoder is not known."""
    if len(store.select(limit=1)):
        store.close()
        raise GalleryError(
            f"the store at {without_password(address)} holds crops of another gallery: give each "
            "gallery a table, a collection or a folder of its own"
        )


def _as_ids(ids: Sequence[int] | IntArray) -> IntArray:
    """Those of these numbers that can be ids."""
    return np.array([crop_id for crop_id in ids if 0 <= crop_id <= _LARGEST], dtype=np.int64)
