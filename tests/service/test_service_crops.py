import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from memory_store import MemoryStore
from service_cases import eventually, picture, served, upload

from resight.data import feedback
from resight.errors import StoreError
from resight.gallery import Gallery, Individuals, decide
from resight.service import ServiceSettings


def test_crops_are_listed_in_pages(reader: TestClient) -> None:
    first = reader.get("/api/crops", params={"limit": 7}).json()
    second = reader.get("/api/crops", params={"limit": 7, "after": first["next"]}).json()
    assert [crop["id"] for crop in first["crops"]] == list(range(7))
    assert [crop["id"] for crop in second["crops"]] == list(range(7, 12))
    assert (first["next"], second["next"]) == (6, None)
    assert first["crops"][3] == {
        "id": 3,
        "source": "town",
        "path": "cam1/001_0.png",
        "camera": "c1",
        "time": 110.0,
        "track": None,
        "label": 1,
        "thumbnail": "/api/crops/3/thumbnail",
    }


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ("limit=12", range(12)),
        ("limit=12&camera=c2", [2, 5, 8, 11]),
        ("camera=c2&since=130&until=230", [5, 8]),
        ("camera=c1&camera=c2&after=9", [10, 11]),
        ("since=1e300", []),
    ],
)
def test_listing_is_filtered(reader: TestClient, asked: str, ids: list[int]) -> None:
    answer = reader.get(f"/api/crops?{asked}").json()
    assert [crop["id"] for crop in answer["crops"]] == list(ids)
    assert answer["next"] is None


def test_one_crop(reader: TestClient) -> None:
    assert reader.get("/api/crops/4").json()["path"] == "cam1/001_1.png"
    assert reader.get("/api/crops/12").status_code == 404


def test_thumbnails_are_pictures_kept_by_the_browser_for_minutes(
    reader: TestClient, standing: Gallery
) -> None:
    answer = reader.get("/api/crops/4/thumbnail")
    assert answer.content == standing.thumbnail(4)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "private, max-age=300"
    assert reader.get("/api/crops/12/thumbnail").status_code == 404


def test_a_gallery_without_thumbnails_has_no_addresses_of_them(gallery: Gallery) -> None:
    gallery.change(thumbnails="none", retention_days=None, log_searches=False)
    with served(gallery, ServiceSettings()) as client:
        assert client.get("/api/crops/4").json()["thumbnail"] is None
        assert client.get("/api/crops/4/thumbnail").status_code == 404


def test_a_picture_is_added_and_found(client: TestClient, gallery: Gallery) -> None:
    data = picture(30, 50, seed=7)
    form = {"source": "gate 3", "path": "a/b.png", "camera": "c9", "time": "12.5", "track": "4"}
    answer = client.post("/api/crops", files=upload(data), data=form)
    assert answer.status_code == 201
    assert answer.json() == {
        "id": 12,
        "source": "gate 3",
        "path": "a/b.png",
        "camera": "c9",
        "time": 12.5,
        "track": 4,
        "label": None,
        "thumbnail": "/api/crops/12/thumbnail",
    }
    assert gallery.store.vectors(np.array([12])) == pytest.approx(gallery.embedder.embed([data]))
    found = client.post("/api/search", files=upload(data), data={"k": 1}).json()["hits"][0]
    assert (found["id"], found["similarity"]) == (12, pytest.approx(1.0, abs=1e-5))
    assert client.get("/api/crops/12/thumbnail").content == gallery.thumbnail(12)


def test_a_picture_is_named_after_its_content_and_replaced_by_itself(client: TestClient) -> None:
    first, again, other = (
        client.post("/api/crops", files=upload(picture(seed=seed), name="../../etc/passwd")).json()
        for seed in (1, 1, 2)
    )
    assert first["path"] == again["path"] != other["path"]
    assert first["source"] == "upload"
    assert again["id"] > first["id"]
    assert client.get(f"/api/crops/{first['id']}").status_code == 404


@pytest.mark.parametrize(
    "form",
    [
        {"path": "../a.png"},
        {"path": "/etc/passwd"},
        {"path": "a/../../b"},
        {"path": "a//b"},
        {"path": "a\\b"},
        {"path": "a\r\nSet-Cookie: x=1"},
        {"path": "a\0b"},
        {"path": "x" * 1025},
        {"source": "s\nt"},
        {"camera": "c\u202e1"},
        {"time": "nan"},
        {"time": "inf"},
        {"time": "noon"},
        {"track": "-1"},
        {"track": str(10**30)},
        {"track": "1.5"},
        {"id": "5"},
    ],
)
def test_names_and_numbers_that_mean_harm_are_refused(
    reader: TestClient, form: dict[str, str]
) -> None:
    refused = reader.post("/api/crops", files=upload(picture()), data=form)
    assert refused.status_code == 422
    assert refused.json()["error"].startswith(f"{next(iter(form))}: ")


def test_a_crop_is_deleted_with_what_is_known_of_it(client: TestClient, gallery: Gallery) -> None:
    decide(gallery, same=[(0, 3)], different=[(1, 4)])
    assert client.delete("/api/crops/0").json() == {"deleted": 1}
    assert client.delete("/api/crops/0").status_code == 404
    assert client.get("/api/crops/0/thumbnail").status_code == 404
    assert gallery.thumbnails.read("town", "cam1/000_0.png") is None
    assert len(feedback.read(gallery.path)) == 1
    assert ("town", "cam1/000_0.png") not in Individuals.of(gallery).crops


def test_the_disk_is_cleared_after_deletions(gallery: Gallery, in_memory: Any) -> None:
    (store,) = in_memory.kept.values()
    with served(gallery, ServiceSettings(tidying=0.01)) as client:
        time.sleep(0.05)
        assert store.optimised == 0
        client.delete("/api/crops/0")
        assert eventually(lambda: store.optimised == 1)


