"""Evaluating features of crops under a protocol."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from resight.errors import ConfigError
from resight.evaluation.needs import crosses_cameras
from resight.evaluation.options import Options
from resight.evaluation.protocols import PROTOCOLS
from resight.evaluation.record import Evaluation, Listed
from resight.evaluation.similarity import Scores, check_finite, cosine
from resight.records import Crops, Features

AUTO = "auto"
DEFAULTS = Options()


def evaluate(
    features: Features,
    crops: Crops,
    *,
    protocol: str = AUTO,
    options: Options = DEFAULTS,
    scores: Scores = cosine,
) -> Evaluation:
    """Figures of `features` (N rows) on `crops` (N) under a protocol, in percent.

    protocol: a name in `PROTOCOLS`, or "auto": label-free without any identity, else market1501
        where the data has queries and a gallery, else cross-camera where two cameras saw one
        identity, else all.
    options: the rule of average precision that `mAP` follows (`mAP_market` is always given), and
        what the protocol can be told.
    scores: what gallery crops are ranked by; cosine similarity of the global view by default.

    Raises DataError for NaN or infinite features and for crops that the protocol cannot evaluate,
    ConfigError for an unknown protocol or an option that it does not use, ValueError when N
    differs.
    """
    if len(features) != len(crops):
        raise ValueError(f"{len(features)} features for {len(crops)} crops, expected as many")
    name = automatic_protocol(crops) if protocol == AUTO else protocol
    procedure = chosen(name, options).procedure
    for view, vectors in features.views.items():
        check_finite(vectors, f"view {view!r} of the features")
    known = replace(features, crops=crops)
    return procedure(known, crops, scores=scores, options=options)


def chosen(protocol: str, options: Options) -> Listed:
    """The protocol of this name, which is not "auto".

    Raises ConfigError when it does not exist or does not use an option that was changed.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(_unknown(protocol))
    listed = PROTOCOLS[protocol]
    options.check_used(protocol, listed.used)
    return listed


def automatic_protocol(crops: Crops) -> str:
    """The name of the protocol that "auto" stands for with these crops."""
    if crops.identities is None or not (crops.identities > 0).any():
        return "label-free"
    if {"query", "gallery"} <= set(crops.splits.tolist()):
        return "market1501"
    if crops.cameras is not None and crosses_cameras(crops.identities, crops.cameras).any():
        return "cross-camera"
    return "all"


def _unknown(name: str) -> str:
    near = get_close_matches(name, PROTOCOLS, n=1)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    return f"protocol {name!r} does not exist{guess}; use one of {', '.join([AUTO, *PROTOCOLS])}"
