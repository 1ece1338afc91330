"""Decisions as they are kept: newest first, and whole whoever else writes."""

import threading

import gallery_cases
import numpy as np
import pytest

from resight.data import feedback
from resight.errors import DataError, GalleryError
from resight.gallery import Gallery, decide, describe
from resight.gallery.clusters import Clusters, write_clusters
from resight.gallery.decisions import decided, merge, split


@pytest.fixture
def filled(gallery: Gallery) -> Gallery:
    """Six crops in two clusters of three."""
    paths = [f"{n}.png" for n in range(6)]
    gallery.store.add(describe("town", paths), gallery_cases.units(6, gallery.store.dim))
    crops = tuple(("town", path) for path in paths)
    write_clusters(gallery.path, Clusters(crops, np.repeat([0, 1], 3)))
    return gallery


def said(gallery: Gallery) -> list[tuple[str, str, bool | None]]:
    return [(d.a.path[0], d.b.path[0], d.same) for d in decided(gallery)]


def test_the_last_word_on_each_pair_newest_first(filled: Gallery) -> None:
    assert said(filled) == []
    decide(filled, same=[(0, 1), (3, 4)], by="anna")
    decide(filled, different=[(4, 3)])
    assert said(filled) == [("3", "4", False), ("0", "1", True)]
    assert [d.by for d in decided(filled)] == ["", "anna"]
    decide(filled, forget=[(3, 4)], same=[(1, 2)])
    assert said(filled) == [("1", "2", True), ("0", "1", True)]
    filled.delete([2])
    assert said(filled) == [("0", "1", True)]


def test_the_file_is_read_again_only_after_it_changed(
    filled: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(filled, same=[(0, 1)])
    first = decided(filled)
    with monkeypatch.context() as patch:
        patch.setattr(feedback, "read", None)
        assert decided(filled) is first
    (filled.path / feedback.NAME).write_text("no\n")
    with pytest.raises(DataError, match="line 1, is no decision"):
        decided(filled)


def test_a_crop_that_is_being_deleted_is_not_named_afterwards(filled: Gallery) -> None:
    """Whoever decides waits for the deletion, and then there is no such crop."""
    failed: list[str] = []

    def deciding() -> None:
        try:
            decide(filled, same=[(0, 1)])
        except GalleryError as error:
            failed.append(str(error))

    with filled.writing():
        other = threading.Thread(target=deciding)
        other.start()
        other.join(0.2)
        filled.delete([1])
    other.join()
    assert failed == [f"{filled.path} has no crop 1"]
    assert said(filled) == []


@pytest.mark.parametrize("change", ["merge", "split"])
def test_what_was_decided_meanwhile_is_taken_back_too(filled: Gallery, change: str) -> None:
    """A merge or split that waits for another writer looks at decisions after it."""
    failed: list[Exception] = []

    def changing() -> None:
        try:
            if change == "merge":
                merge(filled, [0, 1])
            else:
                split(filled, 0, [0, 1])
        except Exception as error:
            failed.append(error)

    with filled.writing():
        other = threading.Thread(target=changing)
        other.start()
        other.join(0.2)
        if change == "merge":
            decide(filled, different=[(0, 3), (1, 4)])
        else:
            decide(filled, same=[(1, 2)])
    other.join()
    assert failed == []
    assert {("0", "3", False), ("1", "4", False), ("1", "2", True)}.isdisjoint(said(filled))
