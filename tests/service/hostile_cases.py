"""More than 200 requests that mean harm or make no sense, and what may be answered to them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_from_bytes

from hostile_uploads import SQL, Case, forms, pictures

JSON = "Content-Type: application/json"
TRAVERSAL = "..%2f..%2f..%2fetc%2fpasswd"


def quoted(text: str | bytes) -> str:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return quote_from_bytes(data, safe="")


NO_IDS = (
    "-1", "-9223372036854775809", str(2**63), str(10**30), "1.5", "1e3", "nan", "inf", "-inf",
    "0x10", "true", "null", "[]", "{}", "99999999", SQL, "1 OR 1=1", "1\0", "\0",
    "\r\nSet-Cookie: x=1", "\ud800", b"\xff\xfe", "../../etc/passwd", "1/../2", "%00",
    "${7*7}", "<script>", "9" * 5000,
)  # fmt: skip


def addresses() -> Iterator[Case]:
    """Ids and labels that are none."""
    places = (
        ("GET", "/api/crops/{}"),
        ("DELETE", "/api/crops/{}"),
        ("GET", "/api/crops/{}/thumbnail"),
        ("GET", "/api/crops/{}/sightings"),
        ("GET", "/api/clusters/{}"),
    )
    for method, pattern in places:
        for number, told in enumerate(NO_IDS):
            expected = frozenset({404, 405, 422})
            path = pattern.format(quoted(told))
            yield Case(f"{method} {pattern} {number}", method, path, expected=expected)


def files() -> Iterator[Case]:
    """Ways out of the page's folder, and methods that are not taken."""
    for told in (
        "/static/../app.py", f"/static/{TRAVERSAL}", "/static/%2e%2e/%2e%2e/app.py",
        "/static/..%5c..%5capp.py", "/static//etc/passwd", "/static/%2fetc%2fpasswd",
        "/static/index.html%00.js", "/static/", "//etc/passwd", "/../../etc/passwd",
        "/static/....//....//etc/passwd", "/.git/config", "/api/../../etc/passwd",
        "/static/index.html/",
        "/api/docs", "/docs", "/openapi.json", "/redoc", "/static/" + "a/" * 3000,
    ):  # fmt: skip
        yield Case(f"file {told[:40]}", "GET", told, expected=frozenset({404}))
    for method in ("PUT", "PATCH", "TRACE", "PROPFIND", "EVIL"):
        for path in ("/", "/api/crops", "/api/crops/0", "/api/search"):
            yield Case(f"{method} {path}", method, path, expected=frozenset({405}))


def listings() -> Iterator[Case]:
    """Lists that cannot be given."""
    for told in (
        "limit=0", "limit=-1", "limit=1001", f"limit={10**30}", "limit=nan", "limit=", "after=-2",
        f"after={2**64}", "since=nan", "since=inf", "until=-inf", "since=yesterday", "since=1e999",
        "camera=none", f"camera={quoted(SQL)}", "camera=%00", "camera=c1%0d%0aX:1", "camera=%ff",
        "camera=" + "a" * 2000, "&".join(["camera=c1"] * 201), "cameras=c1", "limit=1;limit=2",
        "limit[]=1", "limit[$gt]=1", "__proto__=1", "after=0x1",
    ):  # fmt: skip
        yield Case(f"list {told[:30]}", "GET", f"/api/crops?{told}", expected=frozenset({422}))
    for told in (
        "order=name",
        "limit=201",
        "after=1",
        "after=a_b",
        "after=" + "1_" * 40,
        "after=%00",
    ):
        yield Case(
            f"clusters {told[:30]}", "GET", f"/api/clusters?{told}", expected=frozenset({422})
        )


