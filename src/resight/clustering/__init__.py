"""Pseudo-labels from a graph."""

from resight.clustering.auto import AutoDBSCAN
from resight.clustering.confidence import AllAlike, Silhouette, anchors
from resight.clustering.dbscan import DBSCAN
from resight.clustering.hdbscan import HDBSCAN
from resight.clustering.hdc import HDC
from resight.clustering.infomap import InfoMap
from resight.clustering.kmeans import KMeans
from resight.clustering.silhouettes import cosine_silhouette, silhouette
from resight.clustering.true_labels import TrueLabels
from resight.clustering.wrappers import OnSample, Switch

__all__ = [
    "DBSCAN",
    "HDBSCAN",
    "HDC",
    "AllAlike",
    "AutoDBSCAN",
    "InfoMap",
    "KMeans",
    "OnSample",
    "Silhouette",
    "Switch",
    "TrueLabels",
    "anchors",
    "cosine_silhouette",
    "silhouette",
]
