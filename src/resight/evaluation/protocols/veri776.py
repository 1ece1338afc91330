"""VeRi-776, image to image."""

from __future__ import annotations

from resight.evaluation.options import Options
from resight.evaluation.protocols.market1501 import market1501
from resight.evaluation.record import Evaluation
from resight.evaluation.similarity import Scores
from resight.records import Crops, Features


def veri776(features: Features, crops: Crops, *, scores: Scores, options: Options) -> Evaluation:
    """Each query image against all test images, by the rule of `market1501`.

    Images of the query's vehicle from its own camera are removed (Liu et al., ECCV 2016).
    Raises what `market1501` raises.
    """
    return market1501(features, crops, scores=scores, options=options, protocol="veri776")
