"""Clusters as decisions change them, sightings, and how individuals are deleted."""

import time
from pathlib import Path

import gallery_cases
import numpy as np
import pytest

from resight.data import feedback
from resight.errors import Contradiction, GalleryError, MissingError
from resight.evaluation.threshold import Threshold
from resight.gallery import (
    Gallery,
    Individuals,
    decide,
    delete_individual,
    describe,
    merge,
    sightings,
    split,
)
from resight.gallery.clusters import Clusters, read_clusters, write_clusters
from resight.gallery.individuals import find_ids

LABELS = (0, 0, 0, 4, 4, 7, -1, -1)
TIMES = (50.0, 20.0, np.nan, 40.0, 10.0, 30.0, 60.0, np.nan)


@pytest.fixture
def clustered(gallery: Gallery) -> Gallery:
    """Eight crops: clusters 0, 4 and 7 of three, two and one, and two in none."""
    centres = gallery_cases.units(8, gallery.store.dim, 3)[np.array(LABELS) % 8]
    vectors = centres + 0.4 * gallery_cases.units(8, gallery.store.dim, 4)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    paths = [f"{n}.png" for n in range(8)]
    gallery.store.add(describe("town", paths, times=TIMES), vectors.astype(np.float32))
    kept = [row for row, label in enumerate(LABELS) if label >= 0]
    crops = tuple(("town", paths[row]) for row in kept)
    write_clusters(gallery.path, Clusters(crops, np.array(LABELS)[kept]))
    return gallery


def groups(gallery: Gallery) -> dict[int, list[int]]:
    """The ids in each cluster."""
    known = Individuals.of(gallery)
    return {
        label: sorted(find_ids(gallery, known.members(label)).tolist()) for label in known.sizes
    }


def test_clusters_are_those_of_the_run_at_first(clustered: Gallery) -> None:
    assert groups(clustered) == {0: [0, 1, 2], 4: [3, 4], 7: [5]}
    known = Individuals.of(clustered)
    assert known.sizes == {0: 3, 4: 2, 7: 1}
    assert known.label(("town", "3.png")) == 4
    assert known.label(("town", "6.png")) is None
    assert known.label(("elsewhere", "3.png")) is None
    assert known.members(3) == ()


def test_a_gallery_without_clusters_and_decisions(gallery: Gallery) -> None:
    known = Individuals.of(gallery)
    assert known.sizes == {}
    assert known.label(("town", "0.png")) is None
    assert known.confirmed(("town", "0.png")) == (("town", "0.png"),)
    assert known.rejected(("town", "0.png")) == ()


def test_decisions_change_clusters_that_keep_their_numbers(clustered: Gallery) -> None:
    before = Individuals.of(clustered)
    assert Individuals.of(clustered) is before
    assert decide(clustered, same=[(3, 6)], different=[(0, 2)], by="anna") == 2
    found = groups(clustered)
    assert found[4] == [3, 4, 6]
    assert found[7] == [5]
    assert {len(found[0]), len(found[8])} == {1, 2}
    assert sorted(found[0] + found[8]) == [0, 1, 2]
    assert not {0, 2} <= set(found[0])
    assert not {0, 2} <= set(found[8])
    assert decide(clustered, forget=[(0, 2), (6, 3)]) == 2
    assert groups(clustered) == {0: [0, 1, 2], 4: [3, 4], 7: [5]}


def test_confirmed_and_rejected_reach_through_others(clustered: Gallery) -> None:
    decide(clustered, same=[(0, 1), (1, 6)], different=[(6, 3), (3, 5)])
    known = Individuals.of(clustered)

    def named(*ids: int) -> set[tuple[str, str]]:
        return {("town", f"{number}.png") for number in ids}

    assert set(known.confirmed(("town", "0.png"))) == named(0, 1, 6)
    assert set(known.rejected(("town", "0.png"))) == named(3)
    assert set(known.rejected(("town", "3.png"))) == named(0, 1, 5, 6)
    assert set(known.confirmed(("town", "5.png"))) == named(5)


def test_clusters_are_merged_and_split(clustered: Gallery) -> None:
    assert merge(clustered, [4, 7]) == 1
    assert groups(clustered) == {0: [0, 1, 2], 4: [3, 4, 5]}
    assert split(clustered, 4, [4, 5], by="anna") == 3
    assert groups(clustered) == {0: [0, 1, 2], 4: [4, 5], 8: [3]}
    assert merge(clustered, [8, 4]) == 1
    assert groups(clustered) == {0: [0, 1, 2], 4: [3, 4, 5]}


def test_merging_takes_back_a_split(clustered: Gallery) -> None:
    split(clustered, 0, [2])
    assert groups(clustered)[0] == [0, 1]
    assert merge(clustered, [0, 8]) == 2
    assert groups(clustered) == {0: [0, 1, 2], 4: [3, 4], 7: [5]}


