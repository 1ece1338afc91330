"""Figures that tell how good pseudo-labels are, without and with true identities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse
from sklearn.metrics import (
    adjusted_rand_score,
    completeness_score,
    homogeneity_score,
    normalized_mutual_info_score,
)
from sklearn.metrics.cluster import contingency_matrix

from resight.clustering.silhouettes import silhouette
from resight.records import BoolArray, Graph, IntArray, PseudoLabels

NAN = float("nan")
ALL_JUDGED = 50_000
JUDGED = 8192
AGAINST_IDENTITIES = (
    "ari",
    "nmi",
    "homogeneity",
    "completeness",
    "precision",
    "recall",
    "f1",
    "bcubed_precision",
    "bcubed_recall",
    "bcubed_f1",
    "noisy_share",
)


def label_free(
    labels: IntArray,
    *,
    graph: Graph | None = None,
    cameras: IntArray | None = None,
    previous: IntArray | None = None,
) -> dict[str, float]:
    """What can be said about labels (N,) without knowing the identities.

    Always: `clusters`, `outliers`, `outlier_share` of all samples, `mean_size` and `median_size` of
    the clusters. With a graph: `silhouette`, the mean over the clustered samples, of more than
    50,000 samples over 8192 of them. With cameras (N,): `camera_entropy`, the mean over clusters of
    the entropy of their members' cameras in bits, and `across_cameras`, the share of clusters with
    two cameras or more. With the labels of the epoch before: `agreement`, the adjusted Rand index
    with them.

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
        n = len(labels)
        wanted = np.linspace(0, n - 1, JUDGED).astype(np.int64) if n > ALL_JUDGED else None
        values = silhouette(graph, labels, wanted=wanted)
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

    `ari`: adjusted Rand index. `nmi`: normalised mutual information (arithmetic mean).
    `homogeneity`, `completeness`: how far the label tells the identity, and the identity the label
    (Rosenberg and Hirschberg 2007).

    Over all pairs of samples: `precision`, the share of pairs with one label that have one
    identity; `recall`, the share of pairs with one identity that have one label; `f1` of the two.
    BCubed (Bagga and Baldwin 1998), where individuals with many crops weigh less: the mean over
    samples of the share of the own cluster that has the own identity (`bcubed_precision`), and of
    the share of the own identity that is in the own cluster (`bcubed_recall`); `bcubed_f1` of the
    two means.

    Each outlier is a cluster of one: it costs recall and completeness, not precision.

    `noisy_share`: the share of clustered samples that are not of their cluster's most frequent
    identity (Cluster Contrast, Figure 6). Outliers take no part in it; a distractor among others
    is noise.

    A figure with nothing to judge is NaN.
    """
    if labels.shape != identities.shape:
        raise ValueError(f"labels have shape {labels.shape}, identities {identities.shape}")
    known = identities >= 0
    predicted, true = outliers_apart(labels[known]), outliers_apart(identities[known] - 1)
    if not len(true):
        return dict.fromkeys(AGAINST_IDENTITIES, NAN)
    table = contingency_matrix(true, predicted, sparse=True, dtype=np.int64)
    found = {
        "ari": _rand(true, predicted),
        "nmi": float(normalized_mutual_info_score(true, predicted)),
        "homogeneity": float(homogeneity_score(true, predicted)),
        "completeness": float(completeness_score(true, predicted)),
        **_pair_figures(table),
        **_bcubed(table),
        "noisy_share": _noisy_share(true, predicted, labels[known] >= 0),
    }
    return {name: found[name] for name in AGAINST_IDENTITIES}


def outliers_apart(labels: IntArray) -> IntArray:
    """Labels in which each outlier is a cluster of one."""
    apart = labels.copy()
    outliers = labels < 0
    apart[outliers] = labels.max(initial=-1) + 1 + np.arange(np.count_nonzero(outliers))
    return apart


def _pair_figures(table: scipy.sparse.csr_matrix) -> dict[str, float]:
    both = _pairs(table.data)
    together, alike = _pairs(table.sum(axis=0)), _pairs(table.sum(axis=1))
    return {
        "precision": both / together if together else NAN,
        "recall": both / alike if alike else NAN,
        "f1": 2 * both / (together + alike) if together + alike else NAN,
    }


def _bcubed(table: scipy.sparse.csr_matrix) -> dict[str, float]:
    """Each of the n_ij samples of identity i in cluster j has n_ij / n_j and n_ij / n_i."""
    cells = table.tocoo()
    squares = cells.data.astype(np.float64) ** 2
    n = cells.data.sum()
    cluster_sizes = np.asarray(table.sum(axis=0)).ravel()
    identity_sizes = np.asarray(table.sum(axis=1)).ravel()
    precision = float((squares / cluster_sizes[cells.col]).sum() / n)
    recall = float((squares / identity_sizes[cells.row]).sum() / n)
    return {
        "bcubed_precision": precision,
        "bcubed_recall": recall,
        "bcubed_f1": 2 * precision * recall / (precision + recall),
    }


def _noisy_share(true: IntArray, predicted: IntArray, clustered: BoolArray) -> float:
    if not clustered.any():
        return NAN
    table = contingency_matrix(true[clustered], predicted[clustered], sparse=True, dtype=np.int64)
    return float(1 - table.max(axis=0).sum() / table.sum())


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
