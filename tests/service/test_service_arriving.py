import asyncio
import io
import time
from collections.abc import MutableMapping
from typing import Any

import anyio.to_thread
import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from service_cases import picture, served, upload
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resight.gallery import Gallery
from resight.service import ServiceSettings
from resight.service.admitting import Admission
from resight.service.arriving import Arriving
from resight.service.errors import refusal

SETTINGS = ServiceSettings(patience=0.2, max_upload=2000, workers=1, queue=1)
Pieces = list[bytes | float]


class Client:
    """Sends pieces of a body and waits between them; then it listens."""

    def __init__(self, pieces: Pieces, *, ends: bool = True) -> None:
        self.pieces, self.ends = list(pieces), ends
        self.answers: list[MutableMapping[str, Any]] = []

    async def receive(self) -> Message:
        while self.pieces:
            piece = self.pieces.pop(0)
            if isinstance(piece, bytes):
                more = bool(self.pieces) or not self.ends
                return {"type": "http.request", "body": piece, "more_body": more}
            await asyncio.sleep(piece)
        await asyncio.sleep(60)
        raise AssertionError("nobody waits that long")

    async def send(self, message: Message) -> None:
        self.answers.append(message)

    @property
    def status(self) -> int:
        return int(self.answers[0]["status"])

    @property
    def closes(self) -> bool:
        return (b"connection", b"close") in self.answers[0]["headers"]


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the number of bytes of the body."""
    size, more = 0, True
    try:
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        answer = refusal(200, str(size))
    except HTTPException as error:
        answer = refusal(error.status_code, error.detail)
    await answer(scope, receive, send)


async def read_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await refusal(401, "no")(scope, receive, send)


def sent(
    client: Client, *headers: tuple[bytes, bytes], app: ASGIApp = read_all, form: bool = True
) -> Client:
    kind = b"multipart/form-data; boundary=x" if form else b"application/json"
    scope = {"type": "http", "path": "/api/search", "headers": [(b"content-type", kind), *headers]}
    asyncio.run(Arriving(app, settings=SETTINGS)(scope, client.receive, client.send))
    return client


CHUNKED = (b"transfer-encoding", b"chunked")


def length(n: int) -> tuple[bytes, bytes]:
    return b"content-length", str(n).encode()


def test_bodies_within_bounds_arrive() -> None:
    client = sent(Client([b"a" * 1000, 0.1, b"b" * 1000]), CHUNKED)
    assert (client.status, client.closes) == (200, False)
    assert client.answers[1]["body"] == b'{"error": "2000"}'


def test_what_is_too_large_is_refused_when_it_is() -> None:
    client = sent(Client([b"a" * 1000, b"b" * 1001]), CHUNKED)
    assert (client.status, client.closes) == (413, False)


def test_what_says_that_it_is_too_large_is_refused_unread() -> None:
    client = sent(Client([b"a"], ends=False), length(2001), (b"expect", b"100-continue"))
    assert (client.status, client.closes) == (413, True)
    assert client.pieces == [b"a"]


def test_a_length_that_is_too_small_a_number_helps_nobody() -> None:
    client = sent(Client([b"a" * 2001]), length(1))
    assert client.status == 413


def test_the_rest_of_what_is_too_large_is_thrown_away() -> None:
    client = sent(Client([b"a" * 3000, b"b" * 500, b"c" * 500]), length(4000))
    assert (client.status, client.closes) == (413, False)
    assert not client.pieces


def test_but_not_all_of_what_is_far_too_large() -> None:
    client = sent(Client([b"a" * 3000] * 10), length(30_000))
    assert (client.status, client.closes) == (413, True)
    assert len(client.pieces) > 5


def test_json_is_bounded_by_a_megabyte() -> None:
    large = ServiceSettings(max_upload=8 << 20)

    async def send(size: int) -> int:
        client = Client([bytes(size)])
        scope = {
            "type": "http",
            "path": "/api/search",
            "headers": [CHUNKED, (b"content-type", b"application/json")],
        }
        await Arriving(read_all, settings=large)(scope, client.receive, client.send)
        return client.status

    assert asyncio.run(send(1 << 20)) == 200
    assert asyncio.run(send((1 << 20) + 1)) == 413


@pytest.mark.parametrize("pieces", [[5.0], [b"a", 5.0], [0.1, b"a", 5.0]])
def test_what_does_not_come_is_given_up(pieces: Pieces) -> None:
    client = sent(Client(pieces), CHUNKED)
    assert (client.status, client.closes) == (408, True)


def test_what_trickles_is_given_up() -> None:
    pieces: Pieces = [piece for _ in range(100) for piece in (b"a", 0.02)]
    client = sent(Client(pieces), CHUNKED)
    assert (client.status, client.closes) == (408, True)
    assert len(client.pieces) > 150


def test_an_early_answer_waits_for_the_body_within_bounds() -> None:
    client = sent(Client([b"a" * 100, 0.05, b"b" * 100]), length(200), app=read_nothing)
    assert (client.status, client.closes) == (401, False)
    client = sent(Client([b"a" * 100, 5.0]), length(200), app=read_nothing)
    assert (client.status, client.closes) == (401, True)


def test_without_a_body_nothing_is_waited_for() -> None:
    for headers in ([], [length(0)]):
        client = sent(Client([]), *headers, app=read_nothing)
        assert (client.status, client.closes) == (401, False)


def test_a_client_that_leaves_is_no_error() -> None:
    async def leave() -> Message:
        return {"type": "http.disconnect"}

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.disconnect"
        await refusal(400, "left")(scope, receive, send)

    client = Client([])
    scope = {"type": "http", "path": "/api/search", "headers": [length(5)]}
    asyncio.run(Arriving(read, settings=SETTINGS)(scope, leave, client.send))
    assert client.status == 400


def login(size: int) -> int:
    client = Client([bytes(size)])
    scope = {"type": "http", "path": "/api/session", "headers": [CHUNKED]}
    asyncio.run(Arriving(read_all, settings=ServiceSettings())(scope, client.receive, client.send))
    return client.status


def test_strangers_can_send_little() -> None:
    assert (login(4096), login(4097)) == (200, 413)


class Leaving:
    """Sends a body, if it has one, and leaves when told to."""

    def __init__(self, body: bytes | None) -> None:
        self.headers = [] if body is None else [length(len(body))]
        self.messages = [{"type": "http.request", "body": body or b"", "more_body": False}]
        self.leave = asyncio.Event()
        self.answers: list[MutableMapping[str, Any]] = []

    async def receive(self) -> MutableMapping[str, Any]:
        if self.messages:
            return self.messages.pop()
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.answers.append(message)


@pytest.mark.parametrize("body", [None, b"", b"abc"])
@pytest.mark.parametrize("reads", [True, False])
def test_who_leaves_is_not_worked_for(body: bytes | None, reads: bool) -> None:
    async def run() -> tuple[list[bytes], bool, list[int]]:
        client, read, ended = Leaving(body), [], False

        async def wait(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal ended
            if reads:
                read.append((await receive())["body"])
            try:
                client.leave.set()
                await asyncio.sleep(60)
            finally:
                ended = True

        scope = {"type": "http", "path": "/api/search/stored", "headers": client.headers}
        async with asyncio.timeout(5 if reads or not body else 0.1):
            await Arriving(wait, settings=SETTINGS)(scope, client.receive, client.send)
        return read, ended, [one["status"] for one in client.answers if "status" in one]

    if body and not reads:  # what is not read cannot be known to end
        with pytest.raises(TimeoutError):
            asyncio.run(run())
        return
    assert asyncio.run(run()) == ([body or b""] if reads else [], True, [499])


def test_threads_that_work_for_who_left_are_not_abandoned() -> None:
    async def run() -> list[str]:
        client, told = Leaving(None), []
        loop = asyncio.get_running_loop()

        def work() -> None:
            loop.call_soon_threadsafe(client.leave.set)
            time.sleep(0.2)
            told.append("worked")

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await anyio.to_thread.run_sync(work)
            await asyncio.sleep(0)
            told.append("went on")

        scope = {"type": "http", "path": "/api/crops", "headers": []}
        await Arriving(answer, settings=SETTINGS)(scope, client.receive, client.send)
        return told

    assert asyncio.run(run()) == ["worked"]


def test_who_leaves_after_the_answer_began_is_no_matter() -> None:
    async def run() -> list[int]:
        client = Leaving(None)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await refusal(200, "")(scope, receive, send)
            client.leave.set()
            await asyncio.sleep(0.05)
            client.answers.append({"status": 1})

        scope = {"type": "http", "path": "/api/crops", "headers": []}
        await Arriving(answer, settings=SETTINGS)(scope, client.receive, client.send)
        return [one["status"] for one in client.answers if "status" in one]

    assert asyncio.run(run()) == [200, 1]


def test_places_are_bounded_and_given_back() -> None:
    async def run() -> list[int]:
        gate = asyncio.Event()

        async def work(scope: Scope, receive: Receive, send: Send) -> None:
            await gate.wait()
            if scope["path"] == "/api/fails":
                raise RuntimeError
            await refusal(200, "")(scope, receive, send)

        app = Admission(work, settings=SETTINGS)

        async def ask(path: str) -> Client:
            client = Client([])
            await app({"type": "http", "path": path}, client.receive, client.send)
            return client

        paths = ("/api/fails", "/api/a", "/static/x", "/api/session")
        asking = [asyncio.create_task(ask(path)) for path in paths]
        await asyncio.sleep(0.01)
        refused = await ask("/api/b")
        assert (b"retry-after", b"1") in refused.answers[0]["headers"]
        gate.set()
        first, *others = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(first, RuntimeError)
        again = [await ask("/api/c") for _ in range(5)]
        clients = [one for one in (*others, refused, *again) if isinstance(one, Client)]
        return [client.status for client in clients]

    assert asyncio.run(run()) == [200, 200, 200, 429, 200, 200, 200, 200, 200]


@pytest.mark.parametrize(
    ("size", "status"), [((70, 70), 200), ((71, 71), 413), ((5000, 1), 200), ((1, 5001), 413)]
)
def test_pictures_are_bounded_in_pixels(
    standing: Gallery, size: tuple[int, int], status: int
) -> None:
    with served(standing, ServiceSettings(max_pixels=5000)) as client:
        for kind in ("PNG", "BMP", "JPEG", "WEBP"):
            answer = client.post("/api/search", files=upload(picture(*size, kind=kind)))
            assert answer.status_code == status, kind
            if status == 413:
                assert f"{size[0]} x {size[1]} pixels, more than 5,000" in answer.json()["error"]


def test_uploads_are_bounded_in_bytes(standing: Gallery) -> None:
    with served(standing, ServiceSettings(max_upload=20_000)) as client:
        assert client.post("/api/search", files=upload(picture(60, 60))).status_code == 200
        refused = client.post("/api/search", files=upload(picture(120, 120)))
    assert refused.status_code == 413
    assert refused.json() == {"error": "the request has more than 20,000 bytes: send less"}


def test_large_pictures_are_spooled_and_found(reader: TestClient) -> None:
    data = picture(1500, 1200)
    assert len(data) > 5_000_000
    assert reader.post("/api/search", files=upload(data)).status_code == 200


def test_files_are_counted(reader: TestClient) -> None:
    assert reader.post("/api/search", files=upload(*[picture()] * 8)).status_code == 200
    refused = reader.post("/api/search", files=upload(*[picture()] * 9))
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("Too many files")


def test_a_picture_that_is_turned_keeps_its_proportions(client: TestClient) -> None:
    from PIL import Image

    shot = Image.new("RGB", (40, 20), "red")
    notes = Image.Exif()
    notes[0x0112] = 6
    file = io.BytesIO()
    shot.save(file, "JPEG", exif=notes)
    crop = client.post("/api/crops", files=upload(file.getvalue())).json()
    shown = Image.open(io.BytesIO(client.get(crop["thumbnail"]).content))
    assert shown.size == (64, 128)
