"""CUHK03, classic protocol: galleries of one image per identity, drawn anew for each trial."""

from __future__ import annotations

import numpy as np

from resight.errors import DataError
from resight.evaluation.needs import cameras_of, held_out, labels_of
from resight.evaluation.notes import counted_notes
from resight.evaluation.options import Options
from resight.evaluation.ranking import Ranking, joined, rank_blocks
from resight.evaluation.record import Evaluation, Trial
from resight.evaluation.similarity import Scores
from resight.evaluation.truth import Truth
from resight.records import Crops, Features, IntArray

NAME = "cuhk03-classic"


def cuhk03_classic(
    features: Features, crops: Crops, *, scores: Scores, options: Options
) -> Evaluation:
    """Single-shot search, mean over `options.trials` random galleries (Li et al., CVPR 2014).

    In each trial, and for each camera, the gallery holds one random crop, from other cameras, of
    each identity that was searched for and seen there; the camera's queries are ranked against it.
    Queries and gallery are the data's where it has both, which in CUHK03 are its two views;
    otherwise all held-out crops are both. Distractors and junk take no part. The published figures
    draw 20 times on the 100 test identities of a classic split.
    Raises DataError without cameras, or when no query can be found in another camera.
    """
    queries, pool = _sides(crops)
    identities, cameras = labels_of(crops), cameras_of(crops)
    shown = queries[identities[queries] > 0]
    pool = pool[np.isin(identities[pool], identities[shown])]
    everyone = Truth(identities[shown], identities[pool], cameras[shown], cameras[pool])
    searched = shown[everyone.n_right() > 0]
    if not len(searched):
        raise DataError(
            f"protocol {NAME!r}: none of {len(shown)} queries was seen by another of "
            f"{len(np.unique(cameras))} cameras; protocol 'all' ignores cameras"
        )
    rng = np.random.default_rng(options.seed)
    draws = [
        _draw(features, crops, searched, pool, scores=scores, options=options, rng=rng)
        for _ in range(options.trials)
    ]
    ranking = joined([draw[1] for draw in draws])
    n_identities = len(np.unique(identities[searched]))
    notes = (
        *_spread([draw[1] for draw in draws], n_identities, options.seed),
        *counted_notes(
            (np.count_nonzero(crops.splits == "train"), "crops of split train not used"),
            (len(shown) - len(searched), "queries without a match in another camera dropped"),
            (np.count_nonzero(identities == 0), "crops with identity 0 (distractors) not used"),
            (np.count_nonzero(identities < 0), "crops with identity -1 (junk) removed"),
        ),
    )
    asked = np.concatenate([draw[0] for draw in draws])
    return Evaluation(NAME, ranking.figures(), notes, ranking=ranking, queries=asked)


def _sides(crops: Crops) -> tuple[IntArray, IntArray]:
    """Rows of the splits query and gallery; all held-out rows twice where one of them lacks."""
    queries = np.flatnonzero(crops.splits == "query")
    gallery = np.flatnonzero(crops.splits == "gallery")
    every = held_out(crops)
    return (queries, gallery) if len(queries) and len(gallery) else (every, every)


def _draw(
    features: Features,
    crops: Crops,
    queries: IntArray,
    pool: IntArray,
    *,
    scores: Scores,
    options: Options,
    rng: np.random.Generator,
) -> tuple[IntArray, Ranking]:
    """One trial: all queries (Q,), camera by camera, and how they fared."""
    identities, cameras = labels_of(crops), cameras_of(crops)
    asked, rankings = [], []
    for camera in np.unique(cameras[queries]):
        others = rng.permutation(pool[cameras[pool] != camera])
        _, firsts = np.unique(identities[others], return_index=True)
        trial = Trial(queries[cameras[queries] == camera], np.sort(others[firsts]), by_camera=False)
        truth = trial.truth(crops)
        blocks = scores(*trial.sides(features), truth.candidates)
        rankings.append(rank_blocks(blocks, truth, ap=options.ap))
        asked.append(trial.queries)
    return np.concatenate(asked), joined(rankings)


def _spread(draws: list[Ranking], n_identities: int, seed: int) -> tuple[str, ...]:
    """What the mean is over, and how much the draws differ."""
    mean = f"{n_identities} identities, mean over {len(draws)} random galleries, seed {seed}"
    if len(draws) < 2:
        return (mean,)
    deviation = {
        name: np.std([draw.figures()[name] for draw in draws], ddof=1) for name in ("mAP", "rank1")
    }
    told = ", ".join(f"{name} {value:.2f}" for name, value in deviation.items())
    return mean, f"standard deviation between galleries, in percent: {told}"
