"""The page's views in a real Chromium, against a real `resight serve` process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from page_browser import GIVE, Visit, card, cards, has_heading, is_said, press
from page_gallery import ACCEPTED, CAMERAS, EACH, N_CROPS, PEOPLE, Ask, noise, shown, write_picture
from playwright.sync_api import expect

LAST = PEOPLE * EACH - 1


def test_search_by_upload(visit: Visit, tmp_path: Path) -> None:
    known = write_picture(tmp_path / "known.png", shown(0, 0, 0))
    unknown = write_picture(tmp_path / "noise.png", noise(0))
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
    files = [write_picture(tmp_path / f"{shot}.png", shown(0, 0, shot)) for shot in range(2)]
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
            data = Path(write_picture(tmp_path / "n.png", noise(seed)))
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
