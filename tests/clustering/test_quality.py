import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    adjusted_rand_score,
    homogeneity_completeness_v_measure,
    normalized_mutual_info_score,
)
from tables import Table, random_table

from resight.clustering import silhouette
from resight.clustering.quality import (
    AGAINST_IDENTITIES,
    against_identities,
    identity_camera_entropy,
    identity_consistency,
    label_free,
    silhouette_histogram,
    silhouettes,
)


def test_counts_and_sizes():
    found = label_free(np.array([0, 1, 1, -1, 1, 0, 2, -1]))
    assert found == {
        "clusters": 3,
        "outliers": 2,
        "outlier_share": 0.25,
        "mean_size": 2.0,
        "median_size": 2.0,
    }


def test_cameras():
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, -1])
    cameras = np.array([0, 0, 1, 1, 5, 5, 0, 1, 2, 9])
    found = label_free(labels, cameras=cameras)
    assert found["camera_entropy"] == pytest.approx((1 + 0 + np.log2(3)) / 3)
    assert found["across_cameras"] == pytest.approx(2 / 3)


def test_silhouette_is_the_mean_over_clustered_samples():
    rng = np.random.default_rng(0)
    table, labels = Table(random_table(rng, 12)), rng.integers(-1, 3, 12)
    found = label_free(labels, graph=table)
    assert found["silhouette"] == pytest.approx(np.nanmean(silhouette(table, labels)))


def test_of_many_samples_some_silhouettes_are_computed(monkeypatch):
    rng = np.random.default_rng(4)
    table, labels = Table(random_table(rng, 30)), rng.integers(-1, 4, 30)
    every = silhouettes(table, labels)
    np.testing.assert_array_equal(every, silhouette(table, labels))
    monkeypatch.setattr("resight.clustering.quality.ALL_JUDGED", 29)
    monkeypatch.setattr("resight.clustering.quality.JUDGED", 11)
    some = silhouettes(table, labels)
    judged = np.linspace(0, 29, 11).astype(int)
    np.testing.assert_array_equal(some[judged], every[judged])
    assert np.isnan(np.delete(some, judged)).all()
    found = label_free(labels, graph=table)["silhouette"]
    assert found == pytest.approx(np.nanmean(every[judged]))


def test_agreement_counts_each_outlier_as_a_cluster():
    before, now = np.array([0, 0, 0, 1, 1, -1, -1]), np.array([1, 1, -1, 0, 0, -1, -1])
    expected = adjusted_rand_score([0, 0, 0, 1, 1, 2, 3], [1, 1, 2, 0, 0, 3, 4])
    assert label_free(now, previous=before)["agreement"] == pytest.approx(expected)
    assert label_free(now, previous=now)["agreement"] == 1


def test_what_does_not_exist_is_nan():
    table, cameras = Table(random_table(np.random.default_rng(0), 4)), np.zeros(4, np.int64)
    found = label_free(np.full(4, -1), graph=table, cameras=cameras)
    assert found["clusters"] == 0
    assert found["outlier_share"] == 1
    for name in ("mean_size", "median_size", "silhouette", "camera_entropy", "across_cameras"):
        assert np.isnan(found[name])
    nothing = np.empty(0, np.int64)
    assert np.isnan(label_free(nothing, previous=nothing)["agreement"])
    found = against_identities(nothing, nothing)
    assert tuple(found) == AGAINST_IDENTITIES
    assert np.isnan(list(found.values())).all()


