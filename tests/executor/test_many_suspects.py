"""Two hundred openings that may have been sent: an exit does not wait for them, and each of them ends exactly once."""

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor import marks
from executor.follower import Follower
from executor.mt5.api import Unknown
from executor.mt5.simulator.faults import FaultKind
from executor.mt5.terminal import Terminal
from executor.search import Search
from executor.settings import Account, Limits
from shared.facts import Fact
from shared.outcomes import Outcome
from tests.executor.rig import ACCOUNT, KEYS, Simulator, Source, account, ended, running

MANY = 200
SLOW_MS = 250
"""How long the terminal takes for its history."""
ENOUGH_S = 120


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows with every reading of the whole history."""
    counted: list[None] = []
    read = Terminal.history_orders

    async def history_orders(self: Terminal, *args: Any, **named: Any) -> Any:
        counted.append(None)
        return await read(self, *args, **named)

    monkeypatch.setattr(Terminal, "history_orders", history_orders)
    return counted


def patient(grace: float) -> Account:
    hundred = Decimal(100)
    limits = Limits(
        max_age=Decimal(600), max_drift_percent=hundred, max_spread_percent=hundred, max_positions=1000,
        max_orders_per_minute=1000,
    )  # fmt: skip
    return account(grace=grace, limits=limits)


async def delivered(redis: Redis, source: Source) -> list[Fact]:
    """Openings that an executor took which is dead by now."""
    facts = [await source.buy(f"o{n}", "0.01") for n in range(MANY)]
    await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"}, count=MANY)
    return facts


def executed(simulator: Simulator, fact: Fact) -> None:
    magic = marks.candidates("1@Demo", marks.meaning(fact), "open")[0]
    simulator.trade(action=1, symbol="EURUSD", volume=0.01, type=0, magic=magic)


async def opened(url: str, redis: Redis, source: Source, simulator: Simulator) -> int:
    """Have a position x from before, and say its ticket."""
    async with running(url, simulator):
        await source.buy("x", "0.01")
        await ended(redis, 1)
    (deal,) = await simulator.deals()
    return int(deal.position_id)


async def waited_for(ticket: int, simulator: Simulator, readings: list[None]) -> int:
    """How often the history was read by when a position is closed."""
    async with simulator.eyes() as eyes, asyncio.timeout(ENOUGH_S):
        while True:
            positions = await eyes.positions()
            assert not isinstance(positions, Unknown)
            if ticket not in {p.ticket for p in positions}:
                return len(readings)


async def all_ended(redis: Redis, count: int) -> list[Outcome]:
    async with asyncio.timeout(ENOUGH_S):
        while len(found := await ended(redis, 1)) < count:
            await asyncio.sleep(0.1)
    return found


async def test_a_take_over_reads_once_for_all_of_them_and_the_exit_behind_them_is_done(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, readings: list[None]
) -> None:
    ticket = await opened(valkey.url, redis, source, simulator)
    await delivered(redis, source)
    await source.close("x")
    readings.clear()

    async with running(valkey.url, simulator, patient(3600.0)):
        assert await waited_for(ticket, simulator, readings) == 1


async def test_an_exit_that_comes_while_all_of_them_are_looked_for_waits_for_one_reading_at_most(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, readings: list[None]
) -> None:
    ticket = await opened(valkey.url, redis, source, simulator)
    await delivered(redis, source)
    simulator.goes_wrong(FaultKind.LATENCY, function="history_orders_get", delay=SLOW_MS, times=0)

    async with running(valkey.url, simulator, patient(60.0)) as lane:
        async with asyncio.timeout(ENOUGH_S):
            while len(lane.meter.unresolved_since()) < MANY:
                await asyncio.sleep(0.05)
        readings.clear()
        await source.close("x")

        assert await waited_for(ticket, simulator, readings) <= 2, "one that ran already, and another one"


async def test_each_of_them_ends_once_whether_it_was_sent_or_not_and_an_exit_goes_between(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, readings: list[None]
) -> None:
    ticket = await opened(valkey.url, redis, source, simulator)
    facts = await delivered(redis, source)
    for fact in facts[::2]:
        executed(simulator, fact)

    async with running(valkey.url, simulator, patient(1.0)):
        await all_ended(redis, 1 + MANY // 2 + 10)
        readings.clear()
        await source.close("x")
        between = await waited_for(ticket, simulator, readings)
        left = MANY + 2 - len(await ended(redis, 1))
        found = await all_ended(redis, MANY + 2)
    deals = [d for d in await simulator.deals() if d.position_id != ticket]

    assert between <= 2
    assert left > 0, "the exit did not wait for all of them"
    assert Counter(o.fact for o in found if o.result == "filled").keys() >= {fact.id for fact in facts}
    assert set(Counter(o.fact for o in found).values()) == {1}
    assert len(deals) == len({d.magic for d in deals}) == MANY


async def test_what_waited_while_redis_lost_writes_is_planned_and_searched_a_few_times_each_however_much_it_is(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Openings that are closed again, and such as are not; nobody has read them. What was made of them is found."""
    await opened(valkey.url, redis, source, simulator)
    facts = []
    for n in range(MANY // 2):
        facts += [await source.buy(f"o{n}", "0.01"), await source.buy(f"p{n}", "0.01"), await source.close(f"o{n}")]
    await source.close("x")
    executed(simulator, facts[1])
    await redis.hset(KEYS.account("state", ACCOUNT), "server", "0" * 40)
    calls = counted(monkeypatch, (Search, "search"), (Follower, "follow"))

    async with running(valkey.url, simulator, patient(3.0)):
        found = await all_ended(redis, len(facts) + 2)
    openings = Counter(d.magic for d in await simulator.deals() if d.entry == 0)

    assert set(Counter(o.fact for o in found).values()) == set(openings.values()) == {1}
    assert max(calls.values()) <= 4 * len(facts), "that of each does not grow with the others"
    assert sum(lots for _, _, lots in await simulator.volumes()) == pytest.approx(0.01 * MANY / 2)


def counted(monkeypatch: pytest.MonkeyPatch, *methods: tuple[type, str]) -> Counter[str]:
    """How often each of these is called from now on."""
    calls: Counter[str] = Counter()
    for owner, name in methods:
        real = getattr(owner, name)

        async def call(*args: Any, _real: Any = real, _name: str = name, **named: Any) -> Any:
            calls[_name] += 1
            return await _real(*args, **named)

        monkeypatch.setattr(owner, name, call)
    return calls
