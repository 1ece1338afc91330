"""From a run to answers: index, search and the care of galleries, as users type them."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from drawn import CAMERA, TINY, draw
from PIL import Image

import resight as package
from resight.gallery import Gallery, decide

TOWN = {"identities": 6, "cameras": 2, "shots": 2}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 crops of 6 individuals."""
    return draw(tmp_path_factory.mktemp("data") / "town", **TOWN)


@pytest.fixture(scope="module")
def run(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch over the town."""
    out = tmp_path_factory.mktemp("runs") / "run"
    settings = TINY | {"optim.epochs": 1}
    package.train(town, out=out, settings=settings, camera_pattern=CAMERA)
    return out


@pytest.fixture(scope="module")
def calibrated(town: Path, run: Path) -> float:
    """The similarity from which two crops count as one individual."""
    return package.calibrate(run, far=0.5).similarity


@pytest.fixture(scope="module")
def indexed(
    town: Path, run: Path, calibrated: float, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A gallery of the town, not to be changed."""
    place = tmp_path_factory.mktemp("galleries") / "gallery"
    package.index(run, town, gallery=place, camera_pattern=CAMERA, workers=1, device="cpu")
    return place


@pytest.fixture
def own(indexed: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(indexed, tmp_path / "gallery"))


def words(result: Any) -> str:
    """What a command printed, on one line."""
    assert result.code == 0, result.err
    return " ".join(result.out.split())


def refused(result: Any, told: str) -> None:
    assert result.code == 2, result
    assert "Traceback" not in result.err
    last = result.err.strip().splitlines()[-1]
    assert last.startswith("resight: ")
    assert told in last


def test_a_run_becomes_a_gallery_that_is_brought_up_to_date(
    town: Path, run: Path, tmp_path: Path, resight: Any
) -> None:
    place, data = tmp_path / "gallery", tmp_path / "town"
    draw(data, **TOWN)
    index = ("index", run, data, "--gallery", place, "--camera-pattern", CAMERA, "--workers", 1)
    first = words(resight(*index))
    assert "added 24" in first
    assert "in the gallery now 24" in first
    assert "crops/s" in first
    assert first.endswith(str(place))
    (data / "0001_c1s1_000000_00.png").unlink()
    (data / "0001_c2s1_000000_00.png").write_bytes(b"no picture")
    again = words(resight(*index))
    assert "added 0" in again
    assert "removed, as they are gone 1" in again
    assert "unreadable 1" in again
    assert "0001_c2s1_000000_00.png: not a JPEG" in again


def test_the_runs_clusters_and_threshold_come_along(
    indexed: Path, town: Path, calibrated: float, resight: Any
) -> None:
    shown = words(resight("gallery", "show", indexed))
    for told in ("crops 24", "cameras 1 12, 2 12", f"similarity from {calibrated:.4f}"):
        assert told in shown
    for told in ("thumbnails keep", "crops are kept for ever", "searches are logged no"):
        assert told in shown
    with Gallery.open(indexed) as gallery:
        assert gallery.threshold is not None
        assert gallery.threshold.notes
        for note in gallery.threshold.notes:
            assert f"threshold: {note}" in shown
    assert (indexed / "clusters.parquet").exists()


def test_other_crops_bring_no_clusters(run: Path, tmp_path: Path) -> None:
    other = draw(tmp_path / "other", identities=1, cameras=1, shots=2)
    package.index(run, other, gallery=tmp_path / "g", workers=1)
    assert not (tmp_path / "g/clusters.parquet").exists()


def test_without_a_threshold_the_way_to_one_is_told(
    town: Path, run: Path, tmp_path: Path, resight: Any
) -> None:
    bare = shutil.copytree(run, tmp_path / "run")
    (bare / "threshold.json").unlink(missing_ok=True)
    crop = next(town.glob("*.png"))
    result = resight("index", bare, town, "--gallery", tmp_path / "g", "--workers", 1)
    assert f"resight calibrate {bare}" in result.err
    assert "`resight calibrate RUN`" in words(resight("search", tmp_path / "g", crop))


def test_an_individual_is_found(indexed: Path, town: Path, tmp_path: Path, resight: Any) -> None:
    crop = town / "0003_c1s1_000000_00.png"
    sheet = tmp_path / "sheet.png"
    result = resight("search", indexed, crop, "-k", 3, "--sheet", sheet)
    table = result.out.splitlines()
    assert table[1].split()[:4] == ["1", "1.0000", "yes", "1"]
    assert table[1].split()[-1] == crop.name
    assert len([line for line in table if line.rstrip().endswith(".png")]) == 3 + 1
    assert "exact search" in result.out
    assert result.out.strip().endswith(str(sheet))
    assert Image.open(sheet).format == "PNG"


def test_answers_as_json_are_those_of_the_function(indexed: Path, town: Path, resight: Any) -> None:
    crops = sorted(town.glob("0002_*.png"))[:2]
    result = resight("search", indexed, *crops, "--json", "--camera", 2, "--rerank", "--exact")
    plain = json.loads(result.out)
    answer = package.search(indexed, crops, camera=["2"], rerank=True, exact=True).as_dict()
    assert plain.pop("seconds") > 0
    del answer["seconds"]
    assert plain == answer
    assert {hit["camera"] for hit in plain["hits"]} == {"2"}
    assert plain["reranked"] is True


def test_filters_and_stored_crops(indexed: Path, resight: Any) -> None:
    listed = resight("gallery", "list", indexed, "--json").out.splitlines()
    crop = json.loads(listed[0])
    assert crop["camera"] == "1"
    search = ("search", indexed, "--id", crop["id"], "--json", "-k", 50)
    assert len(json.loads(resight(*search).out)["hits"]) == 23
    other = json.loads(resight(*search, "--other-cameras").out)["hits"]
    assert {hit["camera"] for hit in other} == {"2"}
    assert json.loads(resight(*search, "--since", "2024-05-01").out)["hits"] == []
    without = json.loads(resight(*search, "--not-camera", 2).out)["hits"]
    assert {hit["camera"] for hit in without} == {"1"}


def test_filters_that_nobody_passes_are_not_taken_for_an_unknown_individual(
    indexed: Path, resight: Any
) -> None:
    crop = ("search", indexed, "--id", 3)
    assert words(resight(*crop, "--since", "2024-05-01")).startswith("no crop passes the filters")
    nobody = words(resight(*crop, "--since", "2024-05-01", "--accepted"))
    assert nobody.startswith("unknown: no crop is similar enough")


def test_no_part_of_a_name_is_left_out(run: Path, town: Path, tmp_path: Path, resight: Any) -> None:
    name = f"{'long' * 40}_:cat:_é.png"
    (tmp_path / "data").mkdir()
    for file in (name, "short.png"):
        shutil.copyfile(next(town.glob("*.png")), tmp_path / "data" / file)
    place = tmp_path / "g"
    package.index(run, tmp_path / "data", gallery=place, workers=1)
    for asked in (("search", place, "--id", 1), ("gallery", "list", place)):
        assert name in "".join(resight(*asked).out.split())


def test_terminals_without_these_characters(
    indexed: Path, resight: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", terminal)
        result = resight("gallery", "show", indexed)
    assert result.code == 0, result.err
    terminal.seek(0)
    shown = terminal.read()
    assert "SHA-256 " in shown
    assert "?" in shown


def test_crops_are_listed_a_page_at_a_time(indexed: Path, resight: Any) -> None:
    page = ("gallery", "list", indexed, "--json", "--limit", 10)
    first = [json.loads(line) for line in resight(*page).out.splitlines()]
    second = [
        json.loads(line) for line in resight(*page, "--after", first[-1]["id"]).out.splitlines()
    ]
    assert len(first) == len(second) == 10
    assert second[0]["id"] > first[-1]["id"]
    table = resight("gallery", "list", indexed, "--camera", 2).out.splitlines()
    assert len(table) == 1 + 12


def test_crops_and_individuals_are_deleted(own: Path, resight: Any) -> None:
    refused(resight("gallery", "delete", own, 0), "give --yes")
    assert words(resight("gallery", "delete", own, 0, 1, 99, "--yes")) == "2 crops deleted"
    with Gallery.open(own) as gallery:
        ids = gallery.store.select().tolist()
        (gallery.path / "threshold.json").unlink()
        (gallery.path / "clusters.parquet").unlink()
        decide(gallery, same=[(ids[0], ids[5])])
    refused(
        resight("gallery", "delete", own, ids[0], ids[1], "--individual", "--yes"),
        "the id of one crop",
    )
    deleted = words(resight("gallery", "delete", own, ids[0], "--individual", "--yes"))
    assert "confirmed" in deleted
    assert deleted.endswith("2 crops deleted")
    with Gallery.open(own) as gallery:
        assert gallery.store.count() == 20
    assert not (own / "feedback.jsonl").read_text()


def test_what_is_deleted_is_what_was_shown(
    own: Path, resight: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own / "threshold.json").unlink()
    (own / "clusters.parquet").unlink()
    with Gallery.open(own) as gallery:
        decide(gallery, same=[(0, 5)])

    def agreed(question: str, yes: bool) -> None:
        assert question == "delete these 2 crops for good?"
        with Gallery.open(own) as gallery:  # somebody else decides before the answer
            decide(gallery, same=[(0, 7)])

    monkeypatch.setattr("resight.cli.gallery._agree", agreed)
    assert words(resight("gallery", "delete", own, 0, "--individual")).endswith("2 crops deleted")
    with Gallery.open(own) as gallery:
        assert not gallery.has(5)
        assert gallery.has(7)


def test_what_a_gallery_keeps_is_changed(own: Path, resight: Any) -> None:
    refused(resight("gallery", "expire", own), "keeps crops for ever")
    change = (
        "gallery",
        "set",
        own,
        "--thumbnails",
        "none",
        "--keep-days",
        30,
        "--log-searches",
    )
    shown = words(resight(*change))
    assert "thumbnails none" in shown
    assert "crops are kept 30 days" in shown
    assert "searches are logged yes" in shown
    assert words(resight("gallery", "expire", own)) == "0 crops deleted"
    refused(resight("gallery", "set", own, "--thumbnails", "keep"), "cannot be brought back")
    assert "for ever" in words(resight("gallery", "set", own, "--keep-days", 0))
    assert resight("search", own, "--id", 3).code == 0
    assert json.loads((own / "searches.jsonl").read_text())["ids"] == [3]
    assert words(resight("gallery", "optimise", own))


def test_what_index_refuses(
    indexed: Path, town: Path, run: Path, tmp_path: Path, resight: Any
) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    weights = (other / "model.safetensors").read_bytes()
    (other / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    index = ("index", run, town, "--gallery", indexed)
    refused(resight("index", other, town, "--gallery", indexed), "another encoder")
    refused(resight(*index, "--thumbnails", "blur"), f"resight gallery set {indexed}")
    refused(resight(*index, "--store", "milvus+http://localhost"), "or index into a new gallery")
    refused(resight("index", town, town, "--gallery", indexed), "no trained model")
    assert resight(*index, "--workers", 0).code == 2
    new = ("index", run, town, "--gallery", tmp_path / "new")
    refused(resight(*new, "--thumbnails", "blurred"), "expected one of keep, blur, none")
    refused(resight(*new, "--keep-days", "-1"), "-1 days")
    refused(resight(*new, "--store", "mysql://x"), "no kind of store 'mysql'")
    refused(resight("index", town, town, "--gallery", tmp_path / "new"), "no trained model")
    refused(resight("index", run, town, "--gallery", town / "g"), "choose a folder outside")
    refused(resight("index", run, town, "--gallery", town.parent), "holds other files")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ((), "there is nothing to search for"),
        (("--id", 999), "has no crop 999"),
        (("nowhere.png",), "nowhere.png"),
        (("--id", 3, "--camera", "3"), "has no camera '3'"),
        (("--id", 3, "--since", "yesterday"), "since is 'yesterday', expected seconds"),
        (("--id", 3, "-k", 0), "k is 0"),
        (("--id", 10**20), f"has no crop {10**20}"),
        (("--id", 3, "--since", 5, "--until", 2), "no time is since 5 and until 2"),
    ],
)
def test_what_search_refuses(indexed: Path, resight: Any, asked: Any, told: str) -> None:
    refused(resight("search", indexed, *asked), told)


def test_folders_that_are_no_galleries(tmp_path: Path, town: Path, resight: Any) -> None:
    crop = next(town.glob("*.png"))
    refused(resight("search", tmp_path, crop), "is not a gallery")
    for command in ("show", "list", "expire", "optimise", "set"):
        refused(resight("gallery", command, tmp_path), "is not a gallery")


def test_an_empty_gallery(run: Path, tmp_path: Path, town: Path, resight: Any) -> None:
    Gallery.create(tmp_path / "g", run).close()
    refused(resight("search", tmp_path / "g", next(town.glob("*.png"))), "holds no crops")
    assert "crops 0 cameras none" in words(resight("gallery", "show", tmp_path / "g"))


def test_a_single_picture_needs_a_list(indexed: Path, town: Path) -> None:
    with pytest.raises(package.ResightError, match="put it in a list"):
        package.search(indexed, next(town.glob("*.png")))  # type: ignore[arg-type]
