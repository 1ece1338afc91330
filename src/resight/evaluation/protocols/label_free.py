"""What can be said of features when no identity is known."""

from __future__ import annotations

import numpy as np

from resight.clustering import DBSCAN
from resight.clustering.quality import label_free as label_free_figures
from resight.errors import DataError
from resight.evaluation.ranking import APRule
from resight.evaluation.record import Evaluation, counted_notes
from resight.evaluation.similarity import Scores, row_lengths
from resight.graph import jaccard_graph
from resight.records import Crops, Features, FloatArray

K1, K2 = 30, 6
EPS, MIN_SAMPLES = 0.6, 4


def label_free(features: Features, crops: Crops, *, scores: Scores, ap: APRule) -> Evaluation:
    """Clusters of the crops and how well they hold together; identities are not looked at.

    DBSCAN (eps 0.6, 4 samples) on the k-reciprocal Jaccard graph (k1 30, k2 6) of the global view,
    the setting that the methods share. Figures and units are those of
    `resight.clustering.quality.label_free`: counts, shares in [0, 1], silhouette in [-1, 1], camera
    entropy in bits. Nothing is ranked, so scores and ap play no part. Splits are ignored.
    Raises DataError without crops.
    """
    if not len(crops):
        raise DataError("there are no crops to evaluate; give at least one")
    graph = jaccard_graph(_unit(features.vectors), k1=K1, k2=K2)
    labels = DBSCAN(EPS, MIN_SAMPLES)(graph, features, np.random.default_rng(0))
    figures = label_free_figures(labels.labels, graph=graph, cameras=crops.cameras)
    notes = counted_notes((len(crops), f"crops clustered with DBSCAN, eps {EPS}"))
    return Evaluation("label-free", figures, notes)


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = row_lengths(vectors)
    return vectors if lengths is None else vectors / lengths[:, None]
