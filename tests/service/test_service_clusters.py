from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from service_cases import picture, upload

from resight.gallery import Gallery, decide
from resight.gallery.clusters import Clusters, read_clusters, write_clusters


def relabel(gallery: Gallery, labels: list[int]) -> None:
    write_clusters(gallery.path, Clusters(read_clusters(gallery.path).crops, np.array(labels)))


def test_clusters_are_told(reader: TestClient) -> None:
    answer = reader.get("/api/clusters", params={"limit": 1}).json()
    assert answer["clusters"] == [
        {
            "label": 0,
            "size": 3,
            "cameras": {"c1": 2, "c2": 1},
            "cover": [0, 2, 1],
            "first": 10.0,
            "last": 30.0,
        }
    ]


@pytest.mark.parametrize(("order", "labels"), [("size", [9, 5, 2, 7]), ("cameras", [9, 7, 5, 2])])
@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_clusters_are_ordered_and_paged(
    client: TestClient, gallery: Gallery, order: str, labels: list[int], limit: int
) -> None:
    # c1 is 0, 1, 3, 4, 6, 7, 9, 10: of the clusters 9 (5), 5 (3), 2 (2), 7 (2) only 9 and 7 see c2
    relabel(gallery, [9, 9, 9, 5, 5, 9, 5, 2, 7, 7, 2, 9])
    seen: list[int] = []
    asked = {"order": order, "limit": limit}
    while True:
        answer = client.get("/api/clusters", params=asked).json()
        assert len(answer["clusters"]) <= limit
        seen += [cluster["label"] for cluster in answer["clusters"]]
        if answer["next"] is None:
            break
        asked["after"] = answer["next"]
    assert seen == labels


def test_a_cursor_outlives_the_cluster_that_it_names(client: TestClient, gallery: Gallery) -> None:
    first = client.get("/api/clusters", params={"limit": 2}).json()
    client.post("/api/clusters/merge", json={"labels": [0, 1]})
    rest = client.get("/api/clusters", params={"after": first["next"]}).json()["clusters"]
    assert [cluster["label"] for cluster in rest] == [2, 3]


@pytest.mark.parametrize("after", ["x", "1", "1_2_3", "1_x", "9" * 80, "-", "_"])
def test_what_is_no_cursor_is_refused(reader: TestClient, after: str) -> None:
    refused = reader.get("/api/clusters", params={"after": after})
    assert refused.status_code == 422
    assert refused.json()["error"].startswith("after: ")


def test_the_crops_of_a_cluster(reader: TestClient) -> None:
    first = reader.get("/api/clusters/2", params={"limit": 2}).json()
    rest = reader.get("/api/clusters/2", params={"after": first["next"]}).json()
    assert [crop["id"] for crop in first["crops"] + rest["crops"]] == [6, 7, 8]
    assert rest["next"] is None
    assert reader.get("/api/clusters/4").status_code == 404


def test_clusters_follow_deletions_and_replacements(client: TestClient, gallery: Gallery) -> None:
    client.get("/api/clusters")
    client.delete("/api/crops/0")
    form = {"source": "town", "path": "cam1/000_1.png", "camera": "c7"}
    new = client.post("/api/crops", files=upload(picture()), data=form).json()
    shown = client.get("/api/clusters").json()["clusters"][-1]
    assert (shown["label"], shown["cameras"]) == (0, {"c2": 1, "c7": 1})
    assert sorted(shown["cover"]) == [2, new["id"]]


def test_clusters_follow_what_others_add(client: TestClient, gallery: Gallery) -> None:
    assert client.get("/api/clusters").json()["clusters"][0]["cover"] == [0, 2, 1]
    rows = gallery.store.rows(np.array([2]))
    gallery.store.add(rows, gallery.store.vectors(np.array([2])))  # as another process replaces it
    assert client.get("/api/clusters").json()["clusters"][0]["cover"] == [0, 12, 1]


