import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from service_cases import picture, served, upload

from resight.gallery import Filter, Gallery, Query, search
from resight.service import ServiceSettings


def ids(answer: dict[str, Any]) -> list[int]:
    return [hit["id"] for hit in answer["hits"]]


def test_an_uploaded_picture_is_searched_for(reader: TestClient, standing: Gallery) -> None:
    file = standing.path.parent / "town" / "cam2" / "001_0.png"
    answer = reader.post("/api/search", files=upload(file.read_bytes()), data={"k": "3"}).json()
    assert answer["hits"][0] == {
        "id": 5,
        "source": "town",
        "path": "cam2/001_0.png",
        "camera": "c2",
        "time": 130.0,
        "track": None,
        "label": 1,
        "thumbnail": "/api/crops/5/thumbnail",
        "similarity": pytest.approx(1.0, abs=1e-5),
        "accepted": True,
    }
    expected = search(standing, Query(pictures=(file,), k=3))
    assert ids(answer) == [hit.id for hit in expected.hits]
    assert answer["unknown"] is False
    assert answer["exact"] is True
    assert answer["reranked"] is False
    assert answer["milliseconds"] > 0


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
def test_several_pictures_are_one_query(reader: TestClient, standing: Gallery, kind: str) -> None:
    pictures = [picture(seed=seed, kind=kind) for seed in range(3)]
    answer = reader.post("/api/search", files=upload(*pictures), data={"rerank": "true"}).json()
    expected = search(standing, Query(pictures=tuple(pictures), rerank=True))
    assert ids(answer) == [hit.id for hit in expected.hits]
    assert answer["reranked"] is True


def test_stored_crops_are_searched_for_and_are_no_answers(
    reader: TestClient, standing: Gallery
) -> None:
    answer = reader.post("/api/search/stored", json={"ids": [0, 2], "k": 100}).json()
    expected = search(standing, Query(ids=(0, 2), k=100))
    assert ids(answer) == [hit.id for hit in expected.hits]
    assert sorted(ids(answer)) == [1, *range(3, 12)]
    told = [hit["similarity"] for hit in answer["hits"]]
    assert told == pytest.approx([hit.similarity for hit in expected.hits], abs=1e-6)


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"cameras": ["c2"]}, Filter(cameras=frozenset({"c2"}))),
        ({"not_cameras": ["c2"]}, Filter(without_cameras=frozenset({"c2"}))),
        ({"since": 120, "until": 220.0}, Filter(since=120.0, until=220.0)),
        ({"same_camera": False}, Filter(without_cameras=frozenset({"c1"}))),
    ],
)
def test_filters_hold(
    reader: TestClient, standing: Gallery, asked: dict[str, Any], where: Filter
) -> None:
    answer = reader.post("/api/search/stored", json={"ids": [0], **asked}).json()
    expected = search(standing, Query(ids=(0,), where=where))
    assert ids(answer) == [hit.id for hit in expected.hits]
    assert 0 < len(answer["hits"]) < 11


def test_filters_of_forms_hold(reader: TestClient) -> None:
    form = {"camera": ["c1", "c2"], "not_camera": "c1", "since": "100", "until": "200", "k": "9"}
    answer = reader.post("/api/search", files=upload(picture()), data=form).json()
    assert ids(answer) == [5]


def test_only_accepted_ones(reader: TestClient) -> None:
    everything = reader.post("/api/search/stored", json={"ids": [0], "k": 100}).json()
    some = reader.post(
        "/api/search/stored", json={"ids": [0], "k": 100, "accepted_only": True}
    ).json()
    assert ids(some) == [hit["id"] for hit in everything["hits"] if hit["accepted"]]
    assert len(some["hits"]) < 11


def test_without_a_threshold_nothing_is_accepted_or_unknown(gallery: Gallery) -> None:
    gallery.threshold = None
    with served(gallery, ServiceSettings()) as client:
        answer = client.post("/api/search/stored", json={"ids": [0]}).json()
        assert answer["unknown"] is None
        assert {hit["accepted"] for hit in answer["hits"]} == {None}
        refused = client.post("/api/search/stored", json={"ids": [0], "accepted_only": True})
    assert refused.status_code == 422
    assert refused.json() == {"error": "accepted_only: the gallery has no calibrated threshold"}


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ({"ids": [99]}, 404, "the gallery has no crop 99"),
        ({"ids": [0], "cameras": ["c3"]}, 422, "the gallery has no camera 'c3'"),
        ({"ids": [0], "k": 0}, 422, "k: Input should be greater than or equal to 1"),
        ({"ids": [0], "camera": ["c1"]}, 422, "camera: Extra inputs are not permitted"),
        ({"ids": []}, 422, "ids: List should have at least 1 item"),
    ],
)
def test_mistakes_are_told(
    reader: TestClient, asked: dict[str, Any], status: int, sentence: str
) -> None:
    refused = reader.post("/api/search/stored", json=asked)
    assert refused.status_code == status
    assert refused.json()["error"].startswith(sentence)


def test_an_empty_gallery_says_so(gallery: Gallery, client: TestClient) -> None:
    gallery.delete(np.arange(12))
    refused = client.post("/api/search", files=upload(picture()))
    assert refused.status_code == 409
    assert refused.json() == {"error": "the gallery holds no crops yet: add some"}


def test_searches_are_logged_where_that_is_asked_for(gallery: Gallery) -> None:
    gallery.change(thumbnails="keep", retention_days=None, log_searches=True)
    settings = ServiceSettings(tokens={"anna": "a" * 20})
    with served(gallery, settings) as client:
        client.headers["Authorization"] = "Bearer " + "a" * 20
        client.post("/api/search", files=upload(picture()), data={"k": "2"})
        client.post("/api/search/stored", json={"ids": [3], "cameras": ["c2"]})
        client.get("/api/crops/4/sightings")
    lines = Path(gallery.path / "searches.jsonl").read_text().splitlines()
    first, second, third = map(json.loads, lines)
    assert {line["by"] for line in (first, second, third)} == {"anna@testclient"}
    assert len(first["pictures"]) == 1
    assert len(first["answered"]) == 2
    assert (second["ids"], second["where"]) == ([3], {"cameras": ["c2"]})
    assert third["ids"] == [4]
    assert set(third["answered"]) >= {3, 4, 5}


def test_requests_at_once_get_the_answers_that_they_get_alone(reader: TestClient) -> None:
    asked = [{"ids": [row], "k": k, "cameras": cameras} for row in range(12) for k in (1, 7)
             for cameras in ([], ["c1"])]  # fmt: skip
    alone = [reader.post("/api/search/stored", json=one).json()["hits"] for one in asked]
    together: dict[int, Any] = {}
    start = threading.Barrier(8)

    def ask(first: int) -> None:
        start.wait()
        for place in range(first, len(asked), 8):
            together[place] = reader.post("/api/search/stored", json=asked[place]).json()["hits"]

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, hits in enumerate(alone):
        assert [hit["id"] for hit in together[place]] == [hit["id"] for hit in hits]