def documents() -> Iterator[Case]:
    """JSON that is none, or says what cannot be."""
    broken: tuple[bytes, ...] = (
        b"", b"{", b"[", b"]", b'"', b"nul", b"{'ids': [0]}", b'{"ids": [0],}', b"\xff\xfe{}",
        b"\0",
        b'\xef\xbb\xbf{"ids": [0]}x', b"[" * 100_000, b'{"ids":' * 20_000,
        b'{"ids": [' + b"9" * 5000 + b"]}",
        b'{"ids": [0], "cameras": ["' + b"\xff" * 10 + b'"]}', gzip.compress(b'{"ids": [0]}'),
    )  # fmt: skip
    for number, body in enumerate(broken):
        expected = frozenset({400, 422})
        yield Case(f"json {number}", "POST", "/api/search/stored", (JSON,), body, expected)
    wrong: tuple[Any, ...] = (
        None, 0, "x", [], [0], {}, {"ids": None}, {"ids": 0}, {"ids": "0"}, {"ids": ["0"]},
        {"ids": [True]}, {"ids": [1.0]}, {"ids": [-1]}, {"ids": [2**63]}, {"ids": [10**30]},
        {"ids": [float("nan")]}, {"ids": [float("inf")]}, {"ids": [[0]]}, {"ids": [{}]},
        {"ids": []}, {"ids": [0] * 9}, {"ids": list(range(100_000))}, {"ids": [99]},
        {"ids": [0], "k": 0}, {"ids": [0], "k": -5}, {"ids": [0], "k": 10**30},
        {"ids": [0], "k": 1001}, {"ids": [0], "k": "10"}, {"ids": [0], "k": 1.5},
        {"ids": [0], "k": None}, {"ids": [0], "k": float("nan")}, {"ids": [0], "k": True},
        {"ids": [0], "since": float("nan")}, {"ids": [0], "until": float("inf")},
        {"ids": [0], "since": "now"}, {"ids": [0], "rerank": "yes"}, {"ids": [0], "rerank": 1},
        {"ids": [0], "cameras": "c1"}, {"ids": [0], "cameras": [SQL]},
        {"ids": [0], "cameras": ["\0"]}, {"ids": [0], "cameras": ["\ud800"]},
        {"ids": [0], "cameras": ["c1\r\nX: 1"]}, {"ids": [0], "cameras": ["a" * 2000]},
        {"ids": [0], "cameras": ["c1"] * 201}, {"ids": [0], "camera": ["c1"]},
        {"ids": [0], "\ud800": 1}, {"ids": [0], "__proto__": {}}, {"ids": [0], "x" * 10_000: 1},
    )  # fmt: skip
    for number, value in enumerate(wrong):
        body = json.dumps(value).encode()
        expected = frozenset({404, 413, 422})
        yield Case(f"search {number}", "POST", "/api/search/stored", (JSON,), body, expected)
    for number, value in enumerate(
        (None, [], {"same": [0, 1]}, {"same": [[0]]}, {"same": [[0, 1, 2]]}, {"same": [[0, 0]]},
         {"same": [[0, -1]]}, {"same": [[0, 10**30]]}, {"same": [[0, 99]]}, {"same": [[0, "1"]]},
         {"same": [[0, 1]] * 1001}, {"other": [[0, 1]]}, {"forget": [[float("nan"), 0]]})
    ):  # fmt: skip
        body = json.dumps(value).encode()
        expected = frozenset({404, 413, 422})
        yield Case(f"decision {number}", "POST", "/api/decisions", (JSON,), body, expected)
    for path in ("/api/clusters/merge", "/api/clusters/0/split", "/api/session"):
        for number, value in enumerate(
            (None, {}, {"labels": [0, 99]}, {"ids": [99]}, {"token": 5})
        ):
            body = json.dumps(value).encode()
            yield Case(f"{path} {number}", "POST", path, (JSON,), body)
    good = b'{"ids": [0]}'
    for kind in (
        "text/plain",
        "application/xml",
        "multipart/form-data",
        "",
        "application/",
        "\x01",
    ):
        headers = (f"Content-Type: {kind}",) if kind else ()
        yield Case(f"type {kind!r}", "POST", "/api/search/stored", headers, good)
    large = b'{"ids": [0], "x": "' + b"a" * 2_000_000 + b'"}'
    yield Case("large json", "POST", "/api/search/stored", (JSON,), large, frozenset({413}))


def strangers() -> Iterator[Case]:
    """Requests of other sites' pages."""
    for path in ("/api/gallery", "/api/crops/0/thumbnail"):
        for header in ("Origin: https://evil.example.com", "Origin: null",
                       "Sec-Fetch-Site: cross-site",
                       "Origin: http://127.0.0.1.evil.example.com"):  # fmt: skip
            yield Case(f"{header} {path}", "GET", path, (header,), expected=frozenset({403}))
    head = ("X: " + "y" * 40_000,)
    yield Case("long head", "GET", "/", head, expected=frozenset({400, 431}))
    yield Case("long address", "GET", "/?" + "y" * 40_000, expected=frozenset({400, 431}))


CASES = [
    case
    for kind in (addresses, files, listings, documents, forms, pictures, strangers)
    for case in kind()
]
