"""`resight index`."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from resight.api.evaluation_files import last_labels
from resight.data import read_crops
from resight.errors import GalleryError
from resight.files import digest_of
from resight.gallery import Gallery
from resight.gallery.clusters import Clusters, write_clusters
from resight.gallery.indexing import Indexed
from resight.gallery.indexing import index as index_crops
from resight.gallery.records import NO_ROW
from resight.gallery.settings import FILE, WEIGHTS, Policy, dim_of
from resight.gallery.telling import without_password
from resight.records import OUTLIER, Crops
from resight.training.run_folder import RunFolder

__all__ = ["Indexed", "index"]

log = logging.getLogger(__name__)


def index(
    run_folder: str | Path,
    data: str | Path,
    *,
    gallery: str | Path,
    store: str | None = None,
    thumbnails: Policy | None = None,
    keep_days: float | None = None,
    log_searches: bool | None = None,
    keep_missing: bool = False,
    restore: bool = False,
    layout: str = "auto",
    camera_pattern: str | None = None,
    workers: int | None = None,
    device: str = "auto",
) -> Indexed:
    """Embed crops with a run's encoder into a gallery, made if need be; only new or changed ones.

    data: a folder or table that `read_crops` reads. Crops that are gone from a folder, and files
    that are gone of a table, leave the gallery unless `keep_missing`. gallery: its folder. store:
    "files" (default) or a server's URL. thumbnails: "keep" (default), "blur" or "none". keep_days:
    retention, for ever by default. log_searches: whether searches are logged. These four belong to
    the gallery and are given when it is made. restore: also crops that were deleted from the
    gallery, which stay out otherwise. workers: decoding processes.

    The run's threshold is taken over, and its pseudo-labels where it was trained on these crops.

    Raises GalleryError when the gallery has another encoder or was made with other options; see
    `resight.gallery.indexing.index`.
    """
    run = Path(run_folder)
    _check_apart(Path(gallery), Path(data))
    crops = read_crops(data, layout=layout, camera_pattern=camera_pattern)
    options: dict[str, object] = {
        "store": store,
        "thumbnails": thumbnails,
        "retention_days": keep_days,
        "log_searches": log_searches,
    }
    asked = {name: value for name, value in options.items() if value is not None}
    with _opened(Path(gallery), run, asked, device) as opened:
        done = index_crops(
            opened,
            crops,
            complete=Path(data).is_dir(),
            keep_missing=keep_missing,
            restore=restore,
            workers=workers,
        )
        _keep_clusters(opened, run, crops)
        if opened.threshold is None:
            log.warning(
                "no threshold tells whether an answer is the same individual: run "
                "`resight calibrate %s`, then this command again",
                run,
            )
    return done


def _check_apart(gallery: Path, data: Path) -> None:
    """Raise GalleryError for a gallery in the folder of crops, whose pictures it would add."""
    if data.is_dir() and gallery.resolve().is_relative_to(data.resolve()):
        raise GalleryError(
            f"{gallery} lies in {data}, where its own thumbnails would be taken for crops: choose "
            "a folder outside"
        )


def _opened(path: Path, run: Path, asked: dict[str, object], device: str) -> Gallery:
    """The gallery at `path`, new or one that fits the run and what is asked for."""
    if not (path / FILE).exists():
        named = {"store": "address"}
        given = {named.get(name, name): value for name, value in asked.items()}
        return Gallery.create(path, run, device=device, **given)  # type: ignore[arg-type]
    gallery = Gallery.open(path, device=device)
    dim_of(run)
    if digest_of(run / WEIGHTS) != gallery.settings.digest:
        raise GalleryError(
            f"{path} was indexed with another encoder than that of {run}, so that their "
            "embeddings cannot be compared: index into a new gallery"
        )
    for name, value in asked.items():
        kept = getattr(gallery.settings, name)
        if kept != value:
            has, wanted = without_password(str(kept)), without_password(str(value))
            other = "index into a new gallery"
            if name != "store":
                other = f"change the gallery with `resight gallery set {path}`"
            raise GalleryError(
                f"{path} has {name.replace('_', ' ')} {has}, not {wanted}: leave the option out, "
                f"or {other}"
            )
    gallery.take_threshold(run)
    return gallery


def _keep_clusters(gallery: Gallery, run: Path, crops: Crops) -> None:
    """Keep the run's last pseudo-labels of the crops that it was trained on."""
    if not (run / "run.json").is_file() or RunFolder(run).settings().root != str(crops.root):
        return
    labels = last_labels(RunFolder(run), crops)
    if labels is None:
        return
    source = str(crops.root)
    stored = gallery.store.find(source, crops.paths) != NO_ROW
    rows = np.flatnonzero(stored & (labels != OUTLIER))
    with gallery.writing():
        kept = tuple((source, crops.paths[row]) for row in rows)
        write_clusters(gallery.path, Clusters(kept, labels[rows]))
    if not len(rows):
        return
    log.info(
        "%d clusters of the run's last epoch are kept, %s crops",
        len(np.unique(labels[rows])),
        f"{len(rows):,}",
    )
