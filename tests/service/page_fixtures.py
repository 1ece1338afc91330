"""Fixtures of the page's tests: one server for all, and a browser for each module.

A browser keeps an event loop of this thread running, which other tests must not find.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from page_gallery import TOKEN, Ask, make_gallery
from processes import Server

if TYPE_CHECKING:
    from page_browser import Visit
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]


def skip_without_chromium() -> None:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    skip_without_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`resight serve` with a token and small uploads."""
    skip_without_chromium()
    folder = tmp_path_factory.mktemp("page")
    gallery = make_gallery(folder)
    (folder / "tokens").write_text(f"anna {TOKEN}\n")
    command = [sys.executable, "-c", "from resight.cli import main; main()", "serve", str(gallery)]
    bounds = ["--max-upload", "300000", "--token-file", str(folder / "tokens")]
    more = ["--port", "0", "--device", "cpu", *bounds]
    started = Server([*command, *more], folder / "log", folder / "gate")
    yield started
    started.close()


@pytest.fixture
def ask(page_server: Server) -> Iterator[Ask]:
    """The service beside the page; decisions of a test do not outlive it."""
    asked = Ask(page_server.port)
    yield asked
    asked.forget_all()


@pytest.fixture
def visit(chromium: Browser, ask: Ask) -> Visit:
    """Opens the page at an address; refusals: statuses that the test is about."""
    from page_browser import visited

    def opened(hash_: str = "", *refusals: int, **options: Any) -> AbstractContextManager[Page]:
        return visited(chromium, ask.base, hash_, refusals, **options)

    return opened
