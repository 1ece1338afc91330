"""Search compared with a slow one, and what a query can ask for."""

import math
from pathlib import Path
from typing import Any

import gallery_cases
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore, Stores

from resight.errors import BusyError, ConfigError, DataError, GalleryError, MissingError
from resight.evaluation.reranking import Reranked
from resight.evaluation.threshold import Threshold
from resight.gallery import Filter, Gallery, Query, describe, search
from resight.gallery.settings import Settings
from resight.records import Features, FloatArray, IntArray

CAMERAS = ("gate", "hall", "gate", "yard", "hall", "")
TIMES = (10.0, 20.0, math.nan, 40.0, 50.0, 60.0)


def fill(gallery: Gallery, vectors: FloatArray, **known: Any) -> IntArray:
    """Store these embeddings; crop 0, 1, … of a stream."""
    rows = describe("stream", [str(n) for n in range(len(vectors))], **known)
    rows.added[:] = 1e9
    return gallery.store.add(rows, vectors)


@pytest.fixture
def filled(gallery: Gallery) -> Gallery:
    """Six random embeddings with cameras and times."""
    fill(gallery, gallery_cases.units(6, gallery.store.dim), cameras=CAMERAS, times=TIMES)
    return gallery


def ids_of(gallery: Gallery, query: Query) -> list[int]:
    return [hit.id for hit in search(gallery, query).hits]


def give_threshold(gallery: Gallery, similarity: float) -> None:
    gallery_cases.write_threshold(gallery.path, similarity)
    gallery.threshold = Threshold.read(gallery.path)


def test_a_picture_finds_itself_among_others(gallery: Gallery, town: Path) -> None:
    files = sorted(town.rglob("*.png"))
    names = [str(file.relative_to(town)) for file in files]
    ids = gallery.add(files, describe("town", names, cameras="gate", times=5.0, tracks=3))
    for picture in (files[2], files[2].read_bytes(), str(files[2])):
        answer = search(gallery, Query(pictures=(picture,), k=3))
        first = answer.hits[0]
        assert (first.id, first.path, first.source) == (ids[2], names[2], "town")
        assert (first.camera, first.time, first.track) == ("gate", 5.0, 3)
        assert first.similarity == pytest.approx(1, abs=1e-3)
        assert first.accepted is None
        assert answer.unknown is None
        assert answer.exact
        assert not answer.reranked
        assert answer.seconds > 0


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 12),
    chosen=st.lists(st.integers(0, 11), min_size=1, max_size=3, unique=True),
    k=st.integers(1, 14),
    cameras=st.none() | st.sets(st.sampled_from(["a", "b"]), min_size=1),
    same_camera=st.booleans(),
    seed=st.integers(0, 9),
)
def test_stored_crops_search_as_a_slow_reference_does(
    n: int,
    chosen: list[int],
    k: int,
    cameras: set[str] | None,
    same_camera: bool,
    seed: int,
) -> None:
    ids = sorted({number % n for number in chosen})
    gallery = Gallery(Path(), Settings(8, "", ""), MemoryStore(8), device="cpu")
    vectors = gallery_cases.units(n, 8, seed)
    seen = ["ab"[number % 2] for number in range(n)]
    fill(gallery, vectors, cameras=seen)
    known = set(seen)
    where = Filter(cameras=None if cameras is None else frozenset(cameras & known) or None)
    query = Query(ids=tuple(ids), k=k, where=where, same_camera=same_camera)
    mean = vectors[ids].astype(np.float64).mean(axis=0)
    scores = vectors @ (mean / np.linalg.norm(mean))
    mine = {seen[number] for number in ids}
    fitting = [
        number
        for number in range(n)
        if number not in ids
        and (where.cameras is None or seen[number] in where.cameras)
        and (same_camera or seen[number] not in mine)
    ]
    expected = sorted(fitting, key=lambda number: -scores[number])[:k]
    hits = search(gallery, query).hits
    assert [hit.id for hit in hits] == expected
    np.testing.assert_allclose([h.similarity for h in hits], scores[expected], atol=1e-5)


def test_several_pictures_are_searched_by_their_mean(filled: Gallery, town: Path) -> None:
    files = tuple(sorted(town.rglob("*.png"))[:3])
    each = filled.embedder.embed(files)
    mean = each.mean(axis=0) / np.linalg.norm(each.mean(axis=0))
    scores = filled.store.vectors(filled.store.select()) @ mean
    hits = search(filled, Query(pictures=files, k=6)).hits
    assert [hit.id for hit in hits] == np.argsort(-scores).tolist()
    np.testing.assert_allclose([h.similarity for h in hits], np.sort(scores)[::-1], atol=1e-5)


