"""Figures that tell how good pseudo-labels are, without and with true identities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from resight.clustering.silhouettes import silhouette
from resight.records import Graph, IntArray, PseudoLabels

NAN = float("nan")


def label_free(
    labels: IntArray,
    *,
    graph: Graph | None = None,
    cameras: IntArray | None = None,
    previous: IntArray | None = None,
) -> dict[str, float]:
    """What can be said about labels (N,) without knowing the identities.

    Always: `clusters`, `outliers`, `outlier_share` of all samples, `mean_size` and `median_size` of
    the clusters. With a graph: `silhouette`, the mean over the clustered samples. With cameras
    (N,): `camera_entropy`, the mean over clusters of the entropy of their members' cameras in bits,
    and `across_cameras`, the share of clusters with two cameras or more. With the labels of the
    epoch before: `agreement`, the adjusted Rand index with them.

    Outliers take no part in the silhouette and the camera figures; in `agreement` each of them is
    a cluster of one. A figure that does not exist (no clusters, a single one) is NaN.
    """
    pseudo = PseudoLabels(labels)
    sizes = pseudo.sizes
    found: dict[str, float] = {
        "clusters": pseudo.n_clusters,
        "outliers": pseudo.n_outliers,
        "outlier_share": pseudo.n_outliers / len(labels) if len(labels) else NAN,
        "mean_size": float(sizes.mean()) if len(sizes) else NAN,
        "median_size": float(np.median(sizes)) if len(sizes) else NAN,
    }
    if graph is not None:
        values = silhouette(graph, labels)
        values = values[~np.isnan(values)]
        found["silhouette"] = float(values.mean()) if len(values) else NAN
    if cameras is not None:
        found |= _camera_figures(pseudo, cameras)
    if previous is not None:
        found["agreement"] = _rand(outliers_apart(previous), outliers_apart(labels))
    return found


def against_identities(labels: IntArray, identities: IntArray) -> dict[str, float]:
    """How well labels (N,) match true identities (N,).

    Samples of identity -1 are left out; each distractor (0) is an identity of its own.

    `ari`: adjusted Rand index. `nmi`: normalised mutual information (arithmetic mean). Over all
    pairs of samples: `precision`, the share of pairs with one label that have one identity;
    `recall`, the share of pairs with one identity that have one label; `f1` of the two.

    Each outlier is a cluster of one: it costs recall, not precision. A figure without pairs to
    judge is NaN.
    """
    if labels.shape != identities.shape:
        raise ValueError(f"labels have shape {labels.shape}, identities {identities.shape}")
    known = identities >= 0
    predicted, true = outliers_apart(labels[known]), outliers_apart(identities[known] - 1)
    if not len(true):
        return dict.fromkeys(("ari", "nmi", "precision", "recall", "f1"), NAN)
    table = contingency_matrix(true, predicted, sparse=True)
    both = _pairs(table.data)
    together, alike = _pairs(table.sum(axis=0)), _pairs(table.sum(axis=1))
    return {
        "ari": _rand(true, predicted),
        "nmi": float(normalized_mutual_info_score(true, predicted)),
        "precision": both / together if together else NAN,
        "recall": both / alike if alike else NAN,
        "f1": 2 * both / (together + alike) if together + alike else NAN,
    }


def outliers_apart(labels: IntArray) -> IntArray:
    """Labels in which each outlier is a cluster of one."""
    apart = labels.copy()
    outliers = labels < 0
    apart[outliers] = labels.max(initial=-1) + 1 + np.arange(np.count_nonzero(outliers))
    return apart


def _pairs(counts: npt.NDArray[np.int64]) -> float:
    sizes = np.asarray(counts, np.float64)
    return float((sizes * (sizes - 1) / 2).sum())


def _rand(one: IntArray, other: IntArray) -> float:
    return float(adjusted_rand_score(one, other)) if len(one) else NAN


def _camera_figures(labels: PseudoLabels, cameras: IntArray) -> dict[str, float]:
    if not labels.n_clusters:
        return {"camera_entropy": NAN, "across_cameras": NAN}
    member = labels.labels >= 0
    counts = contingency_matrix(labels.labels[member], cameras[member], sparse=True)
    shares = counts.multiply(1 / labels.sizes[:, None]).tocsr()
    bits = -np.bincount(
        np.repeat(np.arange(labels.n_clusters), np.diff(shares.indptr)),
        shares.data * np.log2(shares.data),
        minlength=labels.n_clusters,
    )
    return {
        "camera_entropy": float(bits.mean()),
        "across_cameras": float(np.mean(np.diff(counts.indptr) > 1)),
    }
