"""The real way of an order, for measuring: the demo's broker and trader around everything that `up` starts.

One account on a simulated terminal that answers at once. The trader polls as a browser does and keeps trading at a
given pace, opening and closing in turn, so that positions stay few; nothing reads along while it trades, what the
streams say is read afterwards.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from deploy import settings
from deploy.bench.hop import moments
from deploy.bench.samples import Run, gathered
from deploy.demo import authority, scenery
from deploy.demo.broker import ACCOUNTS, HOST, Broker
from deploy.demo.rules import Rules
from deploy.demo.scenery import Scenery
from deploy.demo.trader import Seat, Trader
from deploy.directory import free_port
from deploy.fleet import Fleet
from deploy.settings import Machine
from shared import streams
from shared.facts import Fact
from shared.outcomes import Outcome
from shared.process import Stop
from shared.settings import Secret, Security, keyring
from shared.wire import Codec

ACCOUNT = "hedging"
INSTRUMENT, QUANTITY = "EURUSD", "0.01"
POLL_S = 0.5
"""What the broker's `/config` asks a page to do."""
KEEP_FINAL_S = 2.0
"""A finished order leaves the broker's list after this: at this pace the list is then about as long as a trader's."""
ORDERS_PER_MINUTE = 1_000_000
"""The account's bound on openings, raised: it would stop what no trader could do by hand."""
PATIENCE_S = 20.0
LOOK_S = 0.1
PAGE = 10_000

Told = Callable[[int], None]
"""Hears how many orders were given so far."""


class Journey:
    """Everything that an order passes, running. Use `open`."""

    def __init__(self, machine: Machine, url: Secret, redis: Redis, codec: Codec, trader: Trader) -> None:
        self.machine = machine
        self.url = url
        self.redis = redis
        self._keys = streams.Keys(scenery.NAMESPACE)
        self._codec = codec
        self._trader = trader
        self._closed: set[str] = set()
        self._opened_last = False

    async def run(self, orders: int, pace: float, seed: int, told: Told) -> Run:
        """Give so many orders and see what became of them. Raises UserError and what the trader's calls raise."""
        ends = {stream: await self._end(stream) for stream in (self._keys.orders, self._keys.outcomes)}
        began = time.monotonic()
        for number, pause in enumerate(moments(orders, pace, seed), 1):
            began += pause
            await asyncio.sleep(max(0.0, began - time.monotonic()))
            await self._order(random.Random(seed + number))
            told(number)
        return await self._gather(ends, orders)

    async def _order(self, chance: random.Random) -> None:
        """Open a position, or close one that the page shows: in turn, if the page shows one."""
        shown = [str(row["id"]) for row in self._trader.positions if str(row["id"]) not in self._closed]
        if shown and self._opened_last:
            self._closed.add(shown[0])
            await self._trader.close(shown[0])
        else:
            await self._trader.place(INSTRUMENT, chance.choice(("buy", "sell")), QUANTITY)
        self._opened_last = not self._opened_last

    async def _gather(self, ends: dict[str, str], orders: int) -> Run:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = await self._since(self._keys.orders, ends)
            facts = [(entry, fact) for entry, fields in found if isinstance(fact := self._codec.fact(fields), Fact)]
            called = [(entry, fact) for entry, fact in facts if fact.evidence == "call"]
            outcomes = await self._outcomes(ends)
            done = len(called) >= orders and all(fact.id in outcomes for _, fact in called)
            if done or time.monotonic() > deadline:
                sizes = [sum(len(k) + len(v) for k, v in fields.items()) for _, fields in found]
                return gathered(called, outcomes, sum(sizes) // max(1, len(sizes)))
            await asyncio.sleep(LOOK_S)

    async def _outcomes(self, ends: dict[str, str]) -> dict[str, Outcome]:
        read = [self._codec.outcome(fields) for _, fields in await self._since(self._keys.outcomes, ends)]
        return {message.fact: message for message in read if isinstance(message, Outcome)}

    async def _end(self, stream: str) -> str:
        last = cast(list[Any], await self.redis.xrevrange(stream, count=1))
        return last[0][0].decode() if last else "0-0"

    async def _since(self, stream: str, ends: dict[str, str]) -> list[tuple[str, dict[bytes, bytes]]]:
        found: list[tuple[str, dict[bytes, bytes]]] = []
        start = ends[stream]
        while page := cast(list[Any], await self.redis.xrange(stream, f"({start}", "+", count=PAGE)):
            found += [(entry.decode(), fields) for entry, fields in page]
            start = found[-1][0]
        return found


async def opened(stop: Stop, folder: Path, stack: AsyncExitStack) -> Journey:
    """Start the broker, all services and the trader; `stack` clears everything away. Raises UserError."""
    ca, context = authority.issue(folder, HOST, datetime.fromtimestamp(time.time(), UTC))
    broker = Broker(scenery.quoted, time.time, Rules(keep_final=KEEP_FINAL_S))
    stack.push_async_callback(broker.stop)
    await broker.start(context)
    place = Scenery(folder=folder, proxy_port=free_port())
    write_settings(place, broker.port, ca)
    machine = settings.load(place.config, place.data, {})
    fleet = Fleet(machine, stop, ("--log-form", "readable"))
    stack.push_async_callback(fleet.stop)
    await fleet.start()
    redis = streams.connect(fleet.redis.reveal())
    stack.push_async_callback(redis.aclose)
    trader = Trader(_seat(broker, place), POLL_S)
    stack.push_async_callback(trader.leave)
    await trader.sit_down()
    codec = Codec(scenery.NAMESPACE, keyring(Security(signing_key_file=settings.signing_key(machine))))
    return Journey(machine, fleet.redis, redis, codec, trader)


def write_settings(place: Scenery, port: int, ca: Path) -> None:
    """The demo's settings for one account, with room for more openings than a person makes."""
    scenery.write(place, port, ca, {ACCOUNT: scenery.MARGINS[ACCOUNT]})
    with place.config.open("a", encoding="utf-8") as file:
        file.write(f"\n[executor.accounts.{ACCOUNT}.limits]\nmax-orders-per-minute = {ORDERS_PER_MINUTE}\n")


def _seat(broker: Broker, place: Scenery) -> Seat:
    return Seat(
        host=HOST,
        port=broker.port,
        account=ACCOUNTS[0],
        token=broker.token,
        context=ssl.create_default_context(cafile=str(place.proxy_ca)),
        proxy=("127.0.0.1", place.proxy_port),
    )
