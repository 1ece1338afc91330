"""CUHK03, new protocol."""

from __future__ import annotations

from resight.evaluation.options import Options
from resight.evaluation.protocols.market1501 import market1501
from resight.evaluation.record import Evaluation
from resight.evaluation.similarity import Scores
from resight.records import Crops, Features


def cuhk03(features: Features, crops: Crops, *, scores: Scores, options: Options) -> Evaluation:
    """767 identities to train on and 700 to search for, by the rule of `market1501`.

    The split is the data's (Zhong et al., CVPR 2017); here only queries are told from gallery.
    Raises what `market1501` raises.
    """
    return market1501(features, crops, scores=scores, options=options, protocol="cuhk03")
