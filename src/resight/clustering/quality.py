"""Figures that tell how good pseudo-labels are, without and with true identities."""

from __future__ import annotations

from typing import TypeAlias

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
from resight.records import OUTLIER, BoolArray, FloatArray, Graph, IntArray, PseudoLabels

Doubles: TypeAlias = npt.NDArray[np.float64]

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
        values = silhouettes(graph, labels)
        values = values[~np.isnan(values)]
        found["silhouette"] = float(values.mean()) if len(values) else NAN
    if cameras is not None:
        found |= _camera_figures(pseudo, cameras)
    if previous is not None:
        found["agreement"] = _rand(outliers_apart(previous), outliers_apart(labels))
    return found


def silhouettes(graph: Graph, labels: IntArray) -> FloatArray:
    """(N,) float32 silhouettes of labels (N,), of more than 50,000 samples those of 8192 alone.

    NaN for the others, for outliers, and for all when there are fewer than two clusters.
    """
    n = len(labels)
    if n <= ALL_JUDGED:
        return silhouette(graph, labels)
    wanted = np.linspace(0, n - 1, JUDGED).astype(np.int64)
    values = np.full(n, np.nan, np.float32)
    values[wanted] = silhouette(graph, labels, wanted=wanted)
    return values


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


def identity_consistency(
    labels: IntArray,
    identities: IntArray,
    scores: FloatArray,
    *,
    anchors: IntArray | None = None,
    larger_than: int = 100,
    share: float = 0.05,
) -> float:
    """How much of their cluster's vector shows the identity of its boundary samples, in [0, 1].

    ICS of CGC, Section 4.6: q_k is the share of identity k among the members that make the
    cluster's vector; a cluster's score is the mean of q over the identities of its boundary
    samples, those with the lowest silhouettes. Returns the mean over clusters, NaN without any.

    labels: (N,) int64, -1 for outliers. identities: (N,) int64; samples of identity -1 are left
    out, each distractor (0) is an identity of its own. scores: (N,) float32 silhouettes; members
    of score NaN are never boundary samples. anchors: (N,) the labels of the members that make
    their cluster's vector, -1 for others; None for all members. larger_than: clusters of more
    members count. share: of a cluster's scores, how many are boundary; at least one, the first of
    equals.
    """
    shapes = {labels.shape, identities.shape, scores.shape}
    shapes |= {labels.shape if anchors is None else anchors.shape}
    if len(shapes) > 1:
        raise ValueError(f"labels, identities, scores and anchors have shapes {sorted(shapes)}")
    if larger_than < 0 or not 0 < share <= 1:
        raise ValueError(
            f"larger_than is {larger_than} and share is {share}, "
            "expected larger_than >= 0 and 0 < share <= 1"
        )
    member = (labels >= 0) & (identities >= 0)
    sizes = np.bincount(labels[member], minlength=int(labels.max(initial=OUTLIER)) + 1)
    rows = np.flatnonzero(member)
    rows = rows[sizes[labels[rows]] > larger_than]
    own, score = labels[rows], scores[rows]
    making = np.ones(len(rows), np.bool_) if anchors is None else anchors[rows] == own
    shown = _shown_share(own, outliers_apart(identities[rows] - 1), making)
    boundary = _lowest(own, score, share) & ~np.isnan(shown)
    clusters = np.unique(own[boundary], return_inverse=True)[1]
    means = np.bincount(clusters, shown[boundary]) / np.bincount(clusters)
    return float(means.mean()) if len(means) else NAN


def identity_camera_entropy(identities: IntArray, cameras: IntArray) -> float:
    """Mean over identities of the entropy of their samples' cameras in bits; NaN without any.

    What `camera_entropy` of the clusters nears as they become the identities (3C, Figure 6, "GT").
    identities, cameras: (N,) int64; samples of identity -1 and distractors (0) are left out.
    """
    if identities.shape != cameras.shape:
        raise ValueError(f"identities have shape {identities.shape}, cameras {cameras.shape}")
    known = identities > 0
    labels = np.unique(identities[known], return_inverse=True)[1]
    return _camera_figures(PseudoLabels(labels), cameras[known])["camera_entropy"]


def silhouette_histogram(scores: FloatArray, bins: int = 40) -> dict[str, list[int]]:
    """How many silhouettes lie in each of `bins` equal parts of -1 … 1 (CGC, Figure 3).

    scores: any shape; NaN is left out. Returns {"counts": `bins` numbers from -1 up}; each part
    holds its lower end, the last one also 1.
    """
    known = scores[~np.isnan(scores)].astype(np.float64)
    counts = np.histogram(np.clip(known, -1, 1), bins, range=(-1, 1))[0]
    return {"counts": [int(count) for count in counts]}


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


def _shown_share(clusters: IntArray, identities: IntArray, making: BoolArray) -> Doubles:
    """(M,) the share of each sample's identity among those of its cluster that are `making` it.

    NaN where a cluster is made of none of them.
    """
    keys = clusters * (identities.max(initial=0) + 1) + identities
    pairs = np.unique(keys, return_inverse=True)[1]
    alike = np.bincount(pairs, making)[pairs]
    together = np.bincount(clusters, making)[clusters]
    shares: Doubles = np.full(len(pairs), NAN)
    return np.divide(alike, together, out=shares, where=together > 0)


def _lowest(clusters: IntArray, scores: FloatArray, share: float) -> BoolArray:
    """(M,) whether a sample is of its cluster's lowest share of scores; NaN is none."""
    found = np.zeros(len(scores), np.bool_)
    scored = np.flatnonzero(~np.isnan(scores))
    if len(scored):
        order = scored[np.lexsort((scores[scored], clusters[scored]))]
        sizes = np.bincount(clusters[scored])
        rank = np.arange(len(order)) - (np.cumsum(sizes) - sizes)[clusters[order]]
        found[order] = rank < np.maximum(1, np.rint(share * sizes))[clusters[order]]
    return found


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