def test_pictures_and_stored_crops_together(filled: Gallery, town: Path) -> None:
    file = next(town.rglob("*.png"))
    both = np.concatenate([filled.store.vectors(np.array([4])), filled.embedder.embed([file])])
    mean = both.mean(axis=0) / np.linalg.norm(both.mean(axis=0))
    hits = search(filled, Query(pictures=(file,), ids=(4,), k=6)).hits
    assert 4 not in [hit.id for hit in hits]
    best = filled.store.vectors(np.array([hits[0].id]))[0]
    assert hits[0].similarity == pytest.approx(float(best @ mean), abs=1e-5)


def test_filters(filled: Gallery) -> None:
    def found(**fields: Any) -> set[int]:
        return set(ids_of(filled, Query(ids=(0,), where=Filter(**fields))))

    assert found() == {1, 2, 3, 4, 5}
    assert found(cameras=frozenset({"hall", "yard"})) == {1, 3, 4}
    assert found(without_cameras=frozenset({"hall"})) == {2, 3, 5}
    assert found(since=20.0, until=50.0) == {1, 3, 4}
    assert found(without=frozenset({1, 5})) == {2, 3, 4}


def test_the_cameras_of_stored_crops_can_be_left_out(filled: Gallery) -> None:
    assert set(ids_of(filled, Query(ids=(0,), same_camera=False))) == {1, 3, 4, 5}
    assert set(ids_of(filled, Query(ids=(0, 1), same_camera=False))) == {3, 5}
    assert set(ids_of(filled, Query(ids=(5,), same_camera=False))) == {0, 1, 2, 3, 4}


def test_an_unknown_camera_rules_out_nobody(gallery: Gallery) -> None:
    fill(gallery, gallery_cases.units(3, gallery.store.dim), cameras=("", "", "gate"))
    assert set(ids_of(gallery, Query(ids=(0,), same_camera=False))) == {1, 2}


def test_the_threshold_tells_who_is_accepted_and_who_is_unknown(filled: Gallery) -> None:
    scores = filled.store.vectors(filled.store.select())[1:] @ filled.store.vectors(np.array([0])).T
    ordered = np.sort(scores.ravel())[::-1]
    give_threshold(filled, float(ordered[:2].mean() if ordered[0] - ordered[1] else ordered[0]))
    answer = search(filled, Query(ids=(0,)))
    assert answer.unknown is False
    assert [hit.accepted for hit in answer.hits] == [True, False, False, False, False]
    only = search(filled, Query(ids=(0,), accepted_only=True))
    assert [hit.id for hit in only.hits] == [answer.hits[0].id]
    give_threshold(filled, 0.9999)
    nobody = search(filled, Query(ids=(0,), accepted_only=True))
    assert nobody.unknown is True
    assert nobody.hits == ()
    rest = search(filled, Query(ids=(0,)))
    assert rest.unknown is True
    assert len(rest.hits) == 5


