"""The web page in a real Chromium, against real `resight serve` processes."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

import page_cases
from page_cases import ACCEPTED, CAMERAS, EACH, EVIL, GIVE, N_CROPS, PEOPLE, TOKEN, Ask
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright
from processes import Server

pytestmark = pytest.mark.skipif(
    not page_cases.CHROMIUM.exists(), reason=f"{page_cases.CHROMIUM} is not installed"
)

Visit = Callable[..., AbstractContextManager[Page]]
LAST = PEOPLE * EACH - 1
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    gallery = page_cases.make_gallery(folder)
    (folder / "tokens").write_text(f"anna {TOKEN}\n")
    command = [sys.executable, "-c", "from resight.cli import main; main()", "serve", str(gallery)]
    bounds = ["--max-upload", "300000", "--token-file", str(folder / "tokens")]
    more = ["--port", "0", "--device", "cpu", *bounds]
    started = Server([*command, *more], folder / "log", folder / "gate")
    yield started
    started.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=page_cases.CHROMIUM, args=page_cases.FLAGS
        )
        yield opened
        opened.close()


@pytest.fixture
def ask(server: Server) -> Iterator[Ask]:
    """The service beside the page; decisions of a test do not outlive it."""
    asked = Ask(server.port)
    yield asked
    asked.forget_all()


@pytest.fixture
def visit(browser: Browser, ask: Ask) -> Visit:
    """Opens the page at an address; refusals: statuses that the test is about."""

    def opened(hash_: str = "", *refusals: int, **options: Any) -> AbstractContextManager[Page]:
        return page_cases.visited(browser, ask.base, hash_, refusals, **options)

    return opened


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


def test_search_by_upload(visit: Visit, tmp_path: Path) -> None:
    known = page_cases.write_picture(tmp_path / "known.png", page_cases.shown(0, 0, 0))
    unknown = page_cases.write_picture(tmp_path / "noise.png", page_cases.noise(0))
    with visit() as page:
        expect(cards(page)).to_have_count(N_CROPS)
        page.set_input_files("#choose", known)
        has_heading(page, f"{ACCEPTED + 1} accepted of 24 answers")
        first = cards(page).first
        expect(first).to_have_attribute("data-id", "0")
        for told in ("1.000", "gate", "08:00:00", "0_0.jpg", "cluster 0"):
            expect(first).to_contain_text(told)
        rows = "[...document.querySelectorAll('.cards > li')].map((li) => li.classList[0])"
        assert page.evaluate(rows).index("acceptance") == ACCEPTED + 1
        expect(page.locator(".card.accepted")).to_have_count(ACCEPTED + 1)
        page.locator(".query-pictures button").click()
        has_heading(page, "Where else")
        page.set_input_files("#choose", unknown)
        has_heading(page, "Unknown")
        expect(page.locator(".banner")).to_contain_text("not known here")
        page.reload()
        has_heading(page, "Choose the pictures again")


def test_pictures_are_dropped_pasted_and_added(visit: Visit, tmp_path: Path) -> None:
    files = [
        page_cases.write_picture(tmp_path / f"{shot}.png", page_cases.shown(0, 0, shot))
        for shot in range(2)
    ]
    with visit("#/decisions") as page:
        query = page.locator(".query-pictures li")
        has_heading(page, "Decisions")
        page.evaluate(GIVE, ["drop", 2])
        expect(query).to_have_count(2)
        expect(cards(page)).to_have_count(24)
        page.evaluate(GIVE, ["paste", 1])
        expect(query).to_have_count(1)
        page.set_input_files("#choose", files)
        expect(query).to_have_count(3)
        query.first.get_by_role("button").click()
        expect(query).to_have_count(2)
        expect(cards(page).first).to_have_attribute("data-id", re.compile("^[01]$"))
        page.evaluate(GIVE, ["drop", 9])
        expect(query).to_have_count(8)
        expect(page.locator("#notes")).to_contain_text("first 8 of 9")


def test_search_from_stored_crops_with_filters(visit: Visit) -> None:
    with visit() as page:
        cards(page).first.locator(".picture").click()
        has_heading(page, f"{ACCEPTED} accepted of 24 answers")
        expect(card(page, 0)).to_have_count(0)
        cards(page).first.get_by_role("button", name="Add to the query").click()
        expect(page.locator(".query-pictures li")).to_have_count(2)
        page.go_back()
        has_heading(page, f"{ACCEPTED} accepted")
        page.get_by_role("checkbox", name="hall").check()
        expect(cards(page)).to_have_count(PEOPLE * 2)
        page.get_by_role("checkbox", name="square").check()
        expect(cards(page)).to_have_count(PEOPLE * 4)
        page.get_by_label("From", exact=True).fill("2025-11-14T09:00")
        page.get_by_label("Until", exact=True).fill("2025-11-14T10:30")
        expect(cards(page)).to_have_count(8)
        expect(page.locator("summary")).to_contain_text("Filters (3)")
        page.reload()
        expect(cards(page)).to_have_count(8)
        expect(page.get_by_label("From", exact=True)).to_have_value("2025-11-14T09:00")
        press(page, "Clear filters")
        expect(cards(page)).to_have_count(24)
        page.get_by_label("At most").select_option("10")
        expect(cards(page)).to_have_count(10)
        page.get_by_label("Other cameras only").check()
        expect(page.locator(".card .fact", has_text="gate")).to_have_count(0)
        page.get_by_label("Re-rank").check()
        expect(page.locator(".view-head")).to_contain_text("re-ranked")
        expect(page.locator(".acceptance")).to_have_count(0)
        press(page, "Clear filters")
        page.get_by_label("Accepted only").check()
        expect(cards(page)).to_have_count(ACCEPTED)
        assert "accepted=1" in page.url


def test_decisions_contradictions_and_taking_back(visit: Visit, ask: Ask) -> None:
    with visit("#/search?id=0&k=50", 409) as page:
        card(page, 1).locator(".same").click()
        is_said(page, 1, "same")
        expect(page.locator("#notes")).to_contain_text("crop 1 is the same individual")
        card(page, 6).locator(".different").click()
        is_said(page, 6, "different")
        assert ask.said() == {(0, 1, True), (0, 6, False)}
        page.goto(f"{ask.base}/#/search?id=1&k=50")
        is_said(page, 0, "same")
        card(page, 6).locator(".same").click()
        expect(page.locator("#warnings")).to_contain_text("contradicts what was said before. ")
        expect(page.locator("#warnings")).to_contain_text("0_0.jpg")
        assert ask.said() == {(0, 1, True), (0, 6, False)}
        page.locator("#warnings a").click()
        rows = page.locator(".decision")
        expect(rows).to_contain_text(["different", "same"])
        rows.first.get_by_role("button", name="Take back").click()
        expect(rows).to_have_count(1)
        page.go_back()
        card(page, 6).locator(".same").click()
        is_said(page, 6, "same")
        page.locator("#notes").get_by_role("button", name="Take back").click()
        is_said(page, 6, "same", False)
        card(page, 0).locator(".same").click()
        is_said(page, 0, "same", False)
        assert ask.said() == set()


def test_sightings_on_a_time_line(visit: Visit, ask: Ask) -> None:
    with visit("#/crops/0") as page:
        marks, whole = page.locator(".sighting"), page.get_by_role("button", name="All of it (0)")
        expect(page.locator(".sighting.query")).to_have_count(1)
        assert set(page.locator(".lane-names li").all_inner_texts()) >= set(CAMERAS)
        before = marks.count()
        page.locator(".sighting.query").click()  # a pile of two: it looks closer
        expect(whole).to_be_enabled()
        whole.click()
        expect(marks).to_have_count(before)
        marks.first.focus()
        seen = [page.evaluate("document.activeElement.dataset.id")]
        for _ in range(before - 1):
            page.keyboard.press("ArrowRight")
            seen.append(page.evaluate("document.activeElement.dataset.id"))
        assert len(set(seen)) == before
        page.keyboard.press("+")
        expect(whole).to_be_enabled()
        page.goto(f"{ask.base}/#/crops/{LAST}")
        expect(page.locator("h2", has_text="No known time")).to_be_visible()
        card(page, LAST - 1).locator(".different").click()
        is_said(page, LAST - 1, "different")
        press(page, "Refresh")
        expect(card(page, LAST - 1)).to_have_count(0)


def test_clusters_are_split_and_merged(visit: Visit, ask: Ask) -> None:
    with visit("#/clusters?order=cameras") as page:
        has_heading(page, f"{PEOPLE} clusters")
        expect(page.get_by_label("Order")).to_have_value("cameras")
        page.get_by_role("link", name="Cluster 1: 6 crops, 3 cameras").click()
        has_heading(page, "Cluster 1")
        box = page.locator(".selector")
        box.nth(0).click()
        box.nth(2).click(modifiers=["Shift"])
        expect(page.locator(".bar")).to_contain_text("3 crops chosen")
        box.nth(2).click()
        press(page, "Split off")
        expect(cards(page)).to_have_count(4)
        assert (EACH, EACH + 1, True) in ask.said()
        page.get_by_role("link", name="Clusters").click()
        has_heading(page, f"{PEOPLE + 1} clusters")
        page.locator(".cluster", has_text="2 crops").locator(".selector").click()
        expect(page.get_by_role("button", name="Merge")).to_be_disabled()
        page.locator('[data-label="1"] .selector').click()
        press(page, "Merge")
        has_heading(page, f"{PEOPLE} clusters")
        expect(page.locator(".bar")).to_be_hidden()
        expect(page.get_by_role("link", name="Cluster 1: 6 crops")).to_be_visible()


def test_crops_and_individuals_are_deleted(visit: Visit, ask: Ask, tmp_path: Path) -> None:
    with visit("", 404) as page:
        added = []
        for seed in (1, 2, 3):
            data = Path(page_cases.write_picture(tmp_path / "n.png", page_cases.noise(seed)))
            image: Any = {"name": "n.png", "mimeType": "image/png", "buffer": data.read_bytes()}
            stored = page.request.post(f"{ask.base}/api/crops", multipart={"image": image})
            added.append(stored.json()["id"])
        ask("POST", "/api/decisions", {"same": [added[:2]]})
        page.goto(f"{ask.base}/#/crops/{added[2]}")
        press(page, "Delete crop")
        expect(page.locator("dialog[open]")).to_contain_text("go for good")
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
        press(page, "Delete crop")
        press(page, "Delete the crop")
        expect(page.locator("#notes")).to_contain_text("1 crop deleted")
        page.goto(f"{ask.base}/#/crops/{added[2]}")
        has_heading(page, "Not here")
        page.goto(f"{ask.base}/#/crops/{added[0]}")
        press(page, "Delete individual")
        expect(page.locator("dialog[open]")).to_contain_text("1 confirmed")
        press(page, "Delete all 2")
        expect(page.locator("#notes")).to_contain_text("2 crops deleted")
        has_heading(page, "Where else")
    assert ask("GET", "/api/gallery")["rows"] == N_CROPS


def test_the_token_is_asked_for(visit: Visit) -> None:
    with visit("#/search?id=0", 401, extra_http_headers={}) as page:
        field = page.get_by_role("textbox", name="Token")
        field.fill("not-the-token-of-this-service")
        page.keyboard.press("Enter")
        expect(page.locator("dialog[open]")).to_contain_text("not the token")
        field.fill(TOKEN)
        page.keyboard.press("Enter")
        has_heading(page, "accepted of")
        page.reload()
        has_heading(page, "accepted of")
        page.context.clear_cookies()
        page.reload()
        expect(field).to_be_focused()
        page.keyboard.press("Escape")
        has_heading(page, "No answer")


def test_reading_alone_offers_no_changes(visit: Visit, ask: Ask) -> None:
    overview = {**ask("GET", "/api/gallery"), "read_only": True}
    ask("POST", "/api/decisions", {"same": [[0, 1]]})
    with visit("#/care") as page:
        page.route("**/api/gallery", lambda route: route.fulfill(json=overview))
        for view in ("search?id=0", "crops/0", "clusters", "clusters/0", "decisions"):
            page.goto(f"{ask.base}/#/{view}")
            page.reload()
            expect(page.locator(".card, .decision").first).to_be_visible()
            expect(page.locator("#holds")).to_contain_text("read-only")
            for change in (".actions .same", ".trash", ".selector", ".decision button"):
                expect(page.locator(f"main {change}")).to_have_count(0)


def test_all_with_keys_alone(visit: Visit, ask: Ask) -> None:
    focused = "document.activeElement.closest('.card')?.dataset.id"
    with visit("#/decisions") as page:
        has_heading(page, "Decisions")
        page.keyboard.press("?")
        expect(page.locator("#keys")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#keys")).to_be_hidden()
        page.keyboard.press("/")
        expect(page.locator("#choose")).to_be_focused()
        expect(cards(page)).to_have_count(N_CROPS)
        while page.evaluate(focused) is None:
            page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        assert page.evaluate(focused) == "1"
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Home")
        assert page.evaluate(focused) == "0"
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) != "none"
        page.keyboard.press("Enter")
        has_heading(page, f"{ACCEPTED} accepted")
        page.keyboard.press("Tab")
        while page.evaluate(focused) is None:
            page.keyboard.press("Tab")
        crop = int(page.evaluate(focused))
        page.keyboard.press("s")
        is_said(page, crop, "same")
        page.keyboard.press("d")
        is_said(page, crop, "different")
        assert ask.said() == {(0, crop, False)}
        page.keyboard.press("Delete")
        expect(page.locator("dialog[open]")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("t")
        has_heading(page, "sighting")


@pytest.mark.parametrize("options", [{**PHONE, "color_scheme": "light"}, {"color_scheme": "dark"}])
def test_views_fit_and_can_be_named(visit: Visit, ask: Ask, options: dict[str, Any]) -> None:
    ask("POST", "/api/clusters/0/split", {"ids": [0, 1]})
    with visit("", **options) as page:
        expect(cards(page)).to_have_count(N_CROPS)
        body = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", body))) < 150) == (
            options["color_scheme"] == "dark"
        )
        views = ("search?id=0", "crops/0", "clusters", "clusters/1", "decisions", "care", "search")
        for view in views:
            page.goto(f"{ask.base}/#/{view}")
            expect(page.locator("[aria-busy]")).to_have_count(0)
            expect(page.locator("h1")).to_have_count(1)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, view
            assert page.evaluate(page_cases.NAMELESS) == []
        page.locator("#theme").click()
        page.locator("#theme").click()
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_times_of_a_recording_and_of_a_clock(visit: Visit) -> None:
    told = """async (known) => {
        const times = await import("/static/times.js");
        const { gallery } = await import("/static/session.js");
        gallery.times = known;
        const marks = times.ticks(known[0], known[1], 4).map((one) => one.label);
        const field = times.toField(known[0]);
        return [times.moment(known[0]), times.brief(known[0]), times.span(...known), field,
            times.fromField(field), times.fromField("1:02:03.5"), times.fromField("soon"), marks];
    }"""
    with visit("#/care") as page:
        assert page.evaluate(told, [75, 3700])[:5] == [
            *("0:01:15", "0:01:15", "0:01:15 – 1:01:40", "0:01:15", 75.0)
        ]
        assert page.evaluate(told, [75, 3700])[5] == 3723.5
        assert math.isnan(page.evaluate(told, [75, 3700])[6])
        assert page.evaluate(told, [0, 3700])[7] == ["0:00:00", "0:30:00", "1:00:00"]
        start = page_cases.MORNING
        day = page.evaluate(told, [start, start + 7200])
        assert day[:3] == [
            *("14 Nov 2025, 08:00:00", "08:00:00", "14 Nov 2025, 08:00:00 – 10:00:00")
        ]
        assert day[3:5] == ["2025-11-14T08:00", start]
        assert day[7] == ["08:00", "08:30", "09:00", "09:30", "10:00"]
        days = page.evaluate(told, [start, start + 3 * 86400])
        assert days[1] == "14 Nov, 08:00"
        assert days[7] == ["15 Nov", "16 Nov", "17 Nov"]


def test_hostile_names_are_text(visit: Visit, ask: Ask) -> None:
    evil = N_CROPS - len(page_cases.HOSTILE)
    ask("POST", "/api/decisions", {"same": [[evil, evil + 1]]})
    with visit() as page:
        expect(card(page, evil)).to_contain_text(EVIL)
        expect(page.get_by_role("checkbox", name=EVIL)).to_have_count(1)
        for view in (f"search?id={evil}", f"crops/{evil}", f"crops/{evil + 3}", "clusters"):
            page.goto(f"{ask.base}/#/{view}")
            expect(page.locator("[aria-busy]")).to_have_count(0)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, view
        assert page.locator("[onerror], [onmouseover], main script").count() == 0
        page.goto(f"{ask.base}/#/search?camera={EVIL}&k=%3Cimg%3E&since=x")
        expect(cards(page)).to_have_count(1)


def test_refused_uploads_in_plain_words(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(400_000))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    busy = iter([True, False])

    def answer(route: Route) -> None:
        if next(busy, False):
            body = json.dumps({"error": "9 requests are being worked on"})
            route.fulfill(status=429, headers={"Retry-After": "1"}, body=body)
        else:
            route.fallback()

    with visit("", 413, 415, 429) as page:
        page.set_input_files("#choose", tmp_path / "large.png")
        expect(page.get_by_role("alert").locator("visible=true")).to_contain_text("too large")
        page.locator(".query-pictures button").click()
        page.set_input_files("#choose", tmp_path / "broken.png")
        expect(page.get_by_role("alert").locator("visible=true")).to_contain_text("no picture")
        page.route("**/api/search/stored", answer)
        page.evaluate("location.hash = '#/search?id=0'")
        expect(page.locator("#notes")).to_contain_text("busy: trying again in 1 second")
        has_heading(page, "accepted of")


def test_a_thousand_answers_are_shown_bit_by_bit(visit: Visit, ask: Ask) -> None:
    told = ask("POST", "/api/search/stored", {"ids": [0], "k": 1})
    told["hits"] = [{**told["hits"][0], "id": 100 + row, "thumbnail": None} for row in range(1000)]
    with visit() as page:
        expect(cards(page)).to_have_count(N_CROPS)
        page.route("**/api/search/stored", lambda route: route.fulfill(json=told))
        page.evaluate("location.hash = '#/search?id=0&k=1000'")
        has_heading(page, "of 1,000 answers")
        assert cards(page).count() <= 120
        while cards(page).count() < 400:
            page.keyboard.press("End")
            page.wait_for_timeout(30)
        assert cards(page).count() <= 520
