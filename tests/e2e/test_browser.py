"""A real browser trades on a page through the proxy: the facts are exact, and nobody else's traffic is opened."""

import asyncio
import json
import shlex
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal as D
from pathlib import Path

import pytest
from cryptography import x509
from msgspec import UNSET

from deploy.demo.authority import pin
from deploy.demo.paperrules import PaperRules
from deploy.demo.rules import Rules
from deploy.embedded import Valkey
from shared.facts import Fact, Level, OrderFact
from tests.e2e.chromium import BINARY, Chromium, Tab, browser
from tests.e2e.desk import Desk, desk, kind_of
from tests.e2e.processes import running

pytestmark = [pytest.mark.skipif(BINARY is None, reason="there is no chromium here"), pytest.mark.timeout(180)]

FAST = Rules(fill_delay=0.05)
Told = tuple[str, str, str, str]
"""A fact: kind, total and held of the position, its levels (`-`: there is none, `?`: not said)."""

REST_STORY = """
    const {rest, until} = desk;
    const held = () => rest.positions.reduce((sum, row) => sum + row.qty, 0);
    const shows = async quantity => {
        await until(() => held() === quantity);
        // It, and a poll on its way, may have left before the last reply and then say nothing to ingest; the next does.
        for (const _ of "12") {
            const before = rest.positions;
            await until(() => rest.positions !== before);
        }
    };
    const buy = {instrument: "EURUSD", side: "buy", type: "market"};
    await rest.mine("POST", "previewOrder", {...buy, qty: "0.1"});
    await rest.place({...buy, qty: "0.1", stopLoss: "1.08", takeProfit: "1.09"});
    await shows(0.1);
    await rest.mine("GET", "executions", undefined, {instrument: "EURUSD"});
    await rest.mine("POST", "trackLatency", {transactionType: "place_order", instrument: "EURUSD", side: "buy"});
    const position = rest.positions[0].id;
    await rest.move(position, "EURUSD", {stopLoss: "1.082", takeProfit: "1.092"});
    await until(() => rest.orders.some(row => row.stopPrice === 1.082));
    await rest.close(position, "0.04");
    await shows(0.06);
    await rest.close(position);
    await shows(0);
    const order = await rest.place({...buy, qty: "0.2", type: "limit", limitPrice: "1.05"});
    await rest.modify(order, {instrument: "EURUSD", qty: "0.3", limitPrice: "1.04"});
    await rest.cancel(order);
    return await rest.place({...buy, qty: "80"}).catch(failure => failure.message);
"""
REST_FACTS: list[Told] = [
    ("order.placed", "0.1", "0", "1.08 1.09"),
    ("order.filled", "0.1", "0.1", "1.08 1.09"),
    ("position.changed", "0.1", "0.1", "1.082 1.092"),
    ("position.changed", "0.06", "0.1", "1.082 1.092"),
    ("position.changed", "0.06", "0.06", "1.082 1.092"),
    ("position.closed", "0", "0.06", "1.082 1.092"),
    ("position.closed", "0", "0", "1.082 1.092"),
    ("order.placed", "0", "0", "- -"),
    ("order.modified", "0", "0", "- -"),
    ("order.ended", "0", "0", "? ?"),
]

PAPER_STORY = """
    const {paper, until} = desk, symbol = "OANDA:EURUSD";
    const signed = row => row.side === "sell" ? -Math.abs(row.qty) : row.qty;
    const held = () => paper.positions.reduce((sum, row) => sum + signed(row), 0);
    const shows = quantity => until(() => held() === quantity);
    await paper.place({symbol, qty: 10000, side: "sell", type: "market", sl: 1.09, tp: 1.08});
    await shows(-10000);
    await paper.call("modify_position", {symbol, sl: 1.088, tp: 1.079});
    await until(() => paper.positions[0].sl === 1.088);
    await paper.call("close_position", {symbol, qty: 4000});
    await shows(-6000);
    await paper.call("close_position", {symbol});
    await shows(0);
    const {id} = await paper.place({symbol, qty: 5000, side: "buy", type: "limit", price: 1.05});
    await paper.call("modify", {id, price: 1.04});
    await paper.call("cancel", {id});
    return await paper.place({symbol, qty: 9e9, side: "buy", type: "market"}).catch(failure => failure.message);
"""
PAPER_FACTS: list[Told] = [
    ("order.placed", "-10000", "0", "1.09 1.08"),
    ("order.filled", "-10000", "-10000", "1.09 1.08"),
    ("position.changed", "-10000", "-10000", "1.088 1.079"),
    ("position.changed", "-6000", "-10000", "1.088 1.079"),
    ("position.changed", "-6000", "-6000", "1.088 1.079"),
    ("position.closed", "0", "-6000", "1.088 1.079"),
    ("position.closed", "0", "0", "? ?"),
    ("order.placed", "0", "0", "? ?"),
    ("order.modified", "0", "0", "? ?"),
    ("order.ended", "0", "0", "? ?"),
]


