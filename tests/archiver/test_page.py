"""The page, opened in a real browser: charts drawn, nothing complained about, nothing loaded, readable on a phone."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path

import pytest

from archiver.page import LATEST, Page
from tests.archiver.test_summary import line
from tests.e2e.chromium import BINARY, PATIENCE_S, Chromium, Tab, browser

NOW = datetime(2026, 3, 9, tzinfo=UTC)
PERIOD = "2026-02-24 to 2026-03-08"
PHONE = 390
NOWHERE = "127.0.0.1:9"
"""A proxy that nobody listens at: what the page asked of the network would fail and be complained about."""


def page(count: int = 300) -> str:
    made = Page()
    for n in range(count):
        at = NOW - timedelta(hours=count - n)
        changes = {"account": ("main", "second")[n % 2], "net": D(n % 7 - 3), "answered_ms": D(3 + n % 40)}
        made.add(line(captured=at, closed=at + timedelta(minutes=9), **changes))
    made.summary.denied([("main", "denied", "too-old", 3)])
    return made.text(PERIOD, NOW)


def test_the_page_is_self_contained_and_says_what_it_covers() -> None:
    text = page()
    assert PERIOD in text
    assert text.count("<svg") == 4
    assert "too-old" in text
    for word in ("<script", "http:", "https:", "@import", "url("):
        assert word not in text


def test_a_name_is_never_markup() -> None:
    made = Page()
    made.add(line(account="<img src=x>", instrument="<b>"))
    assert "<img" not in made.text("all", NOW)
    assert "<b>" not in made.text("all", NOW)


def test_only_the_latest_trades_are_listed_and_all_are_counted() -> None:
    text = page(LATEST + 100)
    assert f"The latest {LATEST} trades" in text
    assert text.count("<td>0.1") == LATEST
    assert "<dd>150 (0 open)</dd>" in text


def test_no_trades_make_a_page_too() -> None:
    assert "no trades" in Page().text("all trades", NOW)


async def opened(chromium: Chromium, file: Path) -> Tab:
    """The file in a tab as wide as a phone, watched from before its first byte."""
    tab = await chromium.open("about:blank")
    for domain in ("Page", "Runtime", "Log"):
        await tab.ask(f"{domain}.enable")
    await tab.ask("Emulation.setDeviceMetricsOverride", width=PHONE, height=844, deviceScaleFactor=1, mobile=True)
    await tab.ask("Page.navigate", url=file.as_uri())
    async with asyncio.timeout(PATIENCE_S):
        while await tab.run("document.readyState + document.title") != f"completeTrading journal, {PERIOD}":
            await asyncio.sleep(0.01)
    return tab


@pytest.mark.skipif(BINARY is None, reason="there is no Chromium (apt-get install chromium)")
async def test_a_browser_draws_it_without_complaint_and_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "journal.html").write_text(page(), encoding="utf-8")
    async with browser(tmp_path / "profile", NOWHERE, []) as chromium:
        tab = await opened(chromium, tmp_path / "journal.html")
        drawn = await tab.run(
            "[...document.querySelectorAll('svg')].map(e => [e.getBBox().width, e.getBoundingClientRect().width])"
        )
        assert len(drawn) == 4
        assert all(inner > 400 and 0.8 * PHONE < outer <= PHONE for inner, outer in drawn)
        assert await tab.run("document.querySelectorAll('rect.bar').length") > 20
        assert await tab.run("document.documentElement.scrollWidth") <= PHONE, "nothing sticks out to the side"
        events = chromium.events
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / "journal.html").as_uri()]
    complaints = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
    assert [e for e in events if e["method"] in complaints] == []
