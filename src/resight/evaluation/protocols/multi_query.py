"""Several images of one individual as one query."""

from __future__ import annotations

import numpy as np

from resight.evaluation.needs import cameras_of, labels_of, query_and_gallery
from resight.evaluation.notes import counted_notes, ranked_notes
from resight.evaluation.options import Options
from resight.evaluation.ranking import rank_blocks
from resight.evaluation.record import Evaluation
from resight.evaluation.sides import unit_rows
from resight.evaluation.similarity import Scores
from resight.evaluation.truth import Truth
from resight.records import Crops, Features, FloatArray, IntArray

NAME = "multi-query"


def multi_query(
    features: Features, crops: Crops, *, scores: Scores, options: Options
) -> Evaluation:
    """All query images of one identity in one camera are one query, as in Market-1501.

    Its features are the mean of theirs, of unit length again (average pooling; Zheng et al., ICCV
    2015, also tell of max pooling). The gallery and what is removed are those of `market1501`.
    Raises DataError without cameras, when a split is missing, or when no query has a match.
    """
    identities, cameras = labels_of(crops), cameras_of(crops)
    queries, gallery = query_and_gallery(crops, NAME)
    shown = queries[identities[queries] > 0]
    shown = shown[np.lexsort((shown, cameras[shown], identities[shown]))]
    changes = (np.diff(identities[shown]) != 0) | (np.diff(cameras[shown]) != 0)
    firsts = np.flatnonzero(np.concatenate([[True], changes]))[: len(shown)]
    heads = shown[firsts]
    truth = Truth(identities[heads], identities[gallery], cameras[heads], cameras[gallery])
    merged = {view: _means(rows[shown], firsts) for view, rows in features.views.items()}
    blocks = scores(
        Features(merged, crops.select(heads)), features.select(gallery), truth.candidates
    )
    ranking = rank_blocks(blocks, truth, ap=options.ap)
    single = len(firsts) == len(shown)
    told = "one image each: the figures are those of market1501" if single else "averaged features"
    notes = counted_notes(
        (len(firsts), f"queries made of {len(shown)} query images, {told}"),
        (len(crops) - len(queries) - len(gallery), "crops of split train not used"),
        (
            len(queries) - len(shown),
            "query images without a labelled identity not searched for",
        ),
    )
    notes += ranked_notes(NAME, ranking, truth)
    return Evaluation(NAME, ranking.figures(), notes, ranking=ranking, queries=heads)


def _means(rows: FloatArray, firsts: IntArray) -> FloatArray:
    """(Q, D) unit means of unit rows, runs of which start at `firsts` (Q,)."""
    if not len(rows):
        return rows
    return unit_rows(np.add.reduceat(unit_rows(rows), firsts, axis=0))