@dataclass
class Scene:
    """A desk, and the page on it as it is open in the browser."""

    desk: Desk
    chromium: Chromium
    page: Tab

    async def does(self, script: str) -> object:
        return await self.page.run(f"(async () => {{ {script} }})()")

    async def told(self, source: str, expected: list[Told]) -> list[Told]:
        """What the source's facts say, as soon as there are enough; a few moments later, for one too many to show."""
        await self.desk.facts(source, lambda facts: len(facts) >= len(expected))
        polls = await self.page.run("desk.rest.polls")
        await self.page.run(f"desk.until(() => desk.rest.polls >= {polls} + 6)")
        return [said(fact) for fact in await self.desk.facts(source, lambda _: True)]


def said(fact: Fact) -> Told:
    after = fact.exposure.after
    levels = f"{shown(fact.levels.stop_loss)} {shown(fact.levels.take_profit)}"
    return kind_of(fact), plain(after.total), plain(after.held), levels


def shown(level: Level) -> str:
    return "?" if level is UNSET else "-" if level is None else plain(D(str(level)))


def plain(value: D) -> str:
    return format(value.normalize() if value else D(0), "f")


@asynccontextmanager
async def opened(
    valkey: Valkey, folder: Path, rest: Rules = FAST, paper: PaperRules | None = None
) -> AsyncIterator[Scene]:
    """A desk, and a browser with the page open; it trusts the proxy's authority and the page's own certificate."""
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(desk(folder, valkey.url, rest, paper))
        pins = [pin(found.proxy_folder / "mitmproxy-ca-cert.pem"), pin(found.page_file)]
        chromium = await stack.enter_async_context(browser(folder / "profile", found.proxy, pins))
        page = await chromium.open(found.page_url)
        assert await page.run("desk.ready") is True
        yield Scene(found, chromium, page)