def test_a_split_leaves_the_rest_together(clustered: Gallery) -> None:
    split(clustered, 0, [1])
    found = groups(clustered)
    assert found[0] == [0, 2]
    assert found[8] == [1]


def test_what_contradicts_decisions_is_refused_and_not_kept(clustered: Gallery) -> None:
    decide(clustered, same=[(0, 1), (1, 2)])
    with pytest.raises(Contradiction, match=r"0\.png.*2\.png"):
        decide(clustered, same=[(3, 4)], different=[(0, 2)])
    assert len(feedback.read(clustered.path)) == 2


@pytest.mark.parametrize(
    ("pairs", "told"), [([(0, 99)], "no crop 99"), ([(2, 2)], "crop 2 is paired with itself")]
)
def test_pairs_that_are_none(clustered: Gallery, pairs: list[tuple[int, int]], told: str) -> None:
    with pytest.raises(GalleryError, match=told):
        decide(clustered, same=pairs)


def test_clusters_that_are_none(clustered: Gallery) -> None:
    with pytest.raises(GalleryError, match="no cluster 5"):
        merge(clustered, [4, 5])
    with pytest.raises(GalleryError, match="crop 5 is not in cluster 0"):
        split(clustered, 0, [1, 5])
    for ids in ([], [0, 1, 2]):
        with pytest.raises(GalleryError, match="not all"):
            split(clustered, 0, ids)


def test_decisions_about_crops_that_are_not_there_link_the_others(clustered: Gallery) -> None:
    absent = feedback.Crop("town", "gone.png")
    here = [feedback.Crop("town", f"{number}.png") for number in (3, 5)]
    pairs = [feedback.Decision(crop, absent, True) for crop in here]
    feedback.append(clustered.path / feedback.NAME, pairs)
    assert groups(clustered)[4][-3:] == [3, 4, 5]


def test_sightings_say_why_and_are_sorted_by_time(clustered: Gallery) -> None:
    decide(clustered, same=[(0, 6)], different=[(6, 5)])
    gallery_cases.write_threshold(clustered.path, -1.0)
    clustered.threshold = Threshold.read(clustered.path)
    found = sightings(clustered, 0)
    assert [(sighting.hit.id, sighting.why) for sighting in found] == [
        (4, "found"),
        (1, "cluster"),
        (3, "found"),
        (0, "query"),
        (6, "confirmed"),
        (2, "cluster"),
        (7, "found"),
    ]
    vectors = clustered.store.vectors(np.arange(8))
    for sighting in found:
        expected = float(vectors[sighting.hit.id] @ vectors[0])
        assert sighting.hit.similarity == pytest.approx(expected, abs=1e-5)


def test_without_a_threshold_nothing_is_found(clustered: Gallery) -> None:
    assert {(s.hit.id, s.why) for s in sightings(clustered, 4)} == {(3, "cluster"), (4, "query")}
    for look in (sightings, delete_individual):
        with pytest.raises(MissingError, match="no crop 99"):
            look(clustered, 99)


def test_what_is_past_the_retention_is_not_shown_but_deleted(clustered: Gallery) -> None:
    clustered.change(thumbnails="keep", retention_days=1, log_searches=False)
    fresh = clustered.store.rows(np.array([1]))
    fresh.added[:] = time.time()
    (new,) = clustered.store.add(fresh, clustered.store.vectors(np.array([1])))
    assert [sighting.hit.id for sighting in sightings(clustered, 0)] == [new]
    assert delete_individual(clustered, new) == 3
    assert clustered.store.select().tolist() == [3, 4, 5, 6, 7]


def test_an_individual_is_deleted_with_all_that_is_derived(gallery: Gallery, town: Path) -> None:
    files = sorted(town.rglob("*.png"))
    names = [str(file.relative_to(town)) for file in files]
    ids = gallery.add(files, describe(str(town), names)).tolist()
    crops = tuple((str(town), name) for name in names)
    write_clusters(gallery.path, Clusters(crops, np.array([0, 0, 1, 1, 2, 2, 3, 3])))
    decide(gallery, same=[(ids[0], ids[5]), (ids[2], ids[3])], different=[(ids[0], ids[2])])
    gone = [0, 1, 4, 5]
    pictures = [gallery.thumbnails._file(str(town), names[row]) for row in gone]
    assert all(picture.exists() for picture in pictures)
    store = gallery.store
    assert delete_individual(gallery, ids[1]) == 4
    assert store.select().tolist() == [ids[row] for row in (2, 3, 6, 7)]
    assert store.optimised == 1  # type: ignore[attr-defined]
    assert not any(picture.exists() for picture in pictures)
    assert set(read_clusters(gallery.path).crops) == {crops[row] for row in (2, 3, 6, 7)}
    (left,) = feedback.read(gallery.path)
    assert {left.a.path, left.b.path} == {names[2], names[3]}
    for file in gallery.path.rglob("*"):
        told = file.read_bytes() if file.is_file() else b""
        assert not any(names[row].encode() in told for row in gone), file
