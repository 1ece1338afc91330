"""Evaluation: how well features find the same individual again, with and without labels.

Names are loaded on first use: who reads a threshold needs no protocols.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resight.evaluation.evaluating import automatic_protocol, chosen, evaluate
    from resight.evaluation.fusion import fused, fusion_weights
    from resight.evaluation.lists import Hit, RankedList, first_wrong, ranked_lists
    from resight.evaluation.options import Options
    from resight.evaluation.protocols import PROTOCOLS
    from resight.evaluation.ranking import Ranking, rank, rank_blocks
    from resight.evaluation.record import Evaluation, Listed, Trial
    from resight.evaluation.similarity import cosine
    from resight.evaluation.truth import Truth

_HOMES = {
    "PROTOCOLS": "protocols",
    "Evaluation": "record",
    "Hit": "lists",
    "Listed": "record",
    "Options": "options",
    "RankedList": "lists",
    "Ranking": "ranking",
    "Trial": "record",
    "Truth": "truth",
    "automatic_protocol": "evaluating",
    "chosen": "evaluating",
    "cosine": "similarity",
    "evaluate": "evaluating",
    "first_wrong": "lists",
    "fused": "fusion",
    "fusion_weights": "fusion",
    "rank": "ranking",
    "rank_blocks": "ranking",
    "ranked_lists": "lists",
}

__all__ = [
    "PROTOCOLS",
    "Evaluation",
    "Hit",
    "Listed",
    "Options",
    "RankedList",
    "Ranking",
    "Trial",
    "Truth",
    "automatic_protocol",
    "chosen",
    "cosine",
    "evaluate",
    "first_wrong",
    "fused",
    "fusion_weights",
    "rank",
    "rank_blocks",
    "ranked_lists",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"resight.evaluation.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'resight.evaluation' has no attribute {name!r}")