def test_what_is_past_the_retention_goes_while_the_service_runs(
    gallery: Gallery, in_memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.change(thumbnails="keep", retention_days=2.0, log_searches=False)
    with served(gallery, ServiceSettings(tidying=0.01)) as client:
        assert client.get("/api/gallery").json()["rows"] == 12
        later = time.time() + 3 * 86_400
        monkeypatch.setattr("resight.gallery.gallery.time.time", lambda: later)
        assert eventually(lambda: client.get("/api/gallery").json()["rows"] == 0)
    assert not list((gallery.path / "thumbnails").rglob("*.jpg"))


def test_tidying_goes_on_after_a_failure(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def expire(self: Gallery) -> int:
        calls.append(1)
        raise StoreError("the disk is full")

    monkeypatch.setattr(Gallery, "expire", expire)
    with served(gallery, ServiceSettings(tidying=0.01)) as client:
        assert eventually(lambda: len(calls) > 2)
        assert client.get("/api/crops/0").status_code == 200


def test_a_compaction_leaves_workers_for_searches(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resight.service.desk.PATIENCE", 0.2)
    working, gate = threading.Event(), threading.Event()
    optimise = MemoryStore.optimise

    def slow(self: MemoryStore) -> Any:
        working.set()
        assert gate.wait(30)
        return optimise(self)

    monkeypatch.setattr(MemoryStore, "optimise", slow)
    with served(gallery, ServiceSettings(workers=2)) as client, ThreadPoolExecutor(5) as pool:
        compacting = pool.submit(gallery.optimise)
        assert working.wait(30)
        said = {"same": [[0, 1]]}
        deciding = [pool.submit(client.post, "/api/decisions", json=said) for _ in range(3)]
        assert eventually(lambda: sum(one.done() for one in deciding) == 2)
        assert client.post("/api/search/stored", json={"ids": [0]}).status_code == 200
        gate.set()
        compacting.result()
        statuses = [one.result().status_code for one in deciding]
    assert sorted(statuses) == [200, 503, 503]


def test_sightings_tell_why(reader: TestClient, standing: Gallery) -> None:
    answer = reader.get("/api/crops/4/sightings").json()
    assert answer["label"] == 1
    why = {crop["id"]: crop["why"] for crop in answer["crops"]}
    assert why[4] == "query"
    assert why[3] == why[5] == "cluster"
    assert set(why.values()) <= {"query", "cluster", "found"}
    times = [crop["time"] for crop in answer["crops"]]
    assert times == sorted(times)
    assert reader.get("/api/crops/12/sightings").status_code == 404


def test_an_individual_is_deleted_with_everything_derived(
    client: TestClient, gallery: Gallery
) -> None:
    gallery.threshold = None
    assert client.delete("/api/crops/4/individual").json() == {"deleted": 3}
    left = [crop["id"] for crop in client.get("/api/crops").json()["crops"]]
    assert left == [0, 1, 2, 6, 7, 8, 9, 10, 11]
    assert len(list((gallery.path / "thumbnails").rglob("*.jpg"))) == 9
    assert 1 not in Individuals.of(gallery).sizes
    assert client.delete("/api/crops/4/individual").status_code == 404


CHANGES = [
    ("POST", "/api/crops", {"files": upload(picture())}),
    ("DELETE", "/api/crops/0", {}),
    ("DELETE", "/api/crops/0/individual", {}),
    ("POST", "/api/decisions", {"json": {"same": [[0, 1]]}}),
    ("POST", "/api/clusters/merge", {"json": {"labels": [0, 1]}}),
    ("POST", "/api/clusters/0/split", {"json": {"ids": [0]}}),
]


@pytest.mark.parametrize(("method", "address", "more"), CHANGES)
def test_a_read_only_service_changes_nothing(
    standing: Gallery, method: str, address: str, more: dict[str, Any]
) -> None:
    before = sorted(map(str, Path(standing.path).rglob("*")))
    with served(standing, ServiceSettings(read_only=True)) as client:
        refused = client.request(method, address, **more)
        assert refused.status_code == 403
        assert "read-only" in refused.json()["error"]
        assert client.get("/api/gallery").json()["read_only"] is True
        assert client.post("/api/search/stored", json={"ids": [0]}).status_code == 200
    assert sorted(map(str, Path(standing.path).rglob("*"))) == before
    assert standing.store.count() == 12


def test_the_gallery_is_told(reader: TestClient, standing: Gallery) -> None:
    assert standing.threshold is not None
    assert reader.get("/api/gallery").json() == {
        "name": "gallery",
        "rows": 12,
        "cameras": [{"name": "c1", "rows": 8}, {"name": "c2", "rows": 4}],
        "times": [10.0, 330.0],
        "threshold": {"similarity": 0.999, "far": standing.threshold.far, "notes": []},
        "thumbnails": "keep",
        "clusters": 4,
        "index": {"kind": "exact", "recall": None},
        "read_only": False,
    }


def test_times_follow_what_is_added(client: TestClient) -> None:
    assert client.get("/api/gallery").json()["times"] == [10.0, 330.0]
    client.post("/api/crops", files=upload(picture()), data={"time": "-5"})
    assert client.get("/api/gallery").json()["times"] == [-5.0, 330.0]


def test_a_store_that_fails_is_told_without_its_address(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*told: Any) -> None:
        raise StoreError("postgresql://user:secret@db does not answer")

    monkeypatch.setattr(MemoryStore, "rows", fail)
    refused = client.get("/api/crops/0")
    assert refused.status_code == 503
    assert "secret" not in refused.text
    assert refused.headers["retry-after"] == "5"
