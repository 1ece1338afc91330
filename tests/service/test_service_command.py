import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from service_cases import TOKEN
from typer.testing import CliRunner, Result

import resight
from resight.cli import app
from resight.errors import ConfigError, GalleryError
from resight.gallery import Gallery
from resight.service import ServiceSettings
from resight.service.server import listen


class Runs:
    """Stands in for the server: remembers what would be served."""

    def __init__(self) -> None:
        self.settings: ServiceSettings | None = None
        self.gallery: Gallery | None = None
        self.finished = True

    def __call__(self, served: FastAPI, settings: ServiceSettings) -> bool:
        self.settings, self.gallery = settings, served.state.desk.gallery
        return self.finished


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.delenv("RESIGHT_TOKEN", raising=False)
    fake = Runs()
    monkeypatch.setattr("resight.service.server.run", fake)
    return fake


def command(*words: object) -> Result:
    return CliRunner().invoke(app, ["serve", *map(str, words)])


def test_it_serves_this_machine_by_default(runs: Runs, gallery: Gallery) -> None:
    assert command(gallery.path).exit_code == 0
    assert runs.settings == ServiceSettings()
    assert runs.gallery is not None
    assert runs.gallery.path == gallery.path


def test_options_reach_the_service(runs: Runs, gallery: Gallery, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"anna {TOKEN}\n")
    words: list[Any] = [gallery.path, "--host", "0.0.0.0", "--port", 0, "--token-file", tokens]
    words += ["--name", "reid.example.org", "--name", "other", "--read-only", "--audit"]
    words += ["--max-upload", "2M", "--workers", 3, "--queue", 5, "--keep-days", 9]
    assert command(*words).exit_code == 0
    assert runs.settings == ServiceSettings(
        host="0.0.0.0",
        port=0,
        tokens={"anna": TOKEN},
        names=("reid.example.org", "other"),
        read_only=True,
        max_upload=2 << 20,
        workers=3,
        queue=5,
    )
    kept = json.loads((gallery.path / "gallery.json").read_text())
    assert (kept["retention_days"], kept["log_searches"]) == (9.0, True)
    assert runs.gallery is not None
    assert runs.gallery.settings.log_searches


def test_the_environment_holds_the_token(
    runs: Runs, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESIGHT_TOKEN", TOKEN)
    assert resight.serve(gallery.path, host="0.0.0.0") is True
    assert runs.settings is not None
    assert runs.settings.tokens == {"token": TOKEN}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"host": "0.0.0.0"}, r"reached at 0\.0\.0\.0 needs a token: give --token-file"),
        ({"host": "::"}, "reached at :: needs a token"),
        ({"name": ["reid.example.org"]}, r"reached at reid\.example\.org needs a token"),
        ({"max_upload": "ten"}, "max_upload is 'ten', expected a size like 10M"),
        ({"max_upload": "1"}, "max_upload is 1, expected 1024 or more"),
        ({"workers": 0}, "workers is 0, expected 1 or more"),
        ({"token_file": "none"}, "cannot read the tokens in none"),
    ],
)
def test_what_cannot_be_served_is_refused(
    runs: Runs, gallery: Gallery, more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        resight.serve(gallery.path, **more)
    assert runs.settings is None


def test_what_is_no_gallery_is_refused(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="is not a gallery"):
        resight.serve(tmp_path)


def test_an_encoder_that_cannot_be_opened_is_refused_at_the_start(
    runs: Runs, gallery: Gallery
) -> None:
    (gallery.path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(resight.ResightError):
        resight.serve(gallery.path)


def test_missing_packages_are_told(
    runs: Runs, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resight.api.serving.importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs fastapi: pip install 'resight\[serve\]'"):
        resight.serve(gallery.path)


def test_an_address_that_is_taken_is_told() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1, port {port}: "):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1, port 0: "):
        listen("192.0.2.1", 0)
    with pytest.raises(ConfigError, match="cannot listen on no such host, port 0: "):
        listen("no such host", 0)


def test_what_is_no_host_name_is_told() -> None:
    with pytest.raises(ConfigError, match="that is no host name; choose another --host"):
        listen("ü" * 100, 0)


def test_both_kinds_of_addresses_can_be_listened_on() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        try:
            with listen(host, 0) as listening:
                assert listening.getsockname()[1] > 0
        except ConfigError:
            assert host == "::1"
            assert not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists()
