"""Real server processes, and connections to them that are as rude as a test wants."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent / "serving_process.py"


class Server:
    """A process that serves a gallery; `gate` keeps its searches waiting while it is there."""

    def __init__(self, command: list[str], log: Path, gate: Path) -> None:
        self.log, self.gate = log, gate
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=file, env=environment
            )

    @classmethod
    def start(cls, gallery: Path, folder: Path, **settings: Any) -> Server:
        told = json.dumps({"port": 0, **settings})
        gate = folder / "gate"
        command = [sys.executable, str(SCRIPT), str(gallery), told, str(gate)]
        return cls(command, folder / "log", gate)

    @cached_property
    def port(self) -> int:
        """Where it listens, once it does."""
        until = time.monotonic() + 120
        while time.monotonic() < until and self.process.poll() is None:
            told = re.search(r"serving at http://\S+:(\d+)", self.log.read_text())
            if told:
                return int(told[1])
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def head(self, method: str, path: str, *more: str) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *more]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def ask(self, method: str, path: str, *more: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and what follows, of an answer on a connection of its own."""
        length = [f"Content-Length: {len(body)}"] if body else []
        with self.connect() as connection:
            head = self.head(method, path, "Connection: close", *length, *more)
            connection.sendall(head + body)
            return answer_of(connection)

    def search(self, crop: int = 0) -> tuple[int, bytes]:
        body = json.dumps({"ids": [crop]}).encode()
        kind = "Content-Type: application/json"
        return self.ask("POST", "/api/search/stored", kind, body=body)

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = 30) -> int:
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def close(self) -> str:
        """End it at once; what it printed."""
        self.gate.unlink(missing_ok=True)
        if self.process.stdout is not None and self.process.stdout.closed:
            return ""
        if self.process.poll() is None:
            self.process.kill()
        return self.process.communicate()[0].decode()

    def held(self) -> tuple[int, int]:
        """Open files and threads."""
        home = Path(f"/proc/{self.process.pid}")
        return len(list((home / "fd").iterdir())), len(list((home / "task").iterdir()))

    def memory(self) -> int:
        """Resident bytes."""
        told = Path(f"/proc/{self.process.pid}/statm").read_text()
        return int(told.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def temporary(self) -> list[str]:
        """Open files that have no name any more."""
        names = []
        for file in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                names.append(os.readlink(file))
        return [name for name in names if name.endswith("(deleted)")]


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of what comes until the other side closes."""
    data = b""
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            break
        if not part:
            break
        data += part
    if not data:
        return 0, b""
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body
