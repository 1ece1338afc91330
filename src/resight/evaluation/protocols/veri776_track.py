"""VeRi-776, image to track."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from resight.errors import DataError
from resight.evaluation.needs import labels_of, query_and_gallery, tracks_of
from resight.evaluation.notes import counted_notes, ranked_notes
from resight.evaluation.options import Options
from resight.evaluation.ranking import rank_blocks
from resight.evaluation.record import Evaluation
from resight.evaluation.similarity import ScoreBlock, Scores
from resight.evaluation.truth import Truth
from resight.records import JUNK, Crops, Features, IntArray

NAME = "veri776-track"


def veri776_track(
    features: Features, crops: Crops, *, scores: Scores, options: Options
) -> Evaluation:
    """Each query image against the tracks of the gallery (Liu et al., ECCV 2016).

    The distance to a track is the smallest distance to its images. With cameras, tracks of the
    query's identity in its own camera are removed. Gallery images of identity -1 or of an unknown
    track are left out.
    Raises DataError without tracks, when a track mixes identities or cameras, when a split is
    missing, or when no query has a match.
    """
    identities, tracks = labels_of(crops), tracks_of(crops)
    queries, gallery = query_and_gallery(crops, NAME)
    junk, lost = identities[gallery] == JUNK, tracks[gallery] < 0
    kept = gallery[~junk & ~lost]
    kept = kept[np.argsort(tracks[kept], kind="stable")]
    names, firsts = np.unique(tracks[kept], return_index=True)
    heads = kept[firsts]
    cameras = crops.cameras
    for what, values in (("identities", identities), ("cameras", cameras)):
        if values is not None:
            _check_whole(what, values[kept], firsts, names)
    truth = Truth(
        identities[queries],
        identities[heads],
        None if cameras is None else cameras[queries],
        None if cameras is None else cameras[heads],
    )
    blocks = scores(features.select(queries), features.select(kept), truth.candidates)
    ranking = rank_blocks(_of_tracks(blocks, firsts), truth, ap=options.ap)
    notes = counted_notes(
        (len(firsts), f"gallery tracks, made of {len(kept)} crops"),
        (len(crops) - len(queries) - len(gallery), "crops of split train not used"),
        (np.count_nonzero(junk), "gallery crops with identity -1 (junk) removed"),
        (np.count_nonzero(lost & ~junk), "gallery crops of unknown track left out"),
    )
    notes += ranked_notes(NAME, ranking, truth, gallery="gallery tracks")
    return Evaluation(NAME, ranking.figures(), notes, ranking=ranking, queries=queries)


def _of_tracks(blocks: Iterable[ScoreBlock], firsts: IntArray) -> Iterator[ScoreBlock]:
    """Scores (B, T), the highest of each track's columns, which start at `firsts` (T,)."""
    for rows, block in blocks:
        yield rows, np.maximum.reduceat(block, firsts, axis=1)


def _check_whole(what: str, values: IntArray, firsts: IntArray, names: IntArray) -> None:
    """Raise DataError when a track, a run of `values` from `firsts` on, holds more than one."""
    if not len(firsts):
        return
    lowest, highest = np.minimum.reduceat(values, firsts), np.maximum.reduceat(values, firsts)
    mixed = names[lowest != highest]
    if len(mixed):
        raise DataError(
            f"{len(mixed)} of {len(names)} gallery tracks mix {what} (the first is track "
            f"{mixed[0]}); a track shows one individual in one camera, so split those tracks"
        )
