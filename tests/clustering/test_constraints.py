"""Constrained clusters against a slow reference that follows the docstring word by word."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from resight.clustering.constraints import Links, among, check, constrain, violated
from resight.clustering.numbering import by_first_member
from resight.errors import Contradiction

NONE = np.empty((0, 2), np.int64)


def pairs(*found):
    return np.array(found, np.int64).reshape(-1, 2)


def unions(n, links):
    """The sets of rows that the links connect, by first members; rows without any alone."""
    sets = [{row} for row in range(n)]
    for one, other in links:
        first = next(s for s in sets if one in s)
        second = next(s for s in sets if other in s)
        if first is not second:
            first |= second
            sets.remove(second)
    return sorted(sets, key=min)


def mean(vectors, some, others):
    """Mean inner product of the rows `some` with the rows `others`, exactly."""
    total = sum(int(vectors[a] @ vectors[b]) for a in some for b in others)
    return Fraction(total, len(some) * len(others))


def is_obeyed(labels, must, cannot):
    together = all(labels[a] == labels[b] >= 0 for a, b in must)
    return together and not any(labels[a] == labels[b] >= 0 for a, b in cannot)


def reference(labels, vectors, must, cannot):
    if is_obeyed(labels, must, cannot):
        return labels
    n = len(labels)
    named = {int(row) for pair in (*must, *cannot) for row in pair}
    seeds = [s for s in unions(n, must) if s <= named and (len(s) > 1 or labels[min(s)] >= 0)]
    homes = [{labels[row] for row in seed} - {-1} for seed in seeds]
    links = [(i, j) for i, j in itertools.combinations(range(len(seeds)), 2) if homes[i] & homes[j]]
    groups = [sorted(group) for group in unions(len(seeds), links)]

    def forbidden(one, other):
        return any(
            (a in seeds[one] and b in seeds[other]) or (b in seeds[one] and a in seeds[other])
            for a, b in cannot
        )

    parts = []  # lists of seeds
    for group in groups:
        enemies = {seed: [other for other in group if forbidden(seed, other)] for seed in group}
        if not any(enemies.values()):
            parts.append(group)
            continue
        opened = []
        for seed in sorted(group, key=lambda s: -len(enemies[s])):
            allowed = [
                part
                for part in opened
                if not any(other in enemies[seed] for other in part)
                and any(homes[other] & homes[seed] for other in part)
            ]
            if not allowed:
                opened.append([seed])
                continue
            rows = [sorted(set().union(*(seeds[s] for s in part))) for part in allowed]
            similar = [mean(vectors, seeds[seed], some) for some in rows]
            allowed[similar.index(max(similar))].append(seed)
        parts += opened
    part_of = {seed: number for number, part in enumerate(parts) for seed in part}
    first = max(labels) + 1
    changed = list(labels)
    for row in range(n):
        present = [seed for seed in range(len(seeds)) if labels[row] in homes[seed]]
        own = [seed for seed in range(len(seeds)) if row in seeds[seed]]
        if own:
            changed[row] = first + part_of[own[0]]
        elif present:
            near = [mean(vectors, [row], seeds[seed]) for seed in present]
            if len({part_of[seed] for seed in present}) == 1:
                changed[row] = first + part_of[present[0]]
            else:
                changed[row] = first + part_of[present[near.index(max(near))]]
    return by_first_member(np.array(changed))


@st.composite
def problems(draw, most=14):
    n = draw(st.integers(2, most))
    labels = by_first_member(np.array(draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))))
    cells = st.lists(st.integers(-2, 2), min_size=2 * n, max_size=2 * n)
    vectors = np.array(draw(cells), np.float32).reshape(n, 2)
    row = st.integers(0, n - 1)
    pair = st.tuples(row, row).filter(lambda found: found[0] != found[1])
    must = pairs(*draw(st.lists(pair, max_size=6)))
    cannot = pairs(*draw(st.lists(pair, max_size=6)))
    return labels, vectors, must, cannot


def contradicts(n, must, cannot):
    return any({a, b} <= group for group in unions(n, must) for a, b in cannot)


@given(problems())
@settings(max_examples=400, deadline=None)
def test_it_is_the_reference_and_obeys_every_pair(problem):
    labels, vectors, must, cannot = problem
    assume(not contradicts(len(labels), must, cannot))
    before = labels.copy()
    found = constrain(labels, vectors, must, cannot)
    assert found.dtype == np.int64
    assert np.array_equal(labels, before), "the input is left as it is"
    assert np.array_equal(found, reference(labels, vectors, must, cannot))
    assert is_obeyed(found, must, cannot)
    assert np.array_equal(constrain(found, vectors, must, cannot), found), "idempotent"
    outliers = np.flatnonzero(labels == -1)
    assert all(found[row] == -1 for row in outliers if row not in must)
    assert (found[labels >= 0] >= 0).all()
    assert np.array_equal(by_first_member(found), found)


@given(problems(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_pairs_does_not_matter(problem, random):
    labels, vectors, must, cannot = problem
    assume(not contradicts(len(labels), must, cannot))

    def mixed(links):
        said = [random.choice((pair, pair[::-1])) for pair in (*links.tolist(), *links.tolist())]
        return pairs(*random.sample(said, len(said)))

    found = constrain(labels, vectors, must, cannot)
    assert np.array_equal(constrain(labels, vectors, mixed(must), mixed(cannot)), found)


@given(problems())
@settings(max_examples=100, deadline=None)
def test_clusters_that_no_pair_names_are_left_alone(problem):
    labels, vectors, must, cannot = problem
    assume(not contradicts(len(labels), must, cannot))
    found = constrain(labels, vectors, must, cannot)
    touched = set(labels[must].ravel()) | set(labels[cannot].ravel())
    for cluster in set(labels) - touched - {-1}:
        members = labels == cluster
        assert len(set(found[members])) == 1
        assert np.array_equal(found == found[members][0], members)


@given(problems())
@settings(max_examples=100, deadline=None)
def test_contradictions_are_told_with_what_links_the_pair(problem):
    labels, vectors, must, cannot = problem
    assume(contradicts(len(labels), must, cannot))
    with pytest.raises(Contradiction, match="are said to be different, but the same"):
        constrain(labels, vectors, must, cannot)


def test_a_contradiction_names_the_shortest_chain():
    must = pairs((1, 2), (2, 3), (3, 4), (1, 4), (7, 8))
    with pytest.raises(Contradiction) as raised:
        check(must, pairs((5, 6), (3, 1)), [f"{i}.png" for i in range(9)])
    assert "'3.png' and '1.png'" in str(raised.value)
    assert any(
        f"('3.png' = {via} = '1.png')" in str(raised.value) for via in ("'2.png'", "'4.png'")
    )
    with pytest.raises(Contradiction, match="and 1 more like these"):
        check(must, pairs((1, 4), (8, 7)))
    check(must, pairs((1, 7), (0, 3)))


def test_a_long_chain_is_told_in_part():
    chain = np.column_stack((np.arange(5000), np.arange(1, 5001)))
    with pytest.raises(Contradiction, match=r"\(0 = 1 = .* = 9 = … = 5000\)") as raised:
        check(chain, pairs((0, 5000)))
    assert len(str(raised.value)) < 200


def test_no_samples_at_all():
    empty = np.empty(0, np.int64)
    assert len(constrain(empty, np.empty((0, 3), np.float32), NONE, NONE)) == 0
    assert not among(Links(NONE, NONE), empty)
    check(NONE, NONE)


def test_nothing_changes_without_pairs_or_when_all_are_obeyed():
    labels, vectors = np.array([2, 0, -1, 0, 1]), np.eye(5, dtype=np.float32)
    assert constrain(labels, vectors, NONE, NONE) is labels
    assert constrain(labels, vectors, pairs((3, 1)), pairs((0, 1), (2, 0))) is labels


def test_linked_outliers_become_a_cluster_and_others_stay():
    labels, vectors = np.array([-1, 0, 0, -1, -1, 1]), np.zeros((6, 3), np.float32)
    found = constrain(labels, vectors, pairs((3, 4)), pairs((0, 1), (0, 3)))
    assert found.tolist() == [-1, 0, 0, 1, 1, 2]


def test_a_merge_takes_whole_clusters_and_outliers_along():
    labels, vectors = np.array([0, 0, 1, 1, -1, 2]), np.zeros((6, 3), np.float32)
    assert constrain(labels, vectors, pairs((0, 4), (4, 3)), NONE).tolist() == [0, 0, 0, 0, 0, 1]


def test_members_go_to_the_nearer_seed_by_mean_cosine():
    """Seeds 0 with 1, and 2; the last two members are nearer to either."""
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8], [1, 0]], np.float32)
    found = constrain(np.zeros(5, np.int64), vectors, pairs((0, 1)), pairs((1, 2)))
    assert found.tolist() == [0, 0, 1, 0 if 0.6 * 0.9 + 0.8 * 0.3 > 0.8 else 1, 0]


def test_a_merge_leaves_a_forbidden_crop_of_the_other_cluster_out():
    """Clusters 0 and 1 are one by (0, 3); 2 and 5 are not the same, so one of them goes."""
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0.9, 0.4], [0.9, 0.4], [0, 1]], np.float32)
    found = constrain(np.repeat([0, 1], 3), vectors, pairs((0, 3)), pairs((2, 5)))
    assert found.tolist() == [0, 0, 0, 0, 0, 1]


def test_what_is_left_of_two_clusters_is_not_joined_without_a_link():
    """0 and 3 are the same, and neither is like the rest of its cluster."""
    vectors = np.array([[1, 0], [0, 1], [0, 1], [1, 0], [0, 1], [0, 1]], np.float32)
    cannot = pairs((0, 1), (3, 4))
    found = constrain(np.repeat([0, 1], 3), vectors, pairs((0, 3)), cannot)
    assert found.tolist() == [0, 1, 1, 0, 2, 2]


def test_many_pairs_of_many_crops_are_obeyed():
    rng = np.random.default_rng(0)
    n, identities = 20_000, 2_000
    true = rng.integers(0, identities, n)
    vectors = rng.normal(size=(identities, 16))[true] + rng.normal(size=(n, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    labels = by_first_member(np.where(rng.random(n) < 0.1, -1, true // 2))
    answers = rng.integers(0, n, (6_000, 2))
    answers[:3_000, 1] = rng.permutation(n)[:3_000]
    answers[3_000:, 1] = [rng.choice(np.flatnonzero(true == true[a])) for a in answers[3_000:, 0]]
    answers = answers[answers[:, 0] != answers[:, 1]]
    same = true[answers[:, 0]] == true[answers[:, 1]]
    found = constrain(labels, vectors, answers[same], answers[~same])
    assert not any(mask.any() for mask in violated(found, answers[same], answers[~same]))


def test_a_pair_may_be_said_any_number_of_times():
    labels, vectors = np.array([0, 1, 2, -1]), np.eye(4, dtype=np.float32)
    must = np.tile([[1, 2], [3, 1]], (256, 1))
    assert constrain(labels, vectors, must, pairs((0, 3))).tolist() == [0, 1, 1, 1]
    with pytest.raises(Contradiction):
        check(must, pairs((3, 2)))


def test_seeds_of_many_members_are_compared_in_blocks(monkeypatch):
    rng = np.random.default_rng(1)
    vectors = rng.integers(-3, 4, (50, 4)).astype(np.float32)
    cannot = pairs((0, 1), (1, 2), (0, 2))
    whole = constrain(np.zeros(50, np.int64), vectors, NONE, cannot)
    monkeypatch.setattr("resight.clustering.constraints.BLOCK", 7)
    assert np.array_equal(constrain(np.zeros(50, np.int64), vectors, NONE, cannot), whole)


@given(problems(), st.data())
@settings(max_examples=150, deadline=None)
def test_among_some_samples_the_pairs_say_the_same(problem, data):
    """What all pairs imply for two samples that stay is what the new pairs imply for them."""
    labels, _, must, cannot = problem
    n = len(labels)
    assume(not contradicts(n, must, cannot))
    kept = sorted(data.draw(st.sets(st.integers(0, n - 1))))
    number = np.full(n, -1)
    number[kept] = np.arange(len(kept))
    left = among(Links(must, cannot), number)

    def implied(size, links):
        groups = {row: min(group) for group in unions(size, links.must) for row in group}
        same = {(a, b) for a in range(size) for b in range(size) if groups[a] == groups[b]}
        apart = {frozenset((groups[a], groups[b])) for a, b in links.cannot}
        rows = range(size)
        return same, {(a, b) for a in rows for b in rows if {groups[a], groups[b]} in apart}

    for whole, part in zip(implied(n, Links(must, cannot)), implied(len(kept), left), strict=True):
        expected = {(number[a], number[b]) for a, b in whole if a in kept and b in kept}
        assert part == expected


def test_pairs_of_samples_that_all_stay_are_kept_once_each():
    links = Links(pairs((2, 1), (1, 2), (0, 1)), pairs((3, 0)))
    left = among(links, np.arange(4))
    assert left.must.tolist() == [[0, 1], [1, 2]]
    assert left.cannot.tolist() == [[0, 3]]
    assert bool(left)
    assert not Links(NONE, NONE)


@pytest.mark.parametrize(
    ("must", "told"),
    [
        (pairs((0, 5)), "must names rows 0 … 5, expected 0 … 3"),
        (pairs((-1, 2)), "must names rows -1 … 2"),
        (pairs((2, 2)), "pairs a row with itself"),
        (np.zeros((3, 3), np.int64), r"must has shape \(3, 3\)"),
    ],
)
def test_wrong_pairs_are_refused(must, told):
    with pytest.raises(ValueError, match=told):
        constrain(np.zeros(4, np.int64), np.zeros((4, 2), np.float32), must, NONE)


def test_vectors_of_other_length_are_refused():
    with pytest.raises(ValueError, match=r"vectors has shape \(3, 2\), expected \(4, D\)"):
        constrain(np.zeros(4, np.int64), np.zeros((3, 2), np.float32), NONE, NONE)
