import re
from pathlib import Path

from fastapi.testclient import TestClient

TEXT = (Path(__file__).parents[2] / "docs" / "service.md").read_text()


def told() -> set[tuple[str, str]]:
    """Method and pattern of each curl line."""
    found = set()
    for line in re.findall(r"^curl .*$", TEXT, re.MULTILINE):
        address = re.search(r"\$U(/[a-z/0-9]*)", line)
        assert address is not None, line
        posts = " -F " in line or "--json" in line
        method = re.search(r"-X (\w+)", line)
        pattern = re.sub(r"/crops/\d+", "/crops/{crop_id}", address[1])
        pattern = re.sub(r"/clusters/\d+", "/clusters/{label}", pattern)
        found.add((method[1].lower() if method else "post" if posts else "get", pattern))
    return found


def test_every_address_is_told_with_a_curl_line(reader: TestClient) -> None:
    paths = reader.get("/api/openapi.json").json()["paths"]
    assert told() == {(method, path) for path, methods in paths.items() for method in methods}


def test_every_metric_is_told(reader: TestClient) -> None:
    names = set(re.findall(r"^# TYPE (resight_\w+) ", reader.get("/metrics").text, re.MULTILINE))
    names = {name.removesuffix("_created") for name in names} - {"resight_requests"}
    assert names == set(re.findall(r"resight_[a-z_]+", TEXT))


def test_lines_are_not_too_long() -> None:
    assert max(map(len, (line for line in TEXT.splitlines() if "|" not in line))) <= 120
