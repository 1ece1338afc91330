from pathlib import Path
from typing import Any

import pytest

from resight.errors import ConfigError
from resight.service import ServiceSettings, read_tokens
from resight.service.settings import is_local

GOOD = "x" * 16


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3", "LocalHost"])
def test_local_services_need_no_token(host: str) -> None:
    assert is_local(host)
    assert ServiceSettings(host=host).is_local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "localhost."])
def test_others_need_one(host: str) -> None:
    assert not is_local(host)
    with pytest.raises(ConfigError, match="needs a token: give --token-file FILE or set RESIGHT_"):
        ServiceSettings(host=host)
    assert ServiceSettings(host=host, tokens={"a": GOOD}).tokens == {"a": GOOD}


def test_a_proxied_service_needs_one() -> None:
    with pytest.raises(ConfigError, match=r"reached at reid\.example\.org needs a token"):
        ServiceSettings(names=("reid.example.org",))


def test_settings_do_not_show_tokens() -> None:
    assert GOOD not in repr(ServiceSettings(tokens={"a": GOOD}))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"workers": 0}, "workers is 0, expected 1 or more"),
        ({"queue": -1}, "queue is -1, expected 0 or more"),
        ({"max_upload": 1}, "max_upload is 1, expected 1024 or more"),
        ({"port": 65536}, "port is 65536, expected 0 to 65535"),
        ({"patience": 0.0}, "patience is 0.0 seconds, expected more than 0"),
        ({"grace": float("nan")}, "grace is nan seconds, expected more than 0"),
        ({"names": ("https://reid.example.org",)}, "'https://reid.example.org' is no host name"),
        ({"names": ("reid.example.org:443",)}, "'reid.example.org:443' is no host name"),
        ({"names": ("",)}, "'' is no host name"),
        ({"tokens": {"a": "short"}}, "a token has 5 characters, expected 16 to 512"),
        ({"tokens": {"a": "with a space " * 2}}, "a token has spaces or characters"),
        ({"tokens": {"a": "ü" * 20}}, "a token has spaces or characters"),
    ],
)
def test_wrong_settings_are_told(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ServiceSettings(**wrong)
    assert str(caught.value).startswith(sentence)
    for token in wrong.get("tokens", {}).values():
        assert token not in str(caught.value)


def test_tokens_are_read_by_name(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# people\n\nanna {GOOD}a\n  ben\t{GOOD}b  \n{GOOD}c\n")
    assert read_tokens(file) == {"anna": f"{GOOD}a", "ben": f"{GOOD}b", "token": f"{GOOD}c"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no token"),
        ("# nobody\n", "holds no token"),
        (f"a {GOOD}\na {GOOD}\n", "line 2: there is a token of 'a' already"),
        (f"a {GOOD}\nb {GOOD}\n", "line 2: this token has another name already"),
        (f"a b {GOOD}\n", "line 1: expected TOKEN or NAME TOKEN"),
        ("hunter2\n", "a token has 7 characters"),
        (b"\xff\xfe", "cannot read the tokens in"),
    ],
)
def test_broken_token_files_are_told(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError, match=sentence) as caught:
        read_tokens(file)
    assert "hunter2" not in str(caught.value)


def test_a_missing_token_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the tokens in"):
        read_tokens(tmp_path / "none")
