"""Queries and gallery as the data names them: the benchmark protocol."""

from __future__ import annotations

from resight.evaluation.needs import query_and_gallery
from resight.evaluation.notes import counted_notes
from resight.evaluation.options import Options
from resight.evaluation.record import Evaluation, Trial, run_trial
from resight.evaluation.similarity import Scores
from resight.records import Crops, Features


def market1501(
    features: Features,
    crops: Crops,
    *,
    scores: Scores,
    options: Options,
    protocol: str = "market1501",
) -> Evaluation:
    """Crops of split "query" against those of split "gallery"; other crops take no part.

    With cameras, same identity in the same camera is removed (Zheng et al., ICCV 2015). Identity -1
    is junk and removed, identity 0 a distractor and wrong for every query.
    protocol: the name under which other benchmarks use the same rule.
    Raises DataError when a split is missing or no query has a match.
    """
    queries, gallery = query_and_gallery(crops, protocol)
    trial = Trial(queries, gallery, by_camera=crops.cameras is not None)
    unused = len(crops) - len(queries) - len(gallery)
    notes = counted_notes((unused, "crops of split train not used"))
    return run_trial(protocol, trial, features, crops, scores=scores, options=options, notes=notes)
