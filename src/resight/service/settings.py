"""How a gallery is served: where, to whom, and with which bounds."""

from __future__ import annotations

import ipaddress
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from resight.errors import ConfigError

SHORTEST_TOKEN, LONGEST_TOKEN = 16, 512
_IN_TOKENS = frozenset(string.ascii_letters + string.digits + string.punctuation)
_IN_NAMES = frozenset(string.ascii_letters + string.digits + "-_.")
_MAKE_ONE = 'make one with `python -c "import secrets; print(secrets.token_urlsafe(32))"`'


@dataclass(frozen=True)
class ServiceSettings:
    """Who may ask for what, and how much of it at once.

    host, port: where it listens; port 0 takes a free one. tokens: the secret of each who may come
    in, by name; none lets everybody in who reaches the port. names: host names by which it is
    reached besides its own, such as that of a reverse proxy. read_only: nothing is added, deleted
    or decided. max_upload: bytes of one request. max_pixels: of one picture. workers: threads that
    work on requests. queue: requests that wait for them; further ones are refused.

    patience: seconds in which the next piece of a request has to come. slowest: bytes per second
    that a request has to keep up. grace: seconds that running requests get when the service stops.
    tidying: seconds between two looks for crops that are past their retention.

    Raises ConfigError for values out of range, and without a token for a service that is reached
    from other machines.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    names: tuple[str, ...] = ()
    read_only: bool = False
    max_upload: int = 10 << 20
    max_pixels: int = 50_000_000
    workers: int = 8
    queue: int = 64
    patience: float = 10.0
    slowest: float = 4096.0
    grace: float = 10.0
    tidying: float = 60.0

    def __post_init__(self) -> None:
        least = {"max_upload": 1024, "max_pixels": 1, "workers": 1, "queue": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected {bound} or more")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port is {self.port}, expected 0 to 65535")
        for name in ("patience", "grace", "tidying"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)} seconds, expected more than 0")
        for told in self.tokens.values():
            check_token(told)
        for name in self.names:
            check_name(name)
        if not self.tokens and not (self.is_local and not self.names):
            where = self.names[0] if self.names else self.host
            raise ConfigError(
                f"a service that is reached at {where} needs a token: give --token-file FILE or "
                f"set RESIGHT_TOKEN; {_MAKE_ONE}"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return is_local(self.host)


def is_local(host: str) -> bool:
    """Whether a host name or address is this machine's own, not to be reached by others."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_name(name: str) -> None:
    """Raise ConfigError for what cannot be the name of a host, such as an address of a page."""
    if not set(name) <= _IN_NAMES or not name:
        raise ConfigError(
            f"{name!r} is no host name: give it without scheme, port and path, such as "
            "reid.example.org"
        )


def check_token(token: str) -> None:
    """Raise ConfigError for a token that is easily guessed or cannot be sent; it is never shown."""
    if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN:
        raise ConfigError(
            f"a token has {len(token)} characters, expected {SHORTEST_TOKEN} to {LONGEST_TOKEN}: "
            f"{_MAKE_ONE}"
        )
    if not set(token) <= _IN_TOKENS:
        raise ConfigError("a token has spaces or characters that are not ASCII: " + _MAKE_ONE)


def read_tokens(file: Path) -> dict[str, str]:
    """Tokens by name, from a file with a line `TOKEN` or `NAME TOKEN` for each.

    Empty lines and those that start with # do not count. The name is what is logged; a token
    without one is called "token". Raises ConfigError for a file that cannot be read or has none,
    two tokens of one name, two names of one token, or one that is too short.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the tokens in {file}: {error}") from error
    tokens: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) > 2:
            raise ConfigError(f"{file}, line {number}: expected TOKEN or NAME TOKEN")
        name = words[0] if len(words) == 2 else "token"
        if name in tokens:
            raise ConfigError(f"{file}, line {number}: there is a token of {name!r} already")
        check_token(words[-1])
        if words[-1] in tokens.values():
            raise ConfigError(f"{file}, line {number}: this token has another name already")
        tokens[name] = words[-1]
    if not tokens:
        raise ConfigError(f"{file} holds no token: {_MAKE_ONE}")
    return tokens
