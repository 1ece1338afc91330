"""What did not count in an evaluation and why, in sentences with counts."""

from __future__ import annotations

import numpy as np

from resight.errors import DataError
from resight.evaluation.ranking import Ranking
from resight.evaluation.truth import DISTRACTOR, Truth
from resight.records import JUNK, BoolArray

CROPS = "gallery crops"


def counted_notes(*lines: tuple[int | np.intp, str]) -> tuple[str, ...]:
    """Those lines whose count is not zero, each with its count in front."""
    return tuple(f"{count} {text}" for count, text in lines if count)


def ranked_notes(
    protocol: str, ranking: Ranking, truth: Truth, *, gallery: str = CROPS
) -> tuple[str, ...]:
    """What did not count in a ranking. gallery: what is searched among, in words.

    Raises DataError when no query counts.
    """
    check_counted(protocol, ranking, truth, gallery=gallery)
    return (
        *counted_notes((ranking.dropped, "queries without a match in the gallery dropped")),
        *removed_notes(truth, ranking.counted, gallery=gallery),
    )


def check_counted(protocol: str, ranking: Ranking, truth: Truth, *, gallery: str = CROPS) -> None:
    """Raise DataError when no query has a match in the gallery."""
    if ranking.n_queries:
        return
    where = "" if truth.query_cameras is None else " from another camera"
    advice = "; protocol 'all' ignores cameras and splits" if protocol != "all" else ""
    raise DataError(
        f"protocol {protocol!r}: none of {len(truth.query_ids)} queries has a match{where} among "
        f"{len(truth.gallery_ids)} {gallery}, so there is nothing to measure{advice}"
    )


def removed_notes(truth: Truth, counted: BoolArray, *, gallery: str = CROPS) -> tuple[str, ...]:
    """Queries that are nobody's, and answers that are removed or right for no query.

    counted: (Q,) the queries over which answers of the query's own camera are counted.
    """
    ids = truth.gallery_ids
    pairs = int(truth.n_same_camera()[counted].sum())
    mean = f" ({pairs / max(1, int(np.count_nonzero(counted))):.1f} a query)"
    return counted_notes(
        (np.count_nonzero(~truth.searched), "queries without a labelled identity not searched for"),
        (np.count_nonzero(ids == JUNK), f"{gallery} with identity -1 (junk) removed"),
        (
            np.count_nonzero(ids == DISTRACTOR),
            f"{gallery} with identity 0 (distractors) are wrong for every query",
        ),
        (pairs, f"answers of the query's own identity in its own camera removed{mean}"),
    )
