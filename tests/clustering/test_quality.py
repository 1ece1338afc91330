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
from resight.clustering.quality import AGAINST_IDENTITIES, against_identities, label_free


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
