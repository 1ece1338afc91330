"""The P x K plan keeps what its docstring promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.data.batches import PKBatches


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 80),
    clusters=st.integers(1, 12),
    p=st.integers(1, 6),
    k=st.integers(1, 7),
    iterations=st.integers(1, 9),
    cameras=st.sampled_from([None, 1, 2, 5]),
)
@settings(max_examples=150, deadline=None)
def test_promises(seed, n, clusters, p, k, iterations, cameras):
    rng = np.random.default_rng(seed)
    labels = np.unique(rng.integers(-1, clusters, n), return_inverse=True)[1] - 1
    labels[rng.integers(n)] = max(0, labels.max())
    labels[labels >= 0] = np.unique(labels[labels >= 0], return_inverse=True)[1]
    camera = None if cameras is None else rng.integers(0, cameras, n)
    plan = PKBatches(p, k).plan(labels, iterations, cameras=camera, rng=rng)
    found = labels.max() + 1
    assert plan.shape == (iterations, min(p, found) * k)
    for rows in plan.reshape(iterations, -1, k):
        identities = labels[rows[:, 0]]
        assert len(set(identities)) == len(identities)
        for group in rows:
            check_group(group, labels, camera)
    visits = np.bincount(labels[plan[:, ::k]].ravel(), minlength=found)
    if found <= p:
        assert np.all(visits == iterations)


def check_group(group, labels, camera):
    identity = labels[group[0]]
    members = np.flatnonzero(labels == identity)
    assert identity >= 0
    assert set(group) <= set(members)
    uses = np.bincount(np.searchsorted(members, group), minlength=len(members))
    assert uses.max() - uses.min() <= 1 or len(members) > len(group)
    assert uses.max() <= -(-len(group) // len(members))
    if camera is not None and len(members) >= len(group):
        wanted = {c: np.count_nonzero(camera[members] == c) for c in set(camera[members])}
        used = {c: np.count_nonzero(camera[group] == c) for c in wanted}
        for c in wanted:
            for other in wanted:
                assert used[c] >= used[other] - 1 or used[c] == wanted[c]


def test_the_first_crop_is_uniform_and_all_members_turn_up():
    labels = np.zeros(6, np.int64)
    cameras = np.array([0, 0, 0, 0, 0, 1])
    plan = PKBatches(1, 3).plan(labels, 3000, cameras=cameras, rng=np.random.default_rng(0))
    first = np.bincount(plan[:, 0], minlength=6)
    assert first.min() > 400
    assert np.all((plan == 5).sum(1) == 1)


def test_identities_are_visited_in_whole_passes():
    labels = np.repeat(np.arange(8), 3)
    plan = PKBatches(4, 2).plan(labels, 10, rng=np.random.default_rng(1))
    for two in labels[plan].reshape(5, -1):
        assert set(two) == set(range(8))


def test_no_cluster_and_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="no cluster"):
        PKBatches().plan(np.full(4, -1), 1, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="identities=0"):
        PKBatches(identities=0)


def test_the_plan_depends_on_the_generator_alone():
    labels = np.repeat(np.arange(5), 4)
    plans = [
        PKBatches(2, 3).plan(labels, 6, cameras=labels % 2, rng=np.random.default_rng(s))
        for s in (7, 7, 8)
    ]
    assert np.array_equal(plans[0], plans[1])
    assert not np.array_equal(plans[0], plans[2])
