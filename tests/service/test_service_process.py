import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from processes import Server, answer_of
from service_cases import eventually, picture

PATIENCE = 1.0
MOST = 200_000


@pytest.fixture(scope="module", autouse=True)
def starting(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two more processes, which start while others are tested; to be stopped in 20 s and in 1 s."""
    folders = [tmp_path_factory.mktemp("starting") for _ in range(2)]
    servers = [
        Server.start(stored, folder, patience=PATIENCE, grace=grace)
        for folder, grace in zip(folders, (20.0, 1.0), strict=True)
    ]
    yield servers
    for server in servers:
        server.close()


def form(data: bytes, boundary: str = "edge") -> tuple[str, bytes]:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    return f"Content-Type: multipart/form-data; boundary={boundary}", body


def test_it_answers(server: Server) -> None:
    assert server.ask("GET", "/health") == (200, b'{"status":"ok"}')
    status, body = server.search()
    assert status == 200
    assert len(json.loads(body)["hits"]) == 10
    kind, upload = form(picture())
    assert server.ask("POST", "/api/search", kind, body=upload)[0] == 200


@pytest.mark.parametrize(
    "sent", [b"", b"POST /api/se", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "]
)
def test_heads_that_do_not_come_are_given_up(server: Server, sent: bytes) -> None:
    started = time.monotonic()
    with server.connect() as connection:
        connection.sendall(sent)
        assert answer_of(connection)[0] == 408
    assert PATIENCE * 0.9 < time.monotonic() - started < 15


def test_bodies_that_stop_are_given_up(server: Server) -> None:
    kind, body = form(picture())
    started = time.monotonic()
    with server.connect() as connection:
        length = f"Content-Length: {len(body)}"
        connection.sendall(server.head("POST", "/api/search", kind, length) + body[:-20])
        status, told = answer_of(connection)
    assert status == 408
    assert json.loads(told) == {"error": "the request arrives too slowly: send it again"}
    assert PATIENCE * 0.9 < time.monotonic() - started < 15


def test_bodies_that_trickle_are_given_up(server: Server) -> None:
    kind, body = form(picture())
    with server.connect() as connection:
        length = f"Content-Length: {len(body)}"
        connection.sendall(server.head("POST", "/api/search", kind, length))
        connection.settimeout(0.05)
        started = time.monotonic()
        told = b""
        for place in range(len(body)):  # a byte every 0.05 s is never idle, but too slow
            try:
                connection.sendall(body[place : place + 1])
                told = connection.recv(65536)
                break
            except TimeoutError:
                continue
    assert told.startswith(b"HTTP/1.1 408")
    assert PATIENCE * 0.9 < time.monotonic() - started < 15


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("times", [1.2, 10])
def test_bodies_that_are_too_large_are_refused(server: Server, chunked: bool, times: float) -> None:
    kind, body = form(bytes(int(MOST * times)))
    with server.connect() as connection:
        how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        connection.sendall(server.head("POST", "/api/search", kind, how, "Connection: close"))
        try:
            for at in range(0, len(body), 10_000):
                part = body[at : at + 10_000]
                connection.sendall(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
            if chunked:
                connection.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            assert times > 2
            return
        status, told = answer_of(connection)
    assert status == 413 or times > 2
    if status:
        assert json.loads(told)["error"] == "the request has more than 200,000 bytes: send less"


def test_an_honest_client_that_asks_first_is_refused_at_once(server: Server) -> None:
    kind, body = form(bytes(2 * MOST))
    head = server.head(
        "POST", "/api/search", kind, f"Content-Length: {len(body)}", "Expect: 100-continue"
    )
    with server.connect() as connection:
        connection.sendall(head)
        started = time.monotonic()
        assert answer_of(connection)[0] == 413
        assert time.monotonic() - started < PATIENCE


def test_a_full_queue_refuses_and_empties(server: Server) -> None:
    server.gate.touch()
    answers: list[int] = []

    def ask() -> None:
        answers.append(server.search()[0])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: b"_running 4.0" in server.ask("GET", "/metrics")[1])
    with server.connect() as connection:
        connection.sendall(server.head("GET", "/api/crops/0", "Connection: close"))
        told = connection.recv(65536)
    assert told.startswith(b"HTTP/1.1 429")
    assert b"\r\nretry-after: 1\r\n" in told
    assert server.ask("GET", "/health")[0] == 200
    assert server.ask("GET", "/")[0] == 200
    metrics = server.ask("GET", "/metrics")[1].decode()
    assert "\nresight_queue_length 2.0" in metrics
    server.gate.unlink()
    for thread in threads:
        thread.join(30)
    assert answers == [200, 200, 200]
    assert server.search()[0] == 200


def test_who_left_the_queue_is_not_worked_for(server: Server) -> None:
    server.gate.touch()
    body = json.dumps({"ids": [1]}).encode()
    kind = "Content-Type: application/json"
    sent = server.head("POST", "/api/search/stored", kind, f"Content-Length: {len(body)}") + body
    connections = [server.connect() for _ in range(3)]
    for connection in connections:
        connection.sendall(sent)
    assert eventually(lambda: b"queue_length 2.0" in server.ask("GET", "/metrics")[1])
    for connection in connections:
        connection.close()
    assert eventually(lambda: b"queue_length 0.0" in server.ask("GET", "/metrics")[1])
    assert b'route="/api/search/stored",status="499"} 2.0' in server.ask("GET", "/metrics")[1]
    server.gate.unlink()
    assert server.search()[0] == 200


def test_who_does_not_read_is_cut_off(server: Server) -> None:
    before = server.held()[0]
    one = server.head("GET", "/static/parts.css")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.settimeout(1)
        with suppress(TimeoutError):
            connection.sendall(2000 * one)
        assert eventually(lambda: server.held()[0] == before, seconds=30)
    assert "Traceback" not in server.log.read_text()


def test_strangers_take_no_places(server: Server) -> None:
    head = server.head("POST", "/api/session", "Content-Length: 3000")
    connections = [server.connect() for _ in range(6)]
    for connection in connections:
        connection.sendall(head + b"{")
    assert eventually(lambda: b"_running 7.0" in server.ask("GET", "/metrics")[1])
    assert server.ask("GET", "/api/crops/0")[0] == 200
    for connection in connections:
        connection.close()


def test_pipelined_requests_are_answered_in_turn(server: Server) -> None:
    with server.connect() as connection:
        one = server.head("GET", "/api/crops/0")
        connection.sendall(one + one + server.head("GET", "/health", "Connection: close"))
        status, rest = answer_of(connection)
    assert status == 200
    assert rest.count(b"HTTP/1.1 200") == 2


HEADS = [
    b"\x00\x01\x02\x03\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /a\x00b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\r\n b\x00\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nNo colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    b"POST /api/crops HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/crops HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1e3\r\n\r\n",
    b"POST /api/crops HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\n",
    b"POST /api/crops HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
    b"POST /api/crops HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"POST /api/crops HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"POST /api/crops HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"f" * 40
    + b"\r\n",
    b"GET http://evil/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"CONNECT evil:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /api/gallery HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\nOrigin: http://evil\r\n\r\n",
]


@pytest.mark.parametrize("sent", HEADS, ids=range(len(HEADS)))
def test_what_is_no_request_is_refused(server: Server, sent: bytes) -> None:
    with server.connect() as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(1)
        except (BrokenPipeError, ConnectionResetError):
            pass
        status, _ = answer_of(connection)
    assert 400 <= status < 500 or (status == 0 and len(sent) > 60_000)
    assert server.ask("GET", "/health")[0] == 200


def test_rudeness_leaks_nothing(server: Server) -> None:
    kind, body = form(picture())
    length = f"Content-Length: {len(body)}"

    def be_rude() -> None:
        for sent in HEADS[:10]:
            with server.connect() as connection:
                connection.sendall(sent)
        for end in (0, 10, 100, len(body) - 1):
            with server.connect() as connection:
                head = server.head("POST", "/api/search", kind, length)
                connection.sendall(head + body[:end])
        large = form(picture(150, 200))[1]  # is spooled, and in pieces
        with server.connect() as connection:
            more = f"Content-Length: {len(large)}"
            connection.sendall(server.head("POST", "/api/search", kind, more) + large[:-9])

    be_rude()
    assert eventually(lambda: server.ask("GET", "/api/crops/0")[0] == 200)
    before = server.held()
    for _ in range(5):
        be_rude()
    assert eventually(lambda: max(a - b for a, b in zip(server.held(), before, strict=True)) <= 1)
    assert "Traceback" not in server.log.read_text()
    assert not server.temporary()


def test_a_signal_lets_running_requests_finish(starting: list[Server]) -> None:
    server = starting[0]
    try:
        server.gate.touch()
        answers: list[tuple[int, bytes]] = []
        asking = threading.Thread(target=lambda: answers.append(server.search()))
        asking.start()
        idle = server.connect()
        assert eventually(lambda: b"_running 2.0" in server.ask("GET", "/metrics")[1])
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: _is_refused(server))
        assert server.process.poll() is None
        server.gate.unlink()
        asking.join(30)
        assert answers[0][0] == 200
        assert server.process.wait(30) == 0
        idle.close()
    finally:
        assert server.close() == "finished\n"


def test_a_signal_ends_it_also_when_requests_hang(starting: list[Server]) -> None:
    server = starting[1]
    try:
        server.gate.touch()
        answers: list[tuple[int, bytes]] = []
        asking = threading.Thread(target=lambda: answers.append(server.search()))
        asking.start()
        assert eventually(lambda: b"running 2.0" in server.ask("GET", "/metrics")[1])
        server.process.send_signal(signal.SIGINT)
        assert server.process.stdout is not None
        assert server.process.stdout.readline() == b"unfinished\n"
        asking.join(30)
        assert answers[0][0] in (0, 503)
        assert "Traceback" not in server.log.read_text()
    finally:
        server.close()


def _is_refused(server: Server) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False
