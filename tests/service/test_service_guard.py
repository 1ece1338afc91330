import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from service_cases import HERE, TOKEN, served

from resight.gallery import Gallery
from resight.service import ServiceSettings
from resight.service.sessions import Sessions

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def guarded(standing: Gallery) -> Iterator[TestClient]:
    """A client of a service that other machines reach."""
    settings = ServiceSettings(host="0.0.0.0", tokens={"anna": TOKEN, "ben": "b" * 16})
    with served(standing, settings, base_url="http://reid.example.org") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_cookies(guarded: TestClient) -> Iterator[None]:
    guarded.cookies.clear()
    return


def test_only_page_and_health_are_open(guarded: TestClient) -> None:
    schema = guarded.get("/api/openapi.json", headers=AUTHORIZED).json()
    addresses = [(method, path) for path, methods in schema["paths"].items() for method in methods]
    assert len(addresses) > 18
    for method, path in [*addresses, ("get", "/api/openapi.json"), ("get", "/nothing")]:
        answer = guarded.request(method, path.format(crop_id=0, label=0))
        if path in ("/health", "/api/session"):
            assert answer.status_code in (200, 204, 422), path
            continue
        assert answer.status_code == 401, path
        assert answer.json() == {"error": "this needs the service's token"}
        assert answer.headers["www-authenticate"] == "Bearer"
    assert guarded.get("/").status_code == 200
    assert guarded.get("/static/nothing").status_code == 404


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        ("Bearer " + "b" * 16, 200),
        ("Bearer " + "b" * 17, 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
        ("Bearer", 401),
        ("", 401),
        ("Bearer \xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9", 401),
    ],
)
def test_tokens_let_in(guarded: TestClient, told: str, status: int) -> None:
    answer = guarded.get("/api/gallery", headers={"Authorization": told.encode("latin-1")})
    assert answer.status_code == status


def test_a_token_in_the_address_lets_nobody_in(guarded: TestClient) -> None:
    assert guarded.get("/api/gallery", params={"token": TOKEN}).status_code == 401


def test_a_session_lets_a_browser_in_until_it_ends(guarded: TestClient) -> None:
    answer = guarded.post("/api/session", json={"token": TOKEN})
    assert answer.json() == {"name": "anna", "seconds": 43_200}
    cookie = answer.headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} <= set(cookie.split("; "))
    assert "secure" not in cookie
    assert TOKEN not in cookie
    assert guarded.get("/api/gallery").status_code == 200
    assert guarded.delete("/api/session").status_code == 204
    assert guarded.get("/api/gallery").status_code == 401


def test_cookies_are_secure_behind_tls(standing: Gallery) -> None:
    settings = ServiceSettings(tokens={"anna": TOKEN}, names=("reid.example.org",))
    with served(standing, settings, base_url="https://reid.example.org") as client:
        answer = client.post("/api/session", json={"token": TOKEN})
        assert "secure" in answer.headers["set-cookie"].lower().split("; ")


