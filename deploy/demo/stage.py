"""One run of the demo: the broker, everything that `up` starts, the trader, and the comparison at the end.

The broker and the trader live in the supervisor's process; all that belongs to TradeCopier runs as it does in earnest,
each service in a process of its own, and the trader reaches the broker through the real proxy only.
"""

import asyncio
import itertools
import math
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from msgspec import Struct

from deploy import settings
from deploy.demo import authority, holdings, report, scenery, verdict
from deploy.demo.broker import ACCOUNTS, HOST, Broker
from deploy.demo.follower import Follower
from deploy.demo.page import Page, PageSettings, RestSeat
from deploy.demo.scenery import Scenery, how_to_look
from deploy.demo.story import story
from deploy.demo.trader import Seat, Trader
from deploy.fleet import Fleet
from deploy.local import unless_stopped
from shared import streams
from shared.process import Stop, UserError, cancelled
from shared.settings import Security, keyring
from shared.wire import Codec

POLL_S = 0.1
PATIENCE_S = 20.0
"""For one deed to be followed; far more than it takes, far less than a person would wait."""
LOOK_S = 0.05

Say = Callable[[str], None]


class Ended(Struct, frozen=True):
    """How a run ended: None when it was stopped before its verdict."""

    good: bool | None


class Stage:
    """Everything around one run. `say` prints a line."""

    def __init__(self, stop: Stop, place: Scenery, say: Say) -> None:
        self._stop = stop
        self._place = place
        self._say = say
        self._began = time.monotonic()
        self._waits: list[float] = []

    async def play(self, keep: bool) -> Ended:
        """Run from the start to the verdict; with `keep`, stay until stopped. Raises UserError."""
        good: bool | None = None

        async def act() -> None:
            nonlocal good
            broker, fleet, follower = await self._set(stack)
            good = await self._perform(stack, broker, fleet, follower)
            if keep:
                self._say(how_to_look(self._place, broker, await self._page(stack, broker)))
                await self._watch(follower)

        # A stop cancels what is being done and never the clearing away, which is why that is out here.
        async with AsyncExitStack() as stack:
            await unless_stopped(self._stop, act())
        return Ended(good if keep or not self._stop.requested else None)  # also if it was over before it listened

    async def _set(self, stack: AsyncExitStack) -> tuple[Broker, Fleet, Follower]:
        """Start the broker and all of TradeCopier; `stack` clears everything away."""
        ca, context = authority.issue(self._place.folder, HOST, datetime.now(UTC))
        broker = Broker(scenery.quoted, time.time)
        stack.push_async_callback(broker.stop)
        await broker.start(context)
        scenery.write(self._place, broker.port, ca)
        machine = settings.load(self._place.config, self._place.data, {})
        fleet = Fleet(machine, self._stop, ("--log-form", "readable"))
        stack.push_async_callback(fleet.stop)
        await fleet.start()
        self._say(f"Everything runs after {self._elapsed():.1f} s; logs are in {self._place.data / 'log'}.")
        redis = streams.connect(fleet.redis.reveal())
        stack.push_async_callback(redis.aclose)
        codec = Codec(scenery.NAMESPACE, keyring(Security(signing_key_file=settings.signing_key(machine))))
        follower = Follower(redis, streams.Keys(scenery.NAMESPACE), codec)
        await follower.begin()
        stack.push_async_callback(cancelled, asyncio.create_task(follower.follow()))
        return broker, fleet, follower

    async def _page(self, stack: AsyncExitStack, broker: Broker) -> Page:
        """Start the page to trade on; its host is none of ours to open, so it has an authority of its own."""
        self._place.page.mkdir()
        _, context = authority.issue(self._place.page, HOST, datetime.now(UTC))
        seat = RestSeat(url=f"https://{HOST}:{broker.port}", token=broker.token, account=ACCOUNTS[0])
        page = Page(PageSettings(rest=seat), {})
        stack.push_async_callback(page.stop)
        await page.start(context)
        broker.origins.add(f"https://{HOST}:{page.port}")
        return page

    async def _perform(self, stack: AsyncExitStack, broker: Broker, fleet: Fleet, follower: Follower) -> bool:
        trader = Trader(self._seat(broker), POLL_S)
        stack.push_async_callback(trader.leave)
        await trader.sit_down()
        await trader.looked_again()  # nobody trades before the page shows what is there
        accepted = await self._tell(trader, follower)
        await trader.looked_again()
        await trader.leave()
        return await self._judge(broker, fleet, follower, accepted)

    async def _tell(self, trader: Trader, follower: Follower) -> int:
        """Play the story, a line per deed; returns how many deeds the broker accepted."""
        number = accepted = 0
        async for deed in story(trader):
            number += 1
            self._say(report.deed_line(number, deed))
            if deed.answer == "accepted":
                accepted += 1
                await self._follow(follower, accepted)
                if accepted == 1:
                    self._say(f"       (the first copied trade, {self._elapsed():.1f} s after the start)")
            else:
                self._say(f"       {nothing_copied(follower, accepted)}")
        self._say(report.latency_line(self._waits))
        return accepted

    async def _follow(self, follower: Follower, number: int) -> None:
        try:
            fact = await follower.call(number, PATIENCE_S)
            outcomes = {name: await follower.outcome(fact, name, PATIENCE_S) for name in scenery.MARGINS}
        except TimeoutError:
            raise UserError(
                f"this was not followed within {PATIENCE_S:g} s; see the logs in {self._place.data / 'log'}"
            ) from None
        for line in report.outcome_lines(fact, outcomes):
            self._say(line)
        self._waits += [wait for outcome in outcomes.values() for wait in report.waits(fact, outcome)]

    async def _watch(self, follower: Follower) -> None:
        """Tell what becomes of whatever is traded from now on, until cancelled."""
        for number in itertools.count(len(follower.calls) + 1):
            fact = await follower.call(number, math.inf)
            self._say(report.fact_line(fact))
            outcomes = {name: await follower.outcome(fact, name, math.inf) for name in scenery.MARGINS}
            for line in report.outcome_lines(fact, outcomes):
                self._say(line)

    async def _judge(self, broker: Broker, fleet: Fleet, follower: Follower, accepted: int) -> bool:
        source = holdings.of_broker(broker.books[ACCOUNTS[0]])
        terminals = {
            name: await asyncio.to_thread(holdings.of_terminal, address, scenery.LOGINS[name], scenery.SERVER)
            for name, address in fleet.addresses.items()
        }
        published = [fact.id for fact in follower.facts]
        archive = await self._archived(fleet.postgres.reveal(), len(published) * len(terminals))
        checks = [
            check
            for name, books in terminals.items()
            for check in verdict.account_checks(name, source, books, netting=scenery.MARGINS[name] == "netting")
        ]
        checks += verdict.archive_checks(archive, terminals, accepted, published)
        return self._announce(checks)

    async def _archived(self, dsn: str, ends: int) -> holdings.Archive:
        """The archive, once it holds so many ends of facts or has had time enough to."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            archive = await asyncio.to_thread(holdings.of_archive, dsn, scenery.NAMESPACE)
            if sum(row.final for row in archive.outcomes) >= ends or time.monotonic() > deadline:
                return archive
            await asyncio.sleep(LOOK_S)

    def _announce(self, checks: Sequence[verdict.Check]) -> bool:
        good = all(check.good for check in checks)
        self._say("\nThe broker's book, both terminals and the archive, each asked by itself:")
        for line in verdict.lines(checks):
            self._say(line)
        self._say("\nEvery trade was copied." if good else "\nNOT everything was copied as it should have been.")
        return good

    def _seat(self, broker: Broker) -> Seat:
        return Seat(
            host=HOST,
            port=broker.port,
            account=ACCOUNTS[0],
            token=broker.token,
            context=ssl.create_default_context(cafile=str(self._place.proxy_ca)),
            proxy=("127.0.0.1", self._place.proxy_port),
        )

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


def nothing_copied(follower: Follower, accepted: int) -> str:
    """What to say after a refused deed. Raises UserError when something came of it."""
    if len(follower.calls) > accepted:
        raise UserError(f"a refused order was published: {follower.calls[-1].id}")
    return "nothing was copied"
