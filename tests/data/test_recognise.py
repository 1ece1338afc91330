"""Copies of the published sizes, and what is told of those that are not whole."""

from pathlib import Path

import numpy as np
import pytest

from resight.data.published import PUBLISHED, Benchmark
from resight.data.recognise import recognise
from resight.records import Crops

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
BY_NAME = {benchmark.name: benchmark for benchmark in PUBLISHED}


def copy_of(
    benchmark: Benchmark, *, folders: dict[str, str] = FOLDERS, less: dict[str, int] | None = None
) -> Crops:
    """Crops of the published counts, `less` images fewer per split; train has its own people."""
    splits, identities, paths = [], [], []
    for split, count in benchmark.splits.items():
        n = (count.images or 3 * count.identities) - (less or {}).get(split, 0)
        splits += [split] * n
        first = 1 if split == "train" else 5001
        identities += [first + row % count.identities for row in range(n)]
        paths += [f"{folders[split]}/{split}{row:06d}.jpg" for row in range(n)]
    return Crops(
        root=Path("x"),
        paths=tuple(paths),
        splits=np.array(splits),
        identities=np.array(identities),
        cameras=np.arange(len(paths)) % benchmark.cameras,
    )


@pytest.mark.parametrize("benchmark", PUBLISHED, ids=lambda benchmark: benchmark.name)
def test_whole_copies_are_recognised(benchmark: Benchmark) -> None:
    train, test = benchmark.named or ("", "")
    named = {"train": train, "query": test, "gallery": test}
    crops = copy_of(benchmark, folders=named if train else FOLDERS)
    for layout in benchmark.layouts:
        found = recognise(crops, layout)
        assert found is not None
        assert (found.name, found.complete) == (benchmark.name, True)
        assert found.differences == ()
        assert found.source == benchmark.source


def test_what_is_missing_is_told() -> None:
    crops = copy_of(BY_NAME["Market-1501"], less={"train": 6, "query": -1})
    found = recognise(crops, "market1501")
    assert found is not None
    assert not found.complete
    assert found.differences == (
        "bounding_box_train has 12,930 images, Market-1501 has 12,936: 6 are missing",
        "query has 3,369 images, Market-1501 has 3,368: 1 is too many",
    )


def test_identities_and_cameras_are_compared() -> None:
    crops = copy_of(BY_NAME["VeRi-776"])
    assert crops.identities is not None
    assert crops.cameras is not None
    keep = (crops.identities != 1) & (crops.cameras != 0)
    found = recognise(crops.select(keep), "veri776")
    assert found is not None
    assert "bounding_box_train has 575 identities, VeRi-776 has 576: 1 is missing" in (
        found.differences
    )
    assert found.differences[-1] == "the copy has 19 cameras, VeRi-776 has 20: 1 is missing"


def test_junk_and_distractors_are_no_identities() -> None:
    crops = copy_of(BY_NAME["Market-1501"])
    assert crops.identities is not None
    gallery = np.flatnonzero(crops.splits == "gallery")
    crops.identities[gallery[-3000:-1000]] = -1
    crops.identities[gallery[-1000:]] = 0
    found = recognise(crops, "market1501")
    assert found is not None
    assert found.complete


def test_market_without_its_junk_is_a_variant() -> None:
    crops = copy_of(BY_NAME["Market-1501"])
    gallery = np.flatnonzero(crops.splits == "gallery")
    found = recognise(crops.select(np.delete(np.arange(len(crops)), gallery[-3819:])), "market1501")
    assert found is not None
    assert (found.name, found.complete) == ("Market-1501 (junk removed)", True)


def test_the_pack_of_distractors_is_counted_by_itself() -> None:
    crops = copy_of(BY_NAME["Market-1501"])
    assert crops.identities is not None
    assert crops.cameras is not None
    pack = Crops(
        root=crops.root,
        paths=crops.paths + tuple(f"images/{row}.jpg" for row in range(1234)),
        splits=np.append(crops.splits, ["gallery"] * 1234),
        identities=np.append(crops.identities, np.zeros(1234, np.int64)),
        cameras=np.append(crops.cameras, np.full(1234, 99)),
    )
    found = recognise(pack, "market1501")
    assert found is not None
    assert (found.name, found.complete) == ("Market-1501 with 1,234 distractors", True)


@pytest.mark.parametrize("boxes", ["labelled", "detected"])
def test_cuhk03_is_told_apart_by_three_images(boxes: str) -> None:
    name = f"CUHK03 {boxes}, new protocol"
    found = recognise(copy_of(BY_NAME[name]), "market1501")
    assert found is not None
    assert found.name == name


def test_occluded_duke_is_told_from_duke() -> None:
    found = recognise(copy_of(BY_NAME["Occluded-Duke"], less={"train": 100}), "dukemtmc")
    assert found is not None
    assert found.differences == (
        "bounding_box_train has 15,518 images, Occluded-Duke has 15,618: 100 are missing",
    )


def test_a_layout_of_its_own_expects_its_data_set_however_small() -> None:
    crops = copy_of(BY_NAME["VeRi-776"], less={"train": 37775, "query": 1677, "gallery": 11578})
    found = recognise(crops, "veri776")
    assert found is not None
    assert found.differences[0] == (
        "bounding_box_train has 3 images, VeRi-776 has 37,778: 37,775 are missing"
    )
    assert recognise(crops, "market1501") is None


def test_what_is_no_published_data_set() -> None:
    crops = copy_of(BY_NAME["VeRi-776"])
    assert recognise(crops, "images") is None
    unlabelled = Crops(root=crops.root, paths=crops.paths, splits=crops.splits)
    assert recognise(unlabelled, "veri776") is None


def test_a_split_trial_does_not_matter() -> None:
    crops = copy_of(BY_NAME["CUHK03 detected, classic protocol"])
    found = recognise(crops, "cuhk03-classic-detected:7")
    assert found is not None
    assert found.complete


def test_splits_that_share_a_folder_are_named_by_themselves() -> None:
    folders = {"train": "mask_train_v2", "query": "mask_test_v2", "gallery": "mask_test_v2"}
    benchmark = BY_NAME["MSMT17 V2 (masked faces)"]
    found = recognise(copy_of(benchmark, folders=folders, less={"query": 2}), "msmt17")
    assert found is not None
    assert found.differences == (
        "the split query has 11,657 images, MSMT17 V2 (masked faces) has 11,659: 2 are missing",
    )