@pytest.mark.parametrize("token", ["", "x" * 16, TOKEN[:-1], TOKEN + "\0", "\ud800" * 20])
def test_wrong_tokens_start_no_session(guarded: TestClient, token: str) -> None:
    body = b'{"token": "%s"}' % token.encode("ascii", "backslashreplace").replace(b"\0", b"\\u0000")
    answer = guarded.post(
        "/api/session", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (401, 422)
    assert "set-cookie" not in answer.headers


def test_cookies_cannot_be_forged_or_outlive_their_token() -> None:
    sessions = Sessions({"anna": TOKEN, "ben": "b" * 16}, "resight-8000")
    good = sessions.start("anna", now=1000.0)
    name, until, signature = good.split(".")

    def who(cookie: str, now: float = 1000.0, known: Sessions = sessions) -> str | None:
        return known.who({"cookie": f"other=1; resight-8000={cookie}"}, now=now)

    assert who(good) == "anna"
    assert who(good, now=1000.0 + 12 * 3600) == "anna"
    assert who(good, now=1001.0 + 12 * 3600) is None
    later = f"{name}.{int(until) + 1}.{signature}"
    other = f"{sessions.start('ben', now=1000.0).split('.')[0]}.{until}.{signature}"
    for forged in (later, other, f"{name}.{until}.", f"{name}.{until}", name, "", "a.b.c", "..",
                   f"é.{until}.{signature}", f"{name}.{'9' * 5000}.{signature}", good + "0",
                   f"{name}.1_000_000.{signature}"):  # fmt: skip
        assert who(forged) is None, forged
    assert who(good, known=Sessions({"anna": TOKEN + "1"}, "resight-8000")) is None
    assert who(good, known=Sessions({"ben": TOKEN}, "resight-8000")) is None
    assert who(good, known=Sessions({"anna": TOKEN}, "resight-8001")) is None


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8000", 200),
        ("evil.example.com", 421),
        ("evil.example.com:8000", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("localhost@evil.example.com", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_a_local_service_goes_by_local_names(reader: TestClient, host: str, status: int) -> None:
    for path in ("/", "/api/gallery", "/health"):
        assert reader.get(path, headers={"Host": host}).status_code == status


def test_a_proxied_service_goes_by_its_name_too(standing: Gallery) -> None:
    settings = ServiceSettings(tokens={"anna": TOKEN}, names=("Reid.example.org",))
    with served(standing, settings, headers=AUTHORIZED) as client:
        for host in ("reid.example.org", "127.0.0.1:8000"):
            asked = {"Host": host, "Origin": "https://reid.example.org"}
            answer = client.post("/api/search/stored", json={"ids": [0]}, headers=asked)
            assert answer.status_code == 200
        assert client.get("/", headers={"Host": "other.example.org"}).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": HERE}, 200),
        ({"Origin": HERE, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://localhost:8000"}, 403),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": HERE}, 403),
    ],
)
def test_other_sites_pages_are_refused(
    reader: TestClient, headers: dict[str, str], status: int
) -> None:
    answer = reader.post("/api/search/stored", json={"ids": [0]}, headers=headers)
    assert answer.status_code == status
    assert reader.get("/api/crops", headers=headers).status_code == status
    assert reader.get("/", headers=headers).status_code == 200


def test_a_form_of_another_site_is_refused_before_its_body_is_read(reader: TestClient) -> None:
    kind = {"Origin": "https://evil.example.com", "Content-Type": "text/plain"}
    answer = reader.post("/api/decisions", content='{"same": [[0, 1]]}', headers=kind)
    assert answer.status_code == 403


def test_json_that_is_not_called_so_is_refused(reader: TestClient) -> None:
    kind = {"Content-Type": "text/plain"}
    answer = reader.post("/api/decisions", content='{"same": [[0, 1]]}', headers=kind)
    assert answer.status_code == 422


def test_answers_have_safe_headers(guarded: TestClient) -> None:
    for path in ("/", "/api/gallery", "/nothing", "/health"):
        headers = guarded.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-cache" if path == "/" else "no-store"
        assert "server" not in headers
        assert len(headers["x-request-id"]) == 12


def test_the_log_has_no_token_and_nothing_that_a_client_chose(
    guarded: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="resight"):
        guarded.get("/api/gallery?token=" + TOKEN, headers=AUTHORIZED)
        guarded.post("/api/session", json={"token": TOKEN})
        guarded.get("/evil%0d%0aline", headers={"X-Request-ID": "chosen"})
        guarded.request("EVIL", "/api/gallery", headers=AUTHORIZED)
    assert TOKEN not in caplog.text
    assert "evil" not in caplog.text.lower()
    assert "chosen" not in caplog.text
    assert "GET /api/gallery 200" in caplog.text
    assert "anna@testclient" in caplog.text


@pytest.mark.parametrize("folder", [".", "G"])
def test_only_the_gallerys_own_place_is_left_out_of_sentences(
    standing: Gallery, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "G").symlink_to(standing.path.resolve())
    monkeypatch.chdir(tmp_path if folder == "G" else standing.path)
    monkeypatch.setattr(standing, "path", Path(folder))
    with served(standing, ServiceSettings()) as client:
        told = client.post("/api/search", files={"image": b"no picture"}).json()["error"]
        assert told == "an uploaded picture is no JPEG, PNG, BMP or WebP file that can be read"
        assert client.get("/api/crops/99").json() == {"error": "the gallery has no crop 99"}
        told = client.get("/api/crops?camera=G.9").json()["error"]
        assert told == "the gallery has no camera 'G.9': it has 'c1', 'c2'"


def test_no_trace_gets_outside(
    standing: Gallery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Gallery, crop_id: int) -> bytes:
        raise RuntimeError(f"a secret at {Path(__file__)}")

    monkeypatch.setattr(Gallery, "thumbnail", fail)
    with served(standing, ServiceSettings()) as client:
        answer = client.get("/api/crops/0/thumbnail")
    request = answer.headers["x-request-id"]
    assert answer.status_code == 500
    assert answer.json() == {
        "error": f"something went wrong here; the log tells what under {request}"
    }
    assert f"request {request} failed" in caplog.text
    assert "a secret at" in caplog.text
