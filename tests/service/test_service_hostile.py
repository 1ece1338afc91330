"""Whatever is sent, the service stays up, holds nothing of it, and says clearly why not."""

import json
from pathlib import Path

import pytest
from hostile_cases import CASES, Case
from processes import Server
from service_cases import eventually


def test_there_are_hundreds() -> None:
    assert len(CASES) > 400
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile_requests_are_refused_in_a_sentence(server: Server, case: Case) -> None:
    status, body = server.ask(case.method, case.path, *case.headers, body=case.body)
    assert status in case.expected, body[:500]
    told = json.loads(body) if b"Invalid HTTP request" not in body else {"error": "invalid"}
    assert list(told) == ["error"]
    assert 0 < len(told["error"]) < 700
    for secret in ("Traceback", 'File "', "/tmp", "site-packages", str(Path.home())):
        assert secret not in told["error"]


def test_they_leave_nothing_behind(server: Server) -> None:
    def send_all() -> None:
        for case in CASES[::4]:
            server.ask(case.method, case.path, *case.headers, body=case.body)

    def held() -> tuple[int, int]:
        assert server.ask("GET", "/health")[0] == 200
        return server.held()

    send_all()
    before, memory = held(), server.memory()
    send_all()
    assert eventually(lambda: max(a - b for a, b in zip(held(), before, strict=True)) <= 1)
    assert server.memory() < memory + (64 << 20)
    assert not server.temporary()
    assert json.loads(server.ask("GET", "/api/gallery")[1])["rows"] == 12
    log = server.log.read_text()
    assert "Traceback" not in log
    for line in log.splitlines():
        assert line.startswith(("INFO:", "WARNING:", "ERROR:")), line
