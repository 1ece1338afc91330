"""Evaluation: how well features find the same individual again, with and without labels."""

from resight.evaluation.evaluate import automatic_protocol, chosen, evaluate
from resight.evaluation.fusion import fused, fusion_weights
from resight.evaluation.lists import Hit, RankedList, first_wrong, ranked_lists
from resight.evaluation.options import Options
from resight.evaluation.protocols import PROTOCOLS
from resight.evaluation.ranking import Ranking, rank, rank_blocks
from resight.evaluation.record import Evaluation, Listed, Trial
from resight.evaluation.similarity import cosine
from resight.evaluation.truth import Truth

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
