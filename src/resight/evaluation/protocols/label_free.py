"""What can be said of features when no identity is known."""

from __future__ import annotations

import numpy as np

from resight.clustering import DBSCAN, AutoDBSCAN
from resight.clustering.quality import label_free as label_free_figures
from resight.errors import DataError
from resight.evaluation.notes import counted_notes
from resight.evaluation.options import Options
from resight.evaluation.record import Evaluation
from resight.evaluation.sides import refuse_zeros, unit_rows
from resight.evaluation.similarity import Scores
from resight.graph import Jaccard
from resight.records import Crops, Features, Graph

CLUSTERER = AutoDBSCAN(margin=0, largest_k1=30)
FIXED = DBSCAN(0.6)


def label_free(features: Features, crops: Crops, *, scores: Scores, options: Options) -> Evaluation:
    """Clusters of the crops and how well they hold together; identities are not looked at.

    DBSCAN on the k-reciprocal Jaccard graph of the global view, with the k1 and eps that the
    features propose; k1 30, k2 6 and eps 0.6, which the methods share, where they propose none.
    Figures and units are those of
    `resight.clustering.quality.label_free`: counts, shares in [0, 1], silhouette in [-1, 1], camera
    entropy in bits. Nothing is ranked, so scores and options play no part. Splits are ignored.
    Raises DataError without crops, and for rows of zeros.
    """
    if not len(crops):
        raise DataError("there are no crops to evaluate; give at least one")
    refuse_zeros(features.vectors)
    builder, vectors = Jaccard(), unit_rows(features.vectors)
    given = Features({"global": vectors}, crops)
    chosen = CLUSTERER.choose(vectors, builder.variants(given, vectors), cameras=crops.cameras)
    if chosen is None:
        graph: Graph = builder(given)
        labels = FIXED(graph, given, np.random.default_rng(0))
        used = f"k1 {builder.k1}, eps {FIXED.eps}"
    else:
        graph, labels, proposal = chosen
        used = f"k1 {proposal.k1}, eps {proposal.eps:g}"
    figures = label_free_figures(labels.labels, graph=graph, cameras=crops.cameras)
    notes = counted_notes((len(crops), f"crops clustered with DBSCAN, {used}"))
    return Evaluation("label-free", figures, notes)
