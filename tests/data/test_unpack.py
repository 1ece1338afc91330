"""CUHK03 from cuhk-03.mat: the same pixels, every layout, and whatever stops it."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from interrupted import Stop, stop_after
from PIL import Image

from resight.data import read_crops, unpack
from resight.data.published import Count
from resight.data.unpack import unpack_data
from resight.errors import ConfigError, DataError, ResightError, RunError
from resight.files import locked

pytest.importorskip("h5py")
from published_mat import COLUMNS, KINDS, PEOPLE, people_tested, pictures, write_published

BOXES = {"labeled": "labelled", "detected": "detected"}
ALL = sum(len(pictures(kind)) for kind in KINDS)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("published") / "cuhk-03.mat"
    write_published(file)
    return file


@pytest.fixture
def folder(root: Path, published: Path) -> Path:
    shutil.copy(published, root)
    return root


def assert_unpacked(folder: Path) -> None:
    for kind in KINDS:
        images = folder / f"images_{kind}"
        found = {file.name: np.asarray(Image.open(file)) for file in images.iterdir()}
        expected = pictures(kind)
        assert found.keys() == expected.keys()
        for name, pixels in expected.items():
            np.testing.assert_array_equal(found[name], pixels)
            assert found[name].dtype == np.uint8


def stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != ".lock"]
    return {file: (file.stat().st_mtime_ns, file.stat().st_ino) for file in files}


def names_of(pair_and_person: tuple[int, int], kind: str) -> list[str]:
    pair, person = pair_and_person
    return [name for name in pictures(kind) if name.startswith(f"{pair}_{person:03d}_")]


@pytest.mark.parametrize("place", ["", "cuhk03_release"])
def test_the_pixels_are_those_of_the_file(place: str, root: Path, published: Path) -> None:
    (root / place).mkdir(exist_ok=True)
    shutil.copy(published, root / place)
    done = unpack_data(root)
    assert_unpacked(root)
    assert done.root == root
    assert done.written == ALL
    assert done.counts == {BOXES[kind]: Count(len(pictures(kind)), sum(PEOPLE)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_classic_split_is_read(kind: str, folder: Path) -> None:
    unpack_data(folder)
    for split in range(20):
        crops = read_crops(folder, layout=f"cuhk03-classic-{BOXES[kind]}:{split + 1}")
        shown = {name for one in people_tested(split) for name in names_of(one, kind)}
        assert len(crops) == len(pictures(kind))
        assert crops.identities is not None
        for path, told, identity in zip(crops.paths, crops.splits, crops.identities, strict=True):
            name = path.removeprefix(f"images_{kind}/")
            side = "query" if name[6] == "1" else "gallery"
            assert told == (side if name in shown else "train")
            assert crops.identity_names[identity - 1] == name[:5]
        assert not [path for path in crops.paths if not (folder / path).exists()]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_the_splits_are_numbered_from_0(kind: str, folder: Path) -> None:
    unpack_data(folder)
    splits = json.loads((folder / f"splits_classic_{kind}.json").read_text())
    assert len(splits) == 20
    for split in splits:
        for rows, people in ((split["train"], 8), (split["query"], 2)):
            assert sorted({person for _, person, _ in rows}) == list(range(people))
            assert all(camera == int(path[-8]) - 1 for path, _, camera in rows)
            one_each = {(person, Path(path).name[:5]) for path, person, _ in rows}
            assert len(one_each) == people


@pytest.mark.parametrize("kind", KINDS)
def test_the_new_protocol_is_read(kind: str, folder: Path) -> None:
    unpack_data(folder)
    names = list(pictures(kind))
    cells = np.empty((len(names), 1), object)
    cells[:, 0] = names
    rows = np.arange(1, len(names) + 1)
    table = {
        "filelist": cells,
        "labels": [[int(name[0]) * 100 + int(name[2:5])] for name in names],
        "train_idx": rows[::3],
        "query_idx": rows[1::3],
        "gallery_idx": rows[2::3],
    }
    scipy.io.savemat(folder / f"cuhk03_new_protocol_config_{kind}.mat", table)
    crops = read_crops(folder, layout=f"cuhk03-{BOXES[kind]}")
    told = dict(zip(crops.paths, crops.splits, strict=True))
    assert told == {
        f"images_{kind}/{name}": ("train", "query", "gallery")[i % 3]
        for i, name in enumerate(names)
    }
    assert all((folder / path).exists() for path in crops.paths)


def test_what_is_finished_needs_neither_file_nor_h5py(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = unpack_data(folder)
    (folder / "cuhk-03.mat").unlink()
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.delitem(sys.modules, "resight.data.cuhk03_mat")
    before = stamps(folder)
    again = unpack_data(folder)
    assert stamps(folder) == before
    assert again.written == 0
    assert again.counts == first.counts
    (folder / "images_labeled/1_001_1_01.png").unlink()
    with pytest.raises(DataError, match=r"holds neither cuhk-03\.mat nor"):
        unpack_data(folder)


def test_a_missing_package_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.delitem(sys.modules, "resight.data.cuhk03_mat", raising=False)
    with pytest.raises(ConfigError, match=r"needs h5py: pip install 'resight\[cuhk03\]'"):
        unpack_data(folder)


@pytest.mark.parametrize("calls", [0, 1, 17, len(pictures("detected")), ALL + 1])
def test_stopped_and_continued(calls: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any file, of which the splits are two."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop_after(calls, os.replace))
        with pytest.raises(Stop):
            unpack_data(folder)
    kept = stamps(folder)
    assert len(kept) == calls + 1  # and cuhk-03.mat
    splits = list(folder.glob("splits_*.json"))
    done = unpack_data(folder)
    assert done.written == ALL - (calls - len(splits))
    assert stamps(folder).items() >= kept.items()
    assert_unpacked(folder)


def test_half_of_it_is_not_read_as_the_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", stop_after(9, os.replace))
    with pytest.raises(Stop):
        unpack_data(folder)
    for boxes in BOXES.values():
        with pytest.raises(DataError, match="run `resight data unpack"):
            read_crops(folder, layout=f"cuhk03-classic-{boxes}")


def spoil(folder: Path) -> Iterator[Path]:
    """Images that are not what the file has, each in its way; the splits, so that it is redone."""
    (folder / "splits_classic_labeled.json").write_text("[")
    files = iter(sorted((folder / "images_labeled").iterdir()))
    yield (file := next(files))
    file.write_bytes(b"")
    yield (file := next(files))
    file.write_bytes(file.read_bytes()[:-30])
    yield (file := next(files))
    Image.fromarray(np.zeros((7, 3, 3), np.uint8)).save(file)
    yield (file := next(files))
    pixels = np.array(Image.open(file))
    pixels[-1, -1, -1] ^= 1
    Image.fromarray(pixels).save(file)
    yield (file := next(files))
    Image.open(file).save(file, "JPEG")
    yield (file := next(files))
    Image.open(file).convert("RGBA").save(file)
    (file.parent / ".1_001_1_01.png.123.tmp").write_bytes(b"left")


def test_what_differs_is_written_anew(folder: Path) -> None:
    unpack_data(folder)
    spoilt = list(spoil(folder))
    before = stamps(folder / "images_labeled")
    assert unpack_data(folder).written == len(spoilt)
    assert_unpacked(folder)
    after = stamps(folder / "images_labeled")
    assert {file for file, stamp in after.items() if before[file] != stamp} == set(spoilt)


def test_what_is_missing_is_written_anew(folder: Path) -> None:
    unpack_data(folder)
    (folder / "images_detected/1_001_1_01.png").unlink()
    assert unpack_data(folder).written == 1
    assert_unpacked(folder)


def test_splits_of_the_tested_alone_are_no_sign_of_the_end(folder: Path) -> None:
    unpack_data(folder)
    file = folder / "splits_classic_labeled.json"
    whole = file.read_text()
    for splits in ([{"query": one["query"]} for one in json.loads(whole)], []):
        file.write_text(json.dumps(splits))
        next((folder / "images_labeled").iterdir()).unlink()
        assert unpack_data(folder).written == 1
        assert file.read_text() == whole
    assert_unpacked(folder)


def test_a_full_disk_keeps_what_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, file: Path, **options: object) -> None:
        Path(file).write_bytes(b"part")
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop_after(5, os.replace))
        with pytest.raises(Stop):
            unpack_data(folder)
    kept = stamps(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", full)
        with pytest.raises(ResightError, match=r"cannot write .*\.png: No space left on device"):
            unpack_data(folder)
    assert stamps(folder) == kept
    unpack_data(folder)
    assert_unpacked(folder)


def test_one_process_at_a_time(folder: Path) -> None:
    with locked(folder), pytest.raises(RunError, match="being unpacked by another process"):
        unpack_data(folder)


def test_places_without_the_file(root: Path) -> None:
    with pytest.raises(DataError, match=r"holds neither cuhk-03\.mat nor cuhk03_release"):
        unpack_data(root)
    (root / "cuhk-03.mat").write_bytes(b"x")
    for place in (root / "nowhere", root / "cuhk-03.mat"):
        with pytest.raises(DataError, match="is no folder: give the one that holds"):
            unpack_data(place)


def test_one_image_is_in_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No image is read before the one before it is written."""
    from resight.data.cuhk03_mat import Mat

    order: list[str] = []

    def told(what: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def telling(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if result is not None:
                order.append(what)
            return result

        return telling

    monkeypatch.setattr(Mat, "_pixels", told("read", Mat._pixels))
    monkeypatch.setattr(unpack, "_write", told("written", unpack._write))
    unpack_data(folder)
    assert order == ["read", "written"] * ALL


def test_the_miniature_is_not_trivial() -> None:
    for kind in KINDS:
        assert {name[0] for name in pictures(kind)} == set("12345")
        assert len(pictures(kind)) < sum(PEOPLE) * COLUMNS
        assert len({pixels.shape for pixels in pictures(kind).values()}) > 20
