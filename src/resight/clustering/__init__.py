"""Pseudo-labels from a graph."""

from resight.clustering.auto import AutoDBSCAN
from resight.clustering.dbscan import DBSCAN
from resight.clustering.silhouettes import silhouette
from resight.clustering.true_labels import TrueLabels

__all__ = ["DBSCAN", "AutoDBSCAN", "TrueLabels", "silhouette"]
