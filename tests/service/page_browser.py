"""A browser that notes what goes wrong, and what tests do in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from page_gallery import TOKEN
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

expect.set_options(timeout=20_000)  # milliseconds: machines can be busy

Visit = Callable[..., AbstractContextManager[Page]]

# What the page must not do is noted where it happens.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
    window.violations.push(event.violatedDirective);
});
"""

# Drops or pastes pictures: [kind, how many].
GIVE = """async ([kind, n]) => {
    const data = new DataTransfer();
    const canvas = new OffscreenCanvas(8, 16);
    canvas.getContext("2d").fillRect(0, 0, 8, 16);
    const blob = await canvas.convertToBlob();
    for (let i = 0; i < n; i += 1) {
        data.items.add(new File([blob], `${i}.png`, { type: "image/png" }));
    }
    const event = kind === "drop"
        ? new DragEvent("drop", { dataTransfer: data, cancelable: true, bubbles: true })
        : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
    document.body.dispatchEvent(event);
}"""

# What the page makes of two known times.
TIMES = """async (known) => {
    const times = await import("/static/times.js");
    const { gallery } = await import("/static/session.js");
    gallery.times = known;
    const marks = times.ticks(known[0], known[1], 4).map((one) => one.label);
    const field = times.toField(known[0]);
    return [times.moment(known[0]), times.brief(known[0]), times.span(...known), field,
        times.fromField(field), times.fromField("1:02:03.5"), times.fromField("soon"), marks];
}"""

# What the page makes of times that are no dates, one way and the other.
ODD_TIMES = """async (known) => {
    const times = await import("/static/times.js");
    const { Span } = await import("/static/timespan.js");
    const { gallery } = await import("/static/session.js");
    const before = gallery.times;
    const told = [];
    for (const all of [before, known, [1.7e9, 1.7e9 + 60]]) {
        gallery.times = all;
        for (const one of known) {
            const span = new Span(one, one);
            told.push(times.moment(one), times.brief(one), times.span(known[0], one));
            told.push(times.toField(one), times.ago(one), times.stamp(one).title);
            told.push(span.x(one, 100), times.ticks(span.first, span.last, 4).length);
        }
        told.push(times.ticks(...known, 4).length);
    }
    gallery.times = before;
    return told;
}"""

# The crop whose card has the focus.
FOCUSED = "document.activeElement.closest('.card')?.dataset.id"

# Parts of the page without a name for screen readers.
NAMELESS = """() => [...document.querySelectorAll("a, button, input, select, [role=button]")]
    .filter((one) => one.checkVisibility())
    .filter((one) => !one.getAttribute("aria-label") && !one.textContent.trim())
    .filter((one) => !one.labels?.length)
    .map((one) => one.outerHTML)"""


def cards(page: Page) -> Locator:
    return page.locator(".cards > .card")


def card(page: Page, crop: int) -> Locator:
    return page.locator(f'.card[data-id="{crop}"]')


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def has_heading(page: Page, words: str) -> None:
    expect(page.locator("h1")).to_contain_text(words)


def is_said(page: Page, crop: int, verdict: str, told: bool = True) -> None:
    button = card(page, crop).locator(f".{verdict}")
    expect(button).to_have_attribute("aria-pressed", str(told).lower())


def tab_to_a_card(page: Page) -> None:
    """Press Tab until the focus is in a card."""
    for _ in range(60):
        if page.evaluate(FOCUSED) is not None:
            return
        page.keyboard.press("Tab")
    raise AssertionError("no card can be reached")


@contextmanager
def visited(
    browser: Browser, base: str, hash_: str, refusals: Collection[int], **options: Any
) -> Iterator[Page]:
    """The page in a context of its own; errors but for these refusals fail, and foreign hosts."""
    context = browser.new_context(
        **{
            "viewport": {"width": 1280, "height": 800},
            "timezone_id": "UTC",
            "extra_http_headers": {"Authorization": f"Bearer {TOKEN}"},
            **options,
        }
    )
    context.add_init_script(WATCH)
    page = context.new_page()
    page.set_default_timeout(20_000)
    problems: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        expected = any(f"status of {status} " in message.text for status in refusals)
        if message.type in ("error", "warning") and not expected:
            problems.append(message.text)

    page.on("console", on_console)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda sent: _note_strangers(sent.url, base, problems))
    try:
        page.goto(f"{base}/{hash_}")
        yield page
        problems += page.evaluate("window.violations")
        assert page.evaluate("window.hacked") is None
        assert problems == []
    finally:
        context.close()


def _note_strangers(url: str, base: str, problems: list[str]) -> None:
    if not url.startswith((base + "/", "blob:", "data:")):
        problems.append(f"asked for {url}")
