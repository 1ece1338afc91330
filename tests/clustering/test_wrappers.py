import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import Table, random_table

from resight import parts
from resight.clustering import DBSCAN, HDC, AutoDBSCAN, TrueLabels, wrappers
from resight.clustering.kmeans import KMeans
from resight.clustering.wrappers import OnSample, Switch
from resight.errors import DataError
from resight.records import Crops, Features, PseudoLabels


def crops(n):
    return Crops(Path(), tuple(f"{i}.jpg" for i in range(n)), np.full(n, "train"))


@dataclasses.dataclass(frozen=True)
class Recorded:
    """Each sample a cluster of its own, with the distance to sample 0 as its confidence."""

    seen: list = dataclasses.field(default_factory=list, hash=False)
    with_core: bool = True

    def __call__(self, graph, features, rng):
        n = len(graph)
        self.seen.append((graph, features, rng))
        core = np.arange(n) % 2 == 0 if self.with_core else None
        confidence = np.linspace(0.5, 1, n, dtype=np.float32) if self.with_core else None
        return PseudoLabels(np.arange(n), core, confidence)


def data(n, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, 3)).astype(np.float32)
    return Table(random_table(rng, n)), Features({"global": rows, "upper": -rows}, crops(n))


@given(n=st.integers(0, 30), fraction=st.floats(0.01, 1), seed=st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_clusters_the_drawn_samples_alone(n, fraction, seed):
    inner = Recorded()
    graph, features = data(n, seed)
    rng = np.random.default_rng(seed)
    found = OnSample(fraction, inner)(graph, features, rng)
    drawn = np.flatnonzero(found.labels >= 0)
    assert len(drawn) == round(fraction * n)
    assert found.labels.dtype == np.int64
    assert found.labels[drawn].tolist() == list(range(len(drawn)))
    ((part, vectors, passed),) = inner.seen
    assert passed is rng
    np.testing.assert_array_equal(part.distances, graph.distances[np.ix_(drawn, drawn)])
    np.testing.assert_array_equal(vectors.views["upper"], features.views["upper"][drawn])
    assert vectors.crops.paths == tuple(features.crops.paths[i] for i in drawn)
    assert np.flatnonzero(found.core).tolist() == drawn[::2].tolist()
    assert np.flatnonzero(found.confidence).tolist() == drawn.tolist()


def test_samples_are_drawn_anew_and_follow_the_seed():
    graph, features = data(40)
    rng = np.random.default_rng(0)
    first, second = (OnSample(0.5, Recorded())(graph, features, rng).labels for _ in range(2))
    again = OnSample(0.5, Recorded())(graph, features, np.random.default_rng(0)).labels
    assert ((first >= 0) != (second >= 0)).any()
    np.testing.assert_array_equal(first, again)


def test_no_core_and_no_confidence_stay_none():
    found = OnSample(0.5, Recorded(with_core=False))(*data(6), np.random.default_rng(0))
    assert found.core is None
    assert found.confidence is None


def test_what_the_clusterer_raises_is_raised():
    with pytest.raises(DataError, match="8 clusters in 5 crops"):
        OnSample(0.5, KMeans(8))(*data(10), np.random.default_rng(0))


def test_switch():
    warm, main = DBSCAN(0.6), KMeans(3)
    switch = Switch(10, warm, main)
    assert [switch.at(epoch) for epoch in (0, 9, 10, 59)] == [warm, warm, main, main]
    assert Switch(0, warm, main).at(0) is main


def test_switches_follow_one_another():
    one, two, three = DBSCAN(0.6), AutoDBSCAN(), DBSCAN(0.4)
    later = Switch(5, one, Switch(8, two, three))
    earlier = Switch(8, Switch(5, one, two), three)
    for switch in (later, earlier):
        assert [switch.at(epoch) for epoch in (4, 5, 7, 8)] == [one, two, two, three]


def first_epoch(switch, epoch):
    """By walking backwards from `epoch`; the clusterers differ."""
    while epoch and switch.at(epoch - 1) == switch.at(epoch):
        epoch -= 1
    return epoch


def test_since_is_the_first_epoch_of_what_runs():
    one, two, three, four = DBSCAN(0.6), AutoDBSCAN(), KMeans(), DBSCAN(0.4)
    for switch in (
        Switch(10, one, two),
        Switch(0, one, two),
        Switch(5, one, Switch(8, two, three)),
        Switch(8, Switch(5, one, two), three),
        Switch(10, one, Switch(5, two, three)),
        Switch(6, Switch(9, one, two), Switch(7, three, four)),
        Switch(9, Switch(3, one, two), Switch(12, three, four)),
    ):
        for epoch in range(15):
            assert switch.since(epoch) == first_epoch(switch, epoch), (switch, epoch)


def test_wrappers_tell_of_more_clusters_than_crops():
    told = ["there cannot be 8 clusters in 5 crops: set n_clusters to the number of individuals"]
    for part in (Switch(3, KMeans(8), HDC(8)), OnSample(1.0, HDC(8))):
        assert [line[: len(told[0])] for line in part.unmet(crops(5))] == told
        assert part.unmet(crops(8)) == []
    assert Switch(3, KMeans(), OnSample(0.5, HDC())).unmet(crops(1)) == []


def test_wrappers_lack_what_their_clusterers_lack():
    unlabelled, lacking = crops(3), ["TrueLabels needs crops with identities"]
    for part in (
        OnSample(0.5, TrueLabels()),
        Switch(3, DBSCAN(0.5), TrueLabels()),
        Switch(3, OnSample(0.5, TrueLabels()), TrueLabels()),
    ):
        assert part.unmet(unlabelled) == lacking
        labelled = dataclasses.replace(unlabelled, identities=np.arange(3))
        assert part.unmet(labelled) == []
    assert Switch(3, DBSCAN(0.5), AutoDBSCAN()).unmet(unlabelled) == []


@pytest.mark.parametrize(
    "part",
    [
        OnSample(0.5, DBSCAN(0.5)),
        Switch(3, DBSCAN(0.5), AutoDBSCAN()),
        Switch(3, DBSCAN(0.5), Switch(5, OnSample(0.3, TrueLabels(split=0.1)), AutoDBSCAN())),
    ],
)
def test_equal_their_yaml_round_trip(part):
    problems = []
    text = yaml.safe_dump(parts.to_plain(part))
    kind = wrappers.Clusterer | Switch
    assert parts.from_plain(kind, yaml.safe_load(text), where="x", problems=problems) == part
    assert not problems
    assert hash(part) == hash(dataclasses.replace(part))


def test_a_switch_does_not_fit_inside_a_sample():
    """It cannot be called: which epoch it is, only training knows."""
    problems = []
    plain = parts.to_plain(OnSample(0.5, Switch(3, DBSCAN(0.5), DBSCAN(0.4))))
    assert parts.from_plain(OnSample, plain, where="x", problems=problems) is None
    assert "does not fit here" in problems[0]


def test_wrong_settings_are_refused():
    for fraction in (0, 1.2):
        with pytest.raises(ValueError, match=f"fraction is {fraction}"):
            OnSample(fraction, DBSCAN(0.5))
    with pytest.raises(ValueError, match="epoch is -1"):
        Switch(-1, DBSCAN(0.5), DBSCAN(0.4))