def test_an_error_of_the_gallery_is_no_mistake_of_who_asks(
    client: TestClient, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    from resight.errors import BusyError

    @contextmanager
    def busy() -> Any:
        raise BusyError(f"another process is writing to {gallery.path}: try again when it is done")
        yield

    monkeypatch.setattr(gallery, "writing", busy)
    for address, asked in (
        ("/api/clusters/0/split", {"ids": [0]}),
        ("/api/clusters/merge", {"labels": [0, 1]}),
        ("/api/decisions", {"same": [[0, 1]]}),
    ):
        refused = client.post(address, json=asked)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert refused.json() == {"error": "others are changing the gallery: try again"}


def test_a_gallery_without_clusters_has_none(client: TestClient, gallery: Gallery) -> None:
    relabel(gallery, [-1] * 12)
    for order in ("size", "cameras"):
        answer = client.get("/api/clusters", params={"order": order})
        assert answer.json() == {"clusters": [], "next": None}


def test_clusters_are_merged_and_split(client: TestClient) -> None:
    merged = client.post("/api/clusters/merge", json={"labels": [1, 2]})
    assert merged.json() == {"kept": 1}
    sizes = {c["size"]: c["label"] for c in client.get("/api/clusters").json()["clusters"]}
    assert sorted(sizes) == [3, 6]
    label = sizes[6]
    assert client.get("/api/crops/3").json()["label"] == label
    assert client.post(f"/api/clusters/{label}/split", json={"ids": [3, 4, 5]}).status_code == 200
    assert len(client.get("/api/clusters").json()["clusters"]) == 4
    kept = client.post("/api/clusters/0/split", json={"ids": [2]})
    assert kept.json() == {"kept": 2}
    labels = [crop["label"] for crop in client.get("/api/crops").json()["crops"][:3]]
    assert labels[0] == labels[1] != labels[2]


@pytest.mark.parametrize(
    ("address", "asked", "status"),
    [
        ("/api/clusters/merge", {"labels": [0, 9]}, 404),
        ("/api/clusters/merge", {"labels": [0]}, 422),
        ("/api/clusters/9/split", {"ids": [0]}, 404),
        ("/api/clusters/0/split", {"ids": [5]}, 422),
        ("/api/clusters/0/split", {"ids": [0, 1, 2]}, 422),
        ("/api/clusters/0/split", {"ids": []}, 422),
        ("/api/decisions", {"same": [[0, 99]]}, 404),
        ("/api/decisions", {"same": [[3, 3]]}, 422),
        ("/api/decisions", {"same": [[0, 1, 2]]}, 422),
        ("/api/decisions", {"same": [[0, True]]}, 422),
        ("/api/decisions", {"same": [["0", "1"]]}, 422),
        ("/api/decisions", {"Same": [[0, 1]]}, 422),
    ],
)
def test_decisions_that_cannot_be_are_refused(
    reader: TestClient, address: str, asked: dict[str, Any], status: int
) -> None:
    refused = reader.post(address, json=asked)
    assert refused.status_code == status
    assert refused.json()["error"]
    assert reader.get("/api/decisions").json() == {"decisions": [], "next": None}


def test_decisions_are_kept_listed_and_taken_back(client: TestClient) -> None:
    asked = {"same": [[0, 3], [3, 6]], "different": [[0, 9]]}
    assert client.post("/api/decisions", json=asked).json() == {"kept": 3}
    told = client.get("/api/decisions").json()["decisions"]
    assert [(one["a"], one["b"], one["same"]) for one in told] == [
        (0, 9, False),
        (3, 6, True),
        (0, 3, True),
    ]
    assert {one["by"] for one in told} == {"testclient"}
    assert client.post("/api/decisions", json={"forget": [[9, 0]]}).json() == {"kept": 1}
    first = client.get("/api/decisions", params={"limit": 1}).json()
    rest = client.get("/api/decisions", params={"after": first["next"]}).json()
    assert [one["b"] for one in first["decisions"] + rest["decisions"]] == [6, 3]
    assert rest["next"] is None


def test_pages_of_decisions_hold_while_newer_ones_come_and_go(client: TestClient) -> None:
    def told(**asked: int) -> tuple[list[int], int | None]:
        answer = client.get("/api/decisions", params=asked).json()
        return [one["b"] for one in answer["decisions"]], answer["next"]

    for other in range(1, 8):
        client.post("/api/decisions", json={"same": [[0, other]]})
    assert told(limit=3) == ([7, 6, 5], 4)
    client.post("/api/decisions", json={"forget": [[0, 6], [0, 7]], "same": [[0, 8]]})
    assert told(limit=3, after=4) == ([4, 3, 2], 1)
    assert told(limit=3, after=1) == ([1], None)
    assert told(after=0) == ([], None)
    assert told(after=99)[0] == [8, 5, 4, 3, 2, 1]


def test_a_contradiction_keeps_nothing_and_names_the_pair(
    client: TestClient, gallery: Gallery
) -> None:
    decide(gallery, different=[(0, 6)])
    refused = client.post("/api/decisions", json={"same": [[9, 10], [0, 3], [3, 6]]})
    assert refused.status_code == 409
    assert "cam1/000_0.png" in refused.json()["error"]
    assert len(client.get("/api/decisions").json()["decisions"]) == 1


def test_decisions_on_crops_that_left_the_gallery_have_no_id(
    client: TestClient, gallery: Gallery
) -> None:
    decide(gallery, same=[(0, 3)])
    gallery.store.delete(np.array([3]))
    assert client.get("/api/decisions").json()["decisions"][0]["b"] is None
