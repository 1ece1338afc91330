"""Evaluating features of crops under a protocol."""

from __future__ import annotations

from difflib import get_close_matches

from resight.errors import ConfigError
from resight.evaluation.protocols import PROTOCOLS
from resight.evaluation.ranking import AP_RULES, APRule
from resight.evaluation.record import Evaluation, crosses_cameras
from resight.evaluation.similarity import Scores, check_finite, cosine
from resight.records import Crops, Features

AUTO = "auto"


def evaluate(
    features: Features,
    crops: Crops,
    *,
    protocol: str = AUTO,
    ap: APRule = "step",
    scores: Scores = cosine,
) -> Evaluation:
    """Figures of `features` (N rows) on `crops` (N) under a protocol, in percent.

    protocol: "splits", "cross-camera", "camera-pairs", "all", "label-free", or "auto": label-free
        without any identity, else splits where the data has queries and a gallery, else
        cross-camera where two cameras saw one identity, else all.
    ap: rule of average precision, "step" or "market", as in `rank`; `mAP_market` is always given.
    scores: what gallery crops are ranked by; cosine similarity of the global view by default.

    Raises DataError for NaN or infinite features and for crops that the protocol cannot evaluate,
    ConfigError for an unknown protocol or rule, ValueError when N differs.
    """
    if ap not in AP_RULES:
        raise ConfigError(f"ap is {ap!r}; use one of {', '.join(AP_RULES)}")
    if len(features) != len(crops):
        raise ValueError(f"{len(features)} features for {len(crops)} crops, expected as many")
    name = automatic_protocol(crops) if protocol == AUTO else protocol
    if name not in PROTOCOLS:
        raise ConfigError(_unknown(name))
    for view, vectors in features.views.items():
        check_finite(vectors, f"view {view!r} of the features")
    return PROTOCOLS[name](features, crops, scores=scores, ap=ap)


def automatic_protocol(crops: Crops) -> str:
    """The name of the protocol that "auto" stands for with these crops."""
    if crops.identities is None or not (crops.identities > 0).any():
        return "label-free"
    if {"query", "gallery"} <= set(crops.splits.tolist()):
        return "splits"
    if crops.cameras is not None and crosses_cameras(crops.identities, crops.cameras).any():
        return "cross-camera"
    return "all"


def _unknown(name: str) -> str:
    near = get_close_matches(name, PROTOCOLS, n=1)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    return f"protocol {name!r} does not exist{guess}; use one of {', '.join([AUTO, *PROTOCOLS])}"