def test_reranking_is_that_of_the_first_hundred(gallery: Gallery) -> None:
    centres = gallery_cases.units(12, gallery.store.dim)
    noise = np.random.default_rng(1).standard_normal((120, gallery.store.dim)) * 0.07
    vectors = np.repeat(centres, 10, axis=0) + noise
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    fill(gallery, vectors)
    answer = search(gallery, Query(ids=(0,), k=120, rerank=True))
    scores = vectors @ vectors[0]
    candidates = np.argsort(-scores, kind="stable")
    candidates = candidates[candidates != 0]
    assert answer.reranked
    assert len(answer.hits) == 119
    assert [hit.id for hit in answer.hits[100:]] == candidates[100:].tolist()
    assert {hit.id for hit in answer.hits[:100]} == set(candidates[:100].tolist())
    deep = search(gallery, Query(ids=(0,), k=30, rerank=True))
    first = candidates[:100]
    sides = Features({"global": vectors[:1]}), Features({"global": vectors[first]})
    blocks = list(Reranked()(*sides, np.arange(1)))
    expected = first[np.argsort(-blocks[0][1][0], kind="stable")][:30]
    assert [hit.id for hit in deep.hits] == expected.tolist()
    np.testing.assert_allclose([hit.similarity for hit in deep.hits], scores[expected], atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_candidates_can_be_reranked(gallery: Gallery, n: int) -> None:
    fill(gallery, gallery_cases.units(n + 1, gallery.store.dim))
    assert set(ids_of(gallery, Query(ids=(0,), rerank=True))) == set(range(1, n + 1))


def test_filters_that_nobody_passes_find_nothing(filled: Gallery) -> None:
    for rerank in (False, True):
        answer = search(filled, Query(ids=(0,), where=Filter(since=1000.0), rerank=rerank))
        assert answer.hits == ()
    give_threshold(filled, 0.5)
    assert search(filled, Query(ids=(0,), where=Filter(since=1000.0))).unknown is True


def test_what_is_past_the_retention_is_no_answer(
    tmp_path: Path, model: Path, in_memory: Stores
) -> None:
    with Gallery.create(tmp_path / "short", model, retention_days=1) as gallery:
        fill(gallery, gallery_cases.units(3, gallery.store.dim))
        fresh = describe("stream", ["new"])
        fresh.added[:] = 1e12
        new = gallery.store.add(fresh, gallery_cases.units(1, gallery.store.dim, 5))
        assert ids_of(gallery, Query(ids=(0,))) == new.tolist()


def test_answers_are_plain_values(filled: Gallery) -> None:
    plain = search(filled, Query(ids=(0,), k=5)).as_dict()
    assert set(plain) == {"hits", "unknown", "exact", "reranked", "seconds"}
    by_id = {hit["id"]: hit for hit in plain["hits"]}
    assert set(by_id[1]) == {
        *("id", "similarity", "accepted", "source", "path", "camera", "time", "track"),
    }
    assert by_id[1]["time"] == 20
    assert by_id[2]["time"] is None
    assert by_id[1]["track"] is None


def test_a_gallery_that_changes_meanwhile(filled: Gallery, monkeypatch: Any) -> None:
    original, calls = MemoryStore.rows, iter(range(1))

    def losing(self: Any, ids: Any) -> Any:
        if next(calls, None) is not None:
            raise KeyError(3)
        return original(self, ids)

    monkeypatch.setattr(MemoryStore, "rows", losing)
    assert len(search(filled, Query(ids=(), pictures=(np.zeros((8, 4, 3), np.uint8),))).hits) == 6


def test_a_gallery_that_never_stands_still(filled: Gallery, monkeypatch: Any) -> None:
    def losing(self: Any, ids: Any) -> Any:
        raise KeyError(3)

    picture = np.zeros((8, 4, 3), np.uint8)
    monkeypatch.setattr(MemoryStore, "rows", losing)
    with pytest.raises(BusyError, match="changes faster than it can be searched"):
        search(filled, Query(pictures=(picture,)))


def test_more_answers_than_there_can_be(filled: Gallery) -> None:
    for rerank in (False, True):
        assert len(ids_of(filled, Query(ids=(0,), k=10**15, rerank=rerank))) == 5


@pytest.mark.parametrize("crop_id", [17, -1, 10**30])
def test_a_crop_that_is_not_there(filled: Gallery, crop_id: int) -> None:
    with pytest.raises(MissingError, match=f"has no crop {crop_id}"):
        search(filled, Query(ids=(0, crop_id)))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (Query(ids=(0,), where=Filter(cameras=frozenset({"gatte"}))), "did you mean 'gate'?"),
        (Query(ids=(0,), where=Filter(without_cameras=frozenset({"x"}))), "it has '', 'gate'"),
        (Query(ids=(0,), accepted_only=True), "resight calibrate"),
    ],
)
def test_what_cannot_be_searched_is_told(filled: Gallery, query: Query, told: str) -> None:
    with pytest.raises(GalleryError) as error:
        search(filled, query)
    assert told in str(error.value)


def test_queries_refuse_what_makes_no_sense(gallery: Gallery, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to search for"):
        Query()
    with pytest.raises(ConfigError, match="k is 0"):
        Query(ids=(1,), k=0)
    with pytest.raises(GalleryError, match="holds no crops"):
        search(gallery, Query(pictures=(np.zeros((8, 4, 3), np.uint8),)))
    fill(gallery, gallery_cases.units(1, gallery.store.dim))
    (tmp_path / "no.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"no\.jpg"):
        search(gallery, Query(pictures=(tmp_path / "no.jpg",)))


def test_another_function_can_embed(filled: Gallery) -> None:
    wanted = filled.store.vectors(np.array([3]))
    answer = search(filled, Query(pictures=(b"anything",)), embed=lambda pictures: wanted)
    assert answer.hits[0].id == 3
