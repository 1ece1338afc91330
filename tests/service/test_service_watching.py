import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from memory_store import MemoryStore
from service_cases import HERE, eventually, served

from resight.errors import ConfigError, StoreError
from resight.gallery import Gallery
from resight.service import ServiceSettings, create_app
from resight.service.page_files import read_page


def values(client: TestClient) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_health_follows_the_store(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.head("/health").status_code == 200

    def fail(self: MemoryStore) -> None:
        raise StoreError("postgresql://user:secret@db does not answer")

    monkeypatch.setattr(MemoryStore, "state", fail)
    answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.json() == {"error": "the store does not answer"}
    figures = values(client)
    assert figures["resight_store_up"] == 0
    assert figures["resight_crops"] != figures["resight_crops"]


def test_a_store_that_hangs_is_asked_once(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resight.service.watch.PATIENCE", 0.05)
    gate, calls = threading.Event(), []
    state = MemoryStore.state

    def hang(self: MemoryStore) -> Any:
        calls.append(1)
        assert gate.wait(30)
        return state(self)

    monkeypatch.setattr(MemoryStore, "state", hang)
    for _ in range(5):
        assert client.get("/health").status_code == 503
    assert len(calls) == 1
    gate.set()
    assert eventually(lambda: client.get("/health").status_code == 200)


def test_metrics_count_requests_by_route(client: TestClient) -> None:
    for path in ("/api/crops/1", "/api/crops/2", "/api/crops/77", "/secret", "/static/x"):
        client.get(path)
    client.post("/api/search/stored", json={"ids": [0]})
    client.request("EVIL", "/api/crops")
    figures = values(client)
    counted = {
        tuple(re.findall(r'"([^"]*)"', name)): value
        for name, value in figures.items()
        if name.startswith("resight_requests_total")
    }
    assert counted == {
        ("GET", "/api/crops/{crop_id}", "200"): 2,
        ("GET", "/api/crops/{crop_id}", "404"): 1,
        ("GET", "none", "404"): 1,
        ("GET", "/static/{name:path}", "404"): 1,
        ("POST", "/api/search/stored", "200"): 1,
        ("other", "/api/crops", "405"): 1,
    }
    assert figures['resight_request_seconds_count{method="GET",route="/api/crops/{crop_id}"}'] == 3
    assert figures['resight_batch_size_sum{work="search"}'] == 1
    assert figures["resight_crops"] == 12
    assert figures["resight_store_up"] == 1
    assert figures["resight_queue_length"] == 0
    assert figures["resight_requests_running"] == 1
    assert figures["process_resident_memory_bytes"] > 1e7


def test_each_application_counts_for_itself(standing: Gallery) -> None:
    for _ in range(2):
        with served(standing, ServiceSettings()) as client:
            client.get("/api/crops/1")
            figures = values(client)
            key = 'resight_requests_total{method="GET",route="/api/crops/{crop_id}",status="200"}'
            assert figures[key] == 1


def test_nothing_runs_on_when_it_ended(gallery: Gallery) -> None:
    own, before = gallery.store, set(threading.enumerate())
    for _ in range(3):
        with served(gallery, ServiceSettings()) as client:
            assert gallery.store is not own
            client.post("/api/search/stored", json={"ids": [0]})
            client.get("/health")
    assert gallery.store is own
    assert eventually(lambda: set(threading.enumerate()) <= before)


def test_the_page_is_served_with_its_files(standing: Gallery, tmp_path: Path) -> None:
    for name in ("index.html", "app.js", "style.css", "icons/a.svg", "notes.txt", "app.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    app = create_app(standing, ServiceSettings(), page=tmp_path)
    with TestClient(app, base_url=HERE) as client:
        index = client.get("/")
        assert (index.text, index.headers["content-type"]) == (
            "index.html",
            "text/html; charset=utf-8",
        )
        kinds = {
            "app.js": "text/javascript; charset=utf-8",
            "style.css": "text/css; charset=utf-8",
            "icons/a.svg": "image/svg+xml",
        }
        for name, kind in kinds.items():
            answer = client.get(f"/static/{name}")
            assert (answer.text, answer.headers["content-type"]) == (name, kind)
            assert answer.headers["cache-control"] == "no-cache"
        for name in ("notes.txt", "app.py", "none.js", "icons", "icons/../app.js/"):
            assert client.get(f"/static/{name}").status_code == 404
        tag = {"If-None-Match": index.headers["etag"]}
        assert client.get("/", headers=tag).status_code == 304
        assert client.get("/static/app.js", headers=tag).status_code == 200
        assert client.head("/").status_code == 200


def test_an_installation_without_the_page_says_so(standing: Gallery, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lacks index\.html, the page: install resight again"):
        create_app(standing, ServiceSettings(), page=tmp_path)


def test_the_page_is_installed() -> None:
    assert "index.html" in read_page()


def test_the_document_of_the_api_is_complete(reader: TestClient) -> None:
    schema = reader.get("/api/openapi.json").json()
    names = []
    for path, methods in schema["paths"].items():
        for method, told in methods.items():
            names.append(told["operationId"])
            good = [told["responses"][code] for code in told["responses"] if code.startswith("2")]
            assert len(good) == 1, path
            assert method == "delete" or "content" in good[0], path
            for content in good[0].get("content", {"text/plain": {}}).values():
                assert content.get("schema", {"$ref": ""}) != {}, (method, path)
            assert told["description"], path
            if not path.startswith("/api"):
                continue
            for code in ("401", "403", "421", "422", "429", "431", "500", "503"):
                answer = told["responses"][code]["content"]["application/json"]["schema"]
                assert answer == {"$ref": "#/components/schemas/Error"}
    assert len(names) == len(set(names)) == 20
    assert "HTTPValidationError" not in json.dumps(schema)


def test_the_document_tells_who_may_come_in(standing: Gallery, reader: TestClient) -> None:
    open_to_all = reader.get("/api/openapi.json").json()
    assert "securitySchemes" not in open_to_all["components"]
    tokens = {"anna": "a-token-of-the-tests-0123456789"}
    with served(standing, ServiceSettings(tokens=tokens)) as client:
        headers = {"Authorization": f"Bearer {tokens['anna']}"}
        document = client.get("/api/openapi.json", headers=headers).json()
        asked = [("get", "/api/gallery"), ("delete", "/api/crops/{crop_id}"), ("get", "/metrics")]
        for method, path in asked:
            told = document["paths"][path][method]["security"]
            assert told == [{"token": []}, {"session": []}]
        for method, path in (("post", "/api/session"), ("get", "/health")):
            assert "security" not in document["paths"][path][method]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/crops", "GET, POST"),
        ("PATCH", "/api/crops/0", "DELETE, GET"),
        ("GET", "/api/session", "DELETE, POST"),
        ("POST", "/health", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    reader: TestClient, method: str, path: str, allowed: str
) -> None:
    answer = reader.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_addresses_are_not_mended_by_what_a_client_says_of_itself(reader: TestClient) -> None:
    answer = reader.get("/api/crops/", follow_redirects=False)
    assert answer.status_code == 404
    assert "location" not in answer.headers


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/api/docs"])
def test_nothing_is_loaded_from_elsewhere(reader: TestClient, path: str) -> None:
    assert reader.get(path).status_code == 404
