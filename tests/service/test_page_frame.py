"""The page around its views: keys, sizes, tokens, hostile names, refusals."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from page_browser import (
    FOCUSED,
    NAMELESS,
    ODD_TIMES,
    TIMES,
    Visit,
    card,
    cards,
    has_heading,
    is_said,
    tab_to_a_card,
)
from page_gallery import ACCEPTED, EVIL, HOSTILE, MORNING, N_CROPS, TOKEN, Ask
from playwright.sync_api import Route, expect

from resight.service.page_files import PAGE

PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True,
}  # fmt: skip


def test_all_modules_are_asked_for_at_once() -> None:
    index = (PAGE / "index.html").read_text()
    for file in PAGE.glob("*.js"):
        assert f'"/static/{file.name}"' in index


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
        page.reload()
        for view in ("search?id=0", "crops/0", "clusters", "clusters/0", "decisions"):
            page.goto(f"{ask.base}/#/{view}")
            expect(page.locator("[aria-busy]")).to_have_count(0)
            expect(page.locator(".card, .decision").first).to_be_visible()
            expect(page.locator("#holds")).to_contain_text("read-only")
            for change in (".actions .same", ".trash", ".selector", ".decision button"):
                expect(page.locator(f"main {change}")).to_have_count(0)


def test_all_with_keys_alone(visit: Visit, ask: Ask) -> None:
    with visit("#/decisions") as page:
        has_heading(page, "Decisions")
        page.keyboard.press("?")
        expect(page.locator("#keys")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#keys")).to_be_hidden()
        page.keyboard.press("/")
        expect(page.locator("#choose")).to_be_focused()
        expect(cards(page)).to_have_count(N_CROPS)
        tab_to_a_card(page)
        page.keyboard.press("ArrowRight")
        assert page.evaluate(FOCUSED) == "1"
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Home")
        assert page.evaluate(FOCUSED) == "0"
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) != "none"
        page.keyboard.press("Enter")
        has_heading(page, f"{ACCEPTED} accepted")
        page.keyboard.press("Tab")
        tab_to_a_card(page)
        crop = int(page.evaluate(FOCUSED))
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
            assert page.evaluate(NAMELESS) == []
        page.locator("#theme").click()
        page.locator("#theme").click()
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_times_of_a_recording_and_of_a_clock(visit: Visit) -> None:
    with visit("#/care") as page:
        assert page.evaluate(TIMES, [75, 3700])[:5] == [
            *("0:01:15", "0:01:15", "0:01:15 – 1:01:40", "0:01:15", 75.0)
        ]
        assert page.evaluate(TIMES, [75, 3700])[5] == 3723.5
        assert math.isnan(page.evaluate(TIMES, [75, 3700])[6])
        assert page.evaluate(TIMES, [0, 3700])[7] == ["0:00:00", "0:30:00", "1:00:00"]
        start = MORNING
        day = page.evaluate(TIMES, [start, start + 7200])
        assert day[:3] == [
            *("14 Nov 2025, 08:00:00", "08:00:00", "14 Nov 2025, 08:00:00 – 10:00:00")
        ]
        assert day[3:5] == ["2025-11-14T08:00", start]
        assert day[7] == ["08:00", "08:30", "09:00", "09:30", "10:00"]
        days = page.evaluate(TIMES, [start, start + 3 * 86400])
        assert days[1] == "14 Nov, 08:00"
        assert days[7] == ["15 Nov", "16 Nov", "17 Nov"]


def test_hostile_names_are_text(visit: Visit, ask: Ask) -> None:
    evil = N_CROPS - len(HOSTILE)
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
        for _ in range(200):
            if cards(page).count() >= 400:
                break
            page.keyboard.press("End")
            page.wait_for_timeout(30)
        assert 400 <= cards(page).count() <= 520


@pytest.mark.parametrize(
    "known", [[0, 1e15], [-1e300, 1e300], [1.7e15, 1.7e15 + 1], [1e18, 1e18], [-1e15, 1.7e9]]
)
def test_times_that_are_no_dates_stop_nothing(visit: Visit, known: list[float]) -> None:
    with visit() as page:
        has_heading(page, "Where else")
        told = page.evaluate(ODD_TIMES, known)
        assert all(isinstance(one, str) or (one is not None and one < 1000) for one in told), told


def test_pictures_that_the_service_was_too_busy_for_are_asked_for_again(visit: Visit) -> None:
    asked: list[str] = []

    def busy(route: Route) -> None:
        asked.append(route.request.url)
        if "?try=" in route.request.url:
            route.continue_()
        else:
            route.fulfill(status=429, json={"error": "9 requests are being worked on"})

    with visit("#/care", 429) as page:
        page.route("**/thumbnail*", busy)
        page.evaluate("location.hash = '#/crops/0'")
        has_heading(page, "sighting")
        picture = card(page, 0).locator("img")
        expect(picture).to_have_js_property("naturalHeight", 128)
        expect(page.locator(".portrait img")).to_have_js_property("naturalHeight", 128)
        expect(page.locator("image[href$='?try=1']").first).to_be_visible()


def test_what_to_know_of_the_threshold_is_said(visit: Visit) -> None:
    def noted(route: Route) -> None:
        told = route.fetch().json()
        told["threshold"]["notes"] = [EVIL, "calibrated with other weights"]
        route.fulfill(json=told)

    with visit("#/care") as page:
        page.route("**/api/gallery", noted)
        page.goto(page.url.replace("#/care", "?#/search?id=0"))
        has_heading(page, "accepted of")
        expect(page.locator(".notes li")).to_have_text([EVIL, "calibrated with other weights"])