@pytest.fixture
async def scene(valkey: Valkey, tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(valkey, tmp_path) as found:
        yield found


async def test_what_is_done_at_a_broker_by_fetch_is_told_exactly(scene: Scene) -> None:
    assert "Not enough money" in str(await scene.does(REST_STORY))
    assert await scene.told("rest", REST_FACTS) == REST_FACTS
    facts = await scene.desk.facts("rest", lambda _: True)
    assert {(f.account, f.instrument, f.model) for f in facts} == {("10001", "EURUSD", "hedging")}
    orders = [f.order for f in facts if isinstance(f, OrderFact)]
    assert [(o.quantity, o.limit_price) for o in orders if o.type == "limit"] == [
        (D("0.2"), D("1.05")), (D("0.3"), D("1.04")), (D("0.3"), D("1.04")),
    ]  # fmt: skip
    assert scene.page.protocols(scene.desk.rest_url) == {"h2"}
    assert scene.page.encodings(scene.desk.rest_url) == {"br"}
    assert scene.desk.broker.asked["OPTIONS"] > 3, "the browser asks for permission, and so must the proxy let it"
    assert [f.exposure.after.total for f in await scene.desk.facts("paper", lambda _: True)] == []


ODD = [
    PaperRules(),
    PaperRules(first_word="working", negative_shorts=False, odd_frames=False),
    PaperRules(first_word="", error_status=400),
    PaperRules(shows_closing_orders=True),
    PaperRules(fills_at_once=False),
]


@pytest.mark.parametrize("rules", ODD, ids=["usual", "plain", "unnamed", "closing-orders", "late-fills"])
async def test_what_is_done_on_paper_is_told_exactly_whatever_is_odd_about_it(
    valkey: Valkey, tmp_path: Path, rules: PaperRules
) -> None:
    async with opened(valkey, tmp_path, paper=rules) as scene:
        await paper_is_exact(scene)


async def paper_is_exact(scene: Scene) -> None:
    assert await scene.does(PAPER_STORY) == "Not enough buying power"
    assert await scene.told("paper", PAPER_FACTS) == PAPER_FACTS
    facts = await scene.desk.facts("paper", lambda _: True)
    assert {(f.account, f.instrument, f.model) for f in facts} == {("1234567", "OANDA:EURUSD", "netting")}
    assert {f.contract.unit for f in facts if f.contract} == {"units"}
    assert set(scene.desk.paper.asked) == {"POST", "GET"}, "no permission is asked for; the only GET is the feed's"
    assert scene.desk.paper.asked["GET"] == 1
    names = await scene.page.run("[...new Set(desk.paper.frames.map(frame => typeof frame.accountId))]")
    assert sorted(names) == (["number", "string"] if scene.desk.paper.rules.odd_frames else ["number"])


async def test_levels_on_paper_that_get_new_orders_end_where_they_belong(valkey: Valkey, tmp_path: Path) -> None:
    """Between the end of the old order and the start of the new one a level may be told as removed: so it is pushed."""
    async with opened(valkey, tmp_path, paper=PaperRules(new_children=True)) as scene:
        await scene.does(PAPER_STORY)
        told = await scene.told("paper", PAPER_FACTS)
        settled = [fact for fact in told if "-" not in fact[3]]
        assert [fact for fact, before in zip(settled, [None, *settled], strict=False) if fact != before] == PAPER_FACTS


async def test_polls_that_are_cut_or_given_up_tell_nothing_wrong(valkey: Valkey, tmp_path: Path) -> None:
    async with opened(valkey, tmp_path, Rules(fill_delay=0.05, cuts_poll_every=5)) as scene:
        hiding = (
            "const flicker = setInterval(() => { desk.rest.hide(); setTimeout(() => desk.rest.unhide(), 30); }, 170);"
        )
        await scene.does(f"{hiding} try {{ {REST_STORY} }} finally {{ clearInterval(flicker); desk.rest.unhide(); }}")
        assert await scene.told("rest", REST_FACTS) == REST_FACTS
        broken = [e for e in scene.chromium.events if e["method"] == "Network.loadingFailed"]
        assert {e["params"]["errorText"] for e in broken} >= {"net::ERR_ABORTED"}
        assert len(broken) > 3


async def test_what_the_broker_did_without_answering_is_told_by_the_polls(valkey: Valkey, tmp_path: Path) -> None:
    async with opened(valkey, tmp_path, Rules(fill_delay=0.05, loses_reply_every=1)) as scene:
        script = 'desk.rest.place({instrument: "EURUSD", qty: "0.1", side: "buy", type: "market"}).catch(e => e.name)'
        assert await scene.page.run(script) == "TypeError", "a fetch that fails"
        expected = [("order.filled", "0.1", "0.1", "? ?")]
        facts = await scene.desk.facts("rest", lambda facts: any(f.exposure.after.held for f in facts))
        assert (await scene.told("rest", expected))[-1][1:3] == ("0.1", "0.1")
        assert {fact.evidence for fact in facts} == {"poll"}
        assert len({fact.exposure.position for fact in facts}) == 1


async def test_what_another_device_does_is_told_too(scene: Scene) -> None:
    desk, now = scene.desk, time.time()
    await scene.page.run("desk.until(() => desk.rest.polls >= 6)")  # what the first polls show was there before
    desk.broker.books["10001"].place({"instrument": "EURUSD", "qty": "0.3", "side": "sell", "type": "market"}, now)
    desk.paper.books[1234567].place({"symbol": "OANDA:EURUSD", "qty": 7000, "side": "buy", "type": "market"}, now)
    for source, total in (("rest", "-0.3"), ("paper", "7000")):
        told = await scene.told(source, [("", "", "", "")])
        assert {(after, held) for _, after, held, _ in told} == {(total, total)}


async def test_an_answer_that_never_ends_reaches_the_page_line_by_line(scene: Scene) -> None:
    await scene.does('await desk.rest.place({instrument: "EURUSD", qty: "0.1", side: "buy", type: "market"});')
    first, second = await scene.page.run("desk.rest.lines('orders', 2)")
    assert json.loads(first)["type"] == "snapshot"
    assert json.loads(second)["type"] in ("update", "ping")


async def test_a_host_that_is_not_ours_keeps_its_own_certificate_in_the_same_browser(scene: Scene) -> None:
    """Told by the browser itself: whom it was connected to, and which certificates it was shown."""
    desk, page = scene.desk, scene.page
    address, _, port = desk.proxy.rpartition(":")
    for url in (desk.page_url, desk.rest_url, desk.paper_url):
        assert page.peers(url) == {(address, int(port))}, "everything goes through the proxy"
    assert await page.certificates(desk.page_url) == [desk.page_certificate]
    authority = x509.load_pem_x509_certificate((desk.proxy_folder / "mitmproxy-ca-cert.pem").read_bytes())
    for url in (desk.rest_url, desk.paper_url):
        leaf = (await page.certificates(url))[0]
        leaf.verify_directly_issued_by(authority)


async def test_the_demo_says_how_to_trade_in_a_browser_and_that_is_copied(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with running("demo", "--keep", "--data", str(folder)) as demo:
        told = [await asyncio.to_thread(demo.until, "  chromium ")]
        while "https://" not in told[-1]:
            told.append(await asyncio.to_thread(demo.until, ""))
        _, *options, url = shlex.split("".join(told).replace("\\\n", " "))
        named = dict(option.removeprefix("--").split("=", 1) for option in options)
        pins = named["ignore-certificate-errors-spki-list"].split(",")
        async with browser(tmp_path / "profile", named["proxy-server"], pins) as chromium:
            page = await chromium.open(url)
            assert await page.run("desk.ready") is True
            await page.run("document.querySelector('[data-desk=rest] form button').click()")
            await asyncio.to_thread(demo.until, "order.placed  EURUSD  now 0.1")
            for account in ("hedging", "netting"):
                assert "filled" in await asyncio.to_thread(demo.until, account)
            await page.run("desk.until(() => document.querySelectorAll('[data-desk=rest] table button').length === 2)")
            assert await page.run("document.getElementById('said').textContent") == ""
