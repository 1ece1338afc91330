"""`resight data unpack`: what it says, and files that are not CUHK03 as published."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py")
import h5py
from published_mat import USER_BLOCK, pictures, write_published

Edit = Callable[[Any], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_published(tmp_path / "cuhk-03.mat")
    return tmp_path


def refused(result: Any, *told: str) -> None:
    assert result.code == 2, result
    assert "Traceback" not in result.err
    (line,) = result.err.strip().splitlines()
    assert line.startswith("resight: ")
    for words in told:
        assert words in line


def put(name: str, values: Any) -> Edit:
    def edit(hdf: Any) -> None:
        del hdf[name]
        hdf[name] = values

    return edit


def grouped(hdf: Any) -> None:
    del hdf["testsets"]
    hdf.create_group("testsets")


def refer(holder: str, place: tuple[int, int], target: Callable[[Any], Any]) -> Edit:
    """Let the reference at this place of a cell lead elsewhere."""

    def edit(hdf: Any) -> None:
        hdf[holder][place] = target(hdf)

    return edit


def array(values: Any) -> Callable[[Any], Any]:
    return lambda hdf: hdf.create_dataset("new", data=values).ref


def dangling(hdf: Any) -> Any:
    reference = hdf.create_dataset("new", data=np.zeros(3)).ref
    del hdf["new"]
    return reference


def huge(hdf: Any) -> Any:
    """Claims 60 GB, and takes none."""
    shape, chunks = (3, 100_000, 200_000), (1, 100, 100)
    return hdf.create_dataset("new", shape, np.uint8, chunks=chunks, compression="gzip").ref


def huge_chunk(hdf: Any) -> Any:
    options = {"maxshape": (3, None, None), "chunks": (3, 20_000, 20_000), "compression": "gzip"}
    return hdf.create_dataset("new", (3, 2, 2), np.uint8, **options).ref


IMAGE = "#refs#/labeled1", (0, 1)
DAMAGES: dict[str, tuple[Edit, str]] = {
    "no labelled": (lambda hdf: hdf.pop("labeled"), "labeled"),
    "no detected": (lambda hdf: hdf.pop("detected"), "detected"),
    "no test sets": (lambda hdf: hdf.pop("testsets"), "testsets"),
    "a group": (grouped, "expected an array, found a Group"),
    "numbers for references": (put("labeled", np.zeros((1, 5))), "expected references"),
    "six pairs": (put("labeled", np.zeros((1, 6))), "expected 1 × 5 values, found 1 × 6"),
    "one number": (put("labeled", 3), "expected 1 × 5 values, found one"),
    "nothing": (put("labeled", h5py.Empty("f8")), "expected 1 × 5 values, found one"),
    "nine columns": (refer("labeled", (0, 2), array(np.zeros((9, 2)))), "10 × any values"),
    "a pair nowhere": (refer("labeled", (0, 4), dangling), "labeled: "),
    "no pair": (refer("labeled", (0, 4), lambda hdf: h5py.Reference()), "labeled: "),
    "a pair that is a group": (refer("labeled", (0, 4), lambda hdf: hdf["#refs#"].ref), "a Group"),
    "an image nowhere": (refer(*IMAGE, dangling), "image 1_002_1_01.png: "),
    "a group for an image": (refer(*IMAGE, lambda hdf: hdf.ref), "found a "),
    "a grey image": (refer(*IMAGE, array(np.zeros((9, 4), np.uint8))), "3 × any × any"),
    "four channels": (refer(*IMAGE, array(np.zeros((4, 9, 4), np.uint8))), "found 4 × 9 × 4"),
    "floats": (refer(*IMAGE, array(np.zeros((3, 9, 4)))), "expected uint8, found float64"),
    "a huge image": (refer(*IMAGE, huge), "found 60,000,000,000"),
    "a huge chunk": (refer(*IMAGE, huge_chunk), "found 1,200,000,000"),
    "a pair out of range": (
        refer("testsets", (0, 7), array(np.array([[1.0, 6], [1, 1]]))),
        "testsets: there is no person 1 of the pair 6",
    ),
    "a person out of range": (
        refer("testsets", (0, 7), array(np.array([[1.0, 4], [1, 2]]))),
        "testsets: there is no person 2 of the pair 4",
    ),
    "person 0": (refer("testsets", (0, 0), array(np.array([[1.0], [0]]))), "no person 0"),
    "half a person": (refer("testsets", (0, 0), array(np.array([[1.0], [1.5]]))), "person 1.5"),
    "nobody": (refer("testsets", (0, 0), array(np.array([[1.0], [np.nan]]))), "person nan"),
    "words": (refer("testsets", (0, 0), array(np.array([[b"a"], [b"b"]]))), "testsets: "),
    "a test set of three": (refer("testsets", (0, 0), array(np.ones((3, 1)))), "2 × any values"),
}


def test_it_tells_what_it_did(folder: Path, resight: Any) -> None:
    result = resight("data", "unpack", folder)
    assert result.code == 0
    told = " ".join(result.out.split())
    for boxes, kind in (("labelled", "labeled"), ("detected", "detected")):
        count = f"{boxes} {len(pictures(kind))} images of 10 identities, published are 14,09"
        assert count in told
    assert "14,096 images of 1,467 identities" in told
    assert "14,097 images of 1,467 identities" in told
    assert "written 0 images" in " ".join(resight("data", "unpack", folder).out.split())
    for boxes in ("labelled", "detected"):
        layout = f"cuhk03-classic-{boxes}:20"
        sheet = folder / "sheet.png"
        checked = resight("data", "check", folder, "--layout", layout, "--sheet", sheet)
        assert checked.code == 0
        assert "unreadable 0" in " ".join(checked.out.split())


@pytest.mark.parametrize("damage", DAMAGES)
def test_files_that_are_not_cuhk03(damage: str, folder: Path, resight: Any) -> None:
    edit, told = DAMAGES[damage]
    with h5py.File(folder / "cuhk-03.mat", "r+") as hdf:
        edit(hdf)
    refused(resight("data", "unpack", folder), "cuhk-03.mat is damaged, or is not CUHK03", told)
    assert not (folder / "splits_classic_labeled.json").exists()


@pytest.mark.parametrize("kind", ["empty", "text", "older", "cut", "short"])
def test_files_that_are_not_hdf5(kind: str, folder: Path, resight: Any) -> None:
    file = folder / "cuhk-03.mat"
    whole = file.read_bytes()
    older = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + bytes(64)
    cut = {"cut": whole[: len(whole) // 2], "short": whole[: USER_BLOCK + 20]}
    file.write_bytes({"empty": b"", "text": b"<html>", "older": older, **cut}[kind])
    refused(resight("data", "unpack", folder), "should be a MATLAB 7.3 (HDF5) file")
    assert not (folder / "images_labeled").exists()


def test_places_that_cannot_be_unpacked(tmp_path: Path, resight: Any) -> None:
    refused(resight("data", "unpack", tmp_path), "holds neither cuhk-03.mat nor")
    refused(resight("data", "unpack", tmp_path / "nowhere"), "is no folder")
    write_published(tmp_path / "cuhk-03.mat")
    (tmp_path / "images_detected").write_text("")
    refused(resight("data", "unpack", tmp_path), "cannot write")


@pytest.mark.parametrize("place", ["1_002_2_06.png", "splits_classic_labeled.json"])
def test_a_full_disk(
    place: str, folder: Path, resight: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.replace

    def replace(source: Any, target: Any) -> None:
        if place in str(target):
            raise OSError(28, os.strerror(28))
        original(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        refused(resight("data", "unpack", folder), place, "No space left on device")
    assert not list(folder.rglob("*.tmp"))
    assert resight("data", "unpack", folder).code == 0