@given(n=st.integers(1, 30), seed=st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_pairs_are_counted_as_they_stand(n, seed):
    rng = np.random.default_rng(seed)
    labels, identities = rng.integers(-1, 4, n), rng.integers(-1, 4, n)
    found = against_identities(labels, identities)
    pairs = [
        (labels[i] == labels[j] >= 0, identities[i] == identities[j] > 0)
        for i, j in itertools.combinations(np.flatnonzero(identities >= 0), 2)
    ]
    both = sum(one and other for one, other in pairs)
    together, alike = sum(one for one, _ in pairs), sum(other for _, other in pairs)
    np.testing.assert_allclose(found["precision"], both / together if together else np.nan)
    np.testing.assert_allclose(found["recall"], both / alike if alike else np.nan)
    np.testing.assert_allclose(
        found["f1"], 2 * both / (together + alike) if together + alike else np.nan
    )


def test_ari_and_nmi_with_outliers_junk_and_distractors():
    labels = np.array([0, 0, 1, 1, -1, -1, 0, 2, 2])
    identities = np.array([1, 1, 2, 2, 2, 1, -1, 0, 0])
    found = against_identities(labels, identities)
    predicted, true = [0, 0, 1, 1, 3, 4, 2, 2], [1, 1, 2, 2, 2, 1, 5, 6]
    assert found["ari"] == pytest.approx(adjusted_rand_score(true, predicted))
    assert found["nmi"] == pytest.approx(normalized_mutual_info_score(true, predicted))


def slow_bcubed(labels, identities):
    """Sample by sample; an outlier and a distractor are like nothing but themselves."""
    judged = np.flatnonzero(identities >= 0)

    def shares(i):
        together = {j for j in judged if labels[j] == labels[i] >= 0} | {i}
        alike = {j for j in judged if identities[j] == identities[i] > 0} | {i}
        return len(together & alike) / len(together), len(together & alike) / len(alike)

    precision, recall = np.mean([shares(i) for i in judged], axis=0)
    return precision, recall, 2 * precision * recall / (precision + recall)


def slow_noisy_share(labels, identities):
    clustered = np.flatnonzero((labels >= 0) & (identities >= 0))
    noisy = 0
    for cluster in set(labels[clustered]):
        members = identities[clustered[labels[clustered] == cluster]]
        counts = [1 if identity == 0 else np.sum(members == identity) for identity in set(members)]
        noisy += len(members) - max(counts)
    return noisy / len(clustered) if len(clustered) else np.nan


@given(n=st.integers(1, 30), seed=st.integers(0, 2**16))
@settings(max_examples=100, deadline=None)
def test_bcubed_and_noise_are_counted_sample_by_sample(n, seed):
    rng = np.random.default_rng(seed)
    labels, identities = rng.integers(-1, 4, n), rng.integers(-1, 4, n)
    identities[0] = max(0, identities[0])
    found = against_identities(labels, identities)
    names = ("bcubed_precision", "bcubed_recall", "bcubed_f1")
    np.testing.assert_allclose([found[name] for name in names], slow_bcubed(labels, identities))
    np.testing.assert_allclose(
        found["noisy_share"], slow_noisy_share(labels, identities), atol=1e-12
    )


def test_homogeneity_and_completeness_with_outliers_junk_and_distractors():
    labels = np.array([0, 0, 1, 1, -1, -1, 0, 2, 2])
    identities = np.array([1, 2, 2, 2, 2, 1, -1, 0, 0])
    found = against_identities(labels, identities)
    predicted, true = [0, 0, 1, 1, 3, 4, 2, 2], [1, 2, 2, 2, 2, 1, 5, 6]
    homogeneity, completeness, v_measure = homogeneity_completeness_v_measure(true, predicted)
    assert found["homogeneity"] == pytest.approx(homogeneity)
    assert found["completeness"] == pytest.approx(completeness)
    assert found["nmi"] == pytest.approx(v_measure)


def test_outliers_are_no_noise_but_cost_recall():
    found = against_identities(np.array([0, 0, -1, -1]), np.array([1, 1, 1, 2]))
    assert found["noisy_share"] == 0
    assert found["bcubed_precision"] == 1
    assert found["bcubed_recall"] == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1) / 4)
    nothing = against_identities(np.full(3, -1), np.array([1, 1, 2]))
    assert np.isnan(nothing["noisy_share"])
    assert nothing["homogeneity"] == 1


def test_perfect_labels():
    found = against_identities(np.array([1, 1, 0, 0]), np.array([7, 7, 3, 3]))
    assert {type(value) for value in found.values()} == {float}
    assert found.pop("noisy_share") == 0
    assert found == pytest.approx(dict.fromkeys(found, 1.0))
    assert list(found) == [name for name in AGAINST_IDENTITIES if name != "noisy_share"]


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\).*\(4,\)"):
        against_identities(np.zeros(3, np.int64), np.zeros(4, np.int64))


def slow_consistency(labels, identities, scores, anchors, larger_than, share):
    """CGC, Section 4.6, cluster by cluster."""
    found = []
    for cluster in sorted(set(labels) - {-1}):
        members = [i for i in range(len(labels)) if labels[i] == cluster and identities[i] >= 0]
        if len(members) <= larger_than:
            continue
        making = members if anchors is None else [i for i in members if anchors[i] == cluster]
        scored = sorted((i for i in members if not np.isnan(scores[i])), key=lambda i: scores[i])
        boundary = scored[: max(1, round(share * len(scored)))]
        if not making or not boundary:
            continue
        shares = [
            sum(i == j or identities[i] == identities[j] > 0 for j in making) / len(making)
            if identities[i] > 0 or i in making
            else 0
            for i in boundary
        ]
        found.append(np.mean(shares))
    return np.mean(found) if found else np.nan


