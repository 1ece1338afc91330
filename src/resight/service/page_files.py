"""The web page: a few files, read once, so that no address can reach any other."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from resight.errors import ConfigError

PAGE = Path(__file__).parent / "page"
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class PageFile:
    """content, its type, and a tag that changes with it."""

    content: bytes
    kind: str
    tag: str


def read_page(folder: Path = PAGE) -> dict[str, PageFile]:
    """The files of the page by name; raises ConfigError without an index.html."""
    files = {
        file.relative_to(folder).as_posix(): _read(file)
        for file in sorted(folder.rglob("*"))
        if file.suffix in TYPES
    }
    if INDEX not in files:
        raise ConfigError(f"{folder} lacks {INDEX}, the page: install resight again")
    return files


def _read(file: Path) -> PageFile:
    content = file.read_bytes()
    tag = blake2b(content, digest_size=12).hexdigest()
    return PageFile(content, TYPES[file.suffix], f'"{tag}"')
