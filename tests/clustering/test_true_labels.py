from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import Table

from resight.clustering import TrueLabels
from resight.records import Crops, Features


def features(identities):
    identities = None if identities is None else np.asarray(identities, np.int64)
    n = 4 if identities is None else len(identities)
    crops = Crops(Path(), tuple(map(str, range(n))), np.full(n, "train"), identities=identities)
    return Features({"global": np.zeros((n, 1), np.float32)}, crops)


def label(identities, seed=0, **settings):
    rows = features(identities)
    graph = Table(np.zeros((len(rows), len(rows)), np.float32))
    return TrueLabels(**settings)(graph, rows, np.random.default_rng(seed)).labels


def groups(labels, values):
    """For each value, which labels its samples have."""
    return [set(labels[values == value]) for value in np.unique(values)]


def test_labels_are_the_identities():
    labels = label([7, 3, 0, 7, -1, 9])
    assert labels.tolist() == [1, 0, -1, 1, -1, 2]
    assert labels.dtype == np.int64


def test_without_mistakes_the_generator_is_not_used():
    rng = np.random.default_rng(5)
    TrueLabels()(Table(np.zeros((3, 3), np.float32)), features([1, 1, 2]), rng)
    assert rng.integers(1 << 62) == np.random.default_rng(5).integers(1 << 62)


def test_the_numbers_of_the_paper():
    """Cluster Contrast, Table 5."""
    identities = 1 + np.random.default_rng(0).permutation(np.repeat(np.arange(751), 3))
    assert label(identities, split=100 / 751).max() + 1 == 851
    assert label(identities, merge=100 / 751).max() + 1 == 651
    assert label(identities, split=0.1, merge=0.2).max() + 1 == 751 + 75 - 150


@given(
    sizes=st.lists(st.integers(1, 6), max_size=12),
    split=st.floats(0, 1),
    share=st.floats(0, 1),
    unknown=st.integers(0, 3),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=150, deadline=None)
def test_splits_some_and_merges_pairs_of_others(sizes, split, share, unknown, seed):
    merge = share * (1 - split) / 2
    identities = np.append(np.repeat(np.arange(len(sizes)), sizes) + 1, np.zeros(unknown))
    identities = np.random.default_rng(seed).permutation(identities).astype(np.int64)
    labels = label(identities, seed, split=split, merge=merge)
    known = identities > 0
    assert (labels[~known] == -1).all()
    labels, identities = labels[known], identities[known]
    assert sorted(set(labels)) == list(range(len(set(labels)))), "no gaps"
    pieces, members = groups(labels, identities), groups(identities, labels)
    n_split = sum(len(found) == 2 for found in pieces)
    n_merged = sum(len(found) == 2 for found in members)
    assert max(map(len, pieces + members), default=1) <= 2
    assert not any(len(found) == 2 and any(len(members[i]) == 2 for i in found) for found in pieces)
    assert n_split == min(round(split * len(sizes)), sum(size > 1 for size in sizes))
    assert n_merged == min(round(merge * len(sizes)), (len(sizes) - n_split) // 2)
    assert len(members) == len(sizes) + n_split - n_merged


def test_mistakes_are_random_and_follow_the_seed():
    identities = np.repeat(np.arange(1, 21), 5)
    settings = {"split": 0.3, "merge": 0.2}
    one, again, other = (label(identities, seed, **settings) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    pieces = [np.bincount(label([1] * 5, seed, split=1)).tolist() for seed in range(40)]
    assert {tuple(sorted(sizes)) for sizes in pieces} == {(1, 4), (2, 3)}


@pytest.mark.parametrize("identities", [[], [0, -1], [1], [1, 1, 1]])
def test_few_identities(identities):
    labels = label(identities, merge=0.5)
    np.testing.assert_array_equal(labels, label(identities))
    assert label(identities, split=1).max(initial=-1) == {3: 1, 1: 0}.get(len(identities), -1)


@pytest.mark.parametrize("identities", [None, [0, -1, 0]])
def test_unmet_without_identities(identities):
    assert TrueLabels().unmet(features(identities).crops) == [
        "TrueLabels needs crops with identities"
    ]
    assert TrueLabels().unmet(features([1, 2]).crops) == []


def test_features_without_identities_are_refused():
    with pytest.raises(ValueError, match="no identities"):
        label(None)


@pytest.mark.parametrize(("split", "merge"), [(0.6, 0.3), (-0.1, 0), (0, 0.6), (1.1, 0)])
def test_wrong_settings_are_refused(split, merge):
    with pytest.raises(ValueError, match=f"split is {split} and merge is {merge}"):
        TrueLabels(split, merge)