@given(n=st.integers(0, 60), seed=st.integers(0, 2**16), larger_than=st.integers(0, 12))
@settings(max_examples=120, deadline=None)
def test_identity_consistency_is_counted_cluster_by_cluster(n, seed, larger_than):
    rng = np.random.default_rng(seed)
    labels, identities = rng.integers(-1, 4, n), rng.integers(-1, 5, n)
    scores = (rng.integers(-8, 9, n) / 8).astype(np.float32)
    scores[rng.random(n) < 0.1] = np.nan
    anchors = np.where(rng.random(n) < 0.6, labels, -1)
    for given_anchors in (None, anchors):
        for share in (0.05, 0.3, 1.0):
            found = identity_consistency(
                labels,
                identities,
                scores,
                anchors=given_anchors,
                larger_than=larger_than,
                share=share,
            )
            expected = slow_consistency(
                labels, identities, scores, given_anchors, larger_than, share
            )
            np.testing.assert_allclose(found, expected, atol=1e-12)


def test_identity_consistency_of_one_cluster_by_hand():
    """120 members, 6 on the boundary: two of identity 2 (90 of 120), four of identity 1 (30)."""
    identities = np.repeat([1, 2], [30, 90])
    labels = np.zeros(120, np.int64)
    scores = np.ones(120, np.float32)
    scores[[0, 1, 2, 3, 30, 31]] = -0.5
    found = identity_consistency(labels, identities, scores)
    assert found == pytest.approx((4 * 0.25 + 2 * 0.75) / 6)
    anchors = np.where(scores > 0, labels, -1)
    found = identity_consistency(labels, identities, scores, anchors=anchors)
    assert found == pytest.approx((4 * 26 + 2 * 88) / 6 / 114)
    assert np.isnan(identity_consistency(labels, identities, scores, larger_than=120))
    anchors = np.where(identities == 2, labels, -1)
    found = identity_consistency(labels, identities, scores, anchors=anchors)
    assert found == pytest.approx(2 / 6), "identities that make no part of the vector count 0"


def test_identity_consistency_refuses_what_does_not_fit():
    three, two, scores = np.zeros(3, np.int64), np.zeros(2, np.int64), np.zeros(3, np.float32)
    with pytest.raises(ValueError, match=r"\(2,\), \(3,\)"):
        identity_consistency(three, two, scores)
    with pytest.raises(ValueError, match=r"\(2,\), \(3,\)"):
        identity_consistency(three, three, scores, anchors=two)
    with pytest.raises(ValueError, match="share is 0"):
        identity_consistency(three, three, scores, share=0)
    with pytest.raises(ValueError, match="larger_than is -1"):
        identity_consistency(three, three, scores, larger_than=-1)


def test_camera_entropy_of_the_identities():
    identities = np.array([4, 4, 4, 4, 9, 9, 7, 7, 7, 0, 0, -1, -1])
    cameras = np.array([0, 0, 1, 1, 5, 5, 0, 1, 2, 3, 4, 3, 4])
    found = identity_camera_entropy(identities, cameras)
    assert found == pytest.approx((1 + 0 + np.log2(3)) / 3)
    assert np.isnan(identity_camera_entropy(np.array([0, -1]), np.array([0, 1])))
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        identity_camera_entropy(np.zeros(2, np.int64), np.zeros(3, np.int64))


def test_clusters_that_are_the_identities_have_their_camera_entropy():
    rng = np.random.default_rng(5)
    identities, cameras = rng.permutation(np.arange(200) % 17) + 1, rng.integers(0, 6, 200)
    found = label_free(identities - 1, cameras=cameras)["camera_entropy"]
    assert found == pytest.approx(identity_camera_entropy(identities, cameras))


@given(st.lists(st.floats(-1, 1, width=32), max_size=50), st.integers(1, 50))
def test_histogram_counts_every_silhouette_once(values, bins):
    scores = np.array([*values, np.nan], np.float32)
    found = silhouette_histogram(scores, bins)
    edges = np.linspace(-1, 1, bins + 1)
    expected = [0] * bins
    for value in values:
        expected[min(bins - 1, int(np.searchsorted(edges, value, side="right")) - 1)] += 1
    assert found == {"counts": expected}
    assert {type(count) for count in found["counts"]} == {int}


def test_histogram_of_nothing_and_of_the_ends():
    assert silhouette_histogram(np.full(3, np.nan, np.float32), 4) == {"counts": [0, 0, 0, 0]}
    ends = np.array([-1, 1, 0, np.nan], np.float32)
    assert silhouette_histogram(ends, 4) == {"counts": [1, 0, 1, 1]}
    assert len(silhouette_histogram(ends)["counts"]) == 40
