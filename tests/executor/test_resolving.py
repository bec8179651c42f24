"""An end by hand: it ends what nothing else can, changes what is ours accordingly, and never denies the terminal."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.asked import Desk, Resolve, TargetKind
from executor.marks import candidates, meaning
from executor.mt5.simulator.faults import FaultKind
from shared.facts import Fact
from shared.outcomes import Notice, Outcome, Pending, Result
from tests.executor.rig import ACCOUNT, CODEC, KEYS, PATIENCE_S, Simulator, Source, account, ended, running, told

NEVER = account(grace=1000.0)
"""Nothing is believed absent within a test."""
SLOW = account(grace=1000.0, deadline=100.0)
"""And a request may be under way for longer than a test takes."""
O1 = "demo/10001/o1"


@pytest.fixture
def desk(redis: Redis) -> Desk:
    """The operator's side of the desk."""
    return Desk(redis, KEYS, CODEC, ACCOUNT)


def resolve(target: TargetKind, name: str, result: Result = "denied", **changes: Any) -> Resolve:
    return Resolve(**{"target": target, "name": name, "result": result, "asked": datetime.now(UTC), **changes})


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():
            await asyncio.sleep(0.02)


async def answered(redis: Redis, desk: Desk, request: Resolve) -> None:
    """Ask, and wait until the lane has answered."""
    assert await desk.ask(request) == "asked"

    async def gone() -> bool:
        return not await redis.hlen(KEYS.account("replay", ACCOUNT))

    await until(gone)


async def notices(redis: Redis) -> list[str]:
    return [m.text for m in await told(redis) if isinstance(m, Notice)]


async def unresolved(redis: Redis, source: Source, simulator: Simulator) -> Fact:
    """An opening of which nobody knows the end, and never will; nothing that was asked can still be under way."""
    simulator.goes_wrong(FaultKind.NONE)
    fact = await source.buy("o1")

    async def parked() -> bool:
        return any(isinstance(m, Pending) for m in await told(redis))

    await until(parked)
    await asyncio.sleep(NEVER.window + NEVER.deadline)  # real time, as the terminal counts it
    return fact


async def test_what_may_still_be_under_way_is_not_ended_as_not_done(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    """Another executor may stand between its fence and its call."""
    async with running(valkey.url, simulator, SLOW):
        fact = await unresolved(redis, source, simulator)
        await answered(redis, desk, resolve("fact", fact.id))

    assert any("may still be on its way" in text for text in await notices(redis))
    assert not [m for m in await told(redis) if isinstance(m, Outcome)]


async def test_an_opening_that_stays_unknown_ends_as_it_is_said_and_what_waited_goes_on(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator, NEVER):
        fact = await unresolved(redis, source, simulator)
        second = await source.buy("o2")
        await answered(redis, desk, resolve("fact", fact.id, note="broker says no"))
        found = await ended(redis, 2)
        await source.close("o1")
        last = (await ended(redis, 3))[-1]

    assert [(o.fact, o.result, o.reason) for o in found] == [(fact.id, "denied", "by-hand"), (second.id, "filled", "")]
    assert "broker says no" in found[0].text
    assert (last.result, last.reason) == ("ignored", "nothing-here")
    pending: Any = await redis.xpending(KEYS.orders, ACCOUNT)
    assert pending["pending"] == 0


async def test_one_that_was_done_and_is_gone_counts_as_closed_here(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator, NEVER):
        fact = await unresolved(redis, source, simulator)
        await answered(redis, desk, resolve("fact", fact.id, "filled"))
        await source.buy("o1")
        found = await ended(redis, 2)

    assert [(o.result, o.reason) for o in found] == [("filled", "by-hand"), ("ignored", "closed-here")]
    assert await simulator.deals() == []


async def test_an_order_that_still_works_under_its_mark_is_not_ended(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator, NEVER) as lane:
        fact = await unresolved(redis, source, simulator)
        mark = candidates(lane._keeper.book.identity, meaning(fact), "open")[0]
        simulator.trade(action=5, symbol="EURUSD", volume=0.1, type=2, price=0.9, magic=mark)
        await answered(redis, desk, resolve("fact", fact.id))

    assert any("still works at the broker" in text for text in await notices(redis))
    assert not [m for m in await told(redis) if isinstance(m, Outcome)]


async def owed(redis: Redis, source: Source, simulator: Simulator) -> tuple[Fact, Fact]:
    """A position whose part close and close the broker refuses without end."""
    await source.buy("o1", "0.3")
    await ended(redis, 1)
    simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=0)
    facts = await source.close("o1", "0.1"), await source.close("o1")

    async def both() -> bool:
        return len([m for m in await told(redis) if isinstance(m, Pending)]) == 2

    await until(both)
    return facts


@pytest.mark.parametrize("target", ["link", "fact"])
async def test_an_exit_that_stays_owed_ends_for_all_that_wait_for_it(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk, target: TargetKind
) -> None:
    async with running(valkey.url, simulator):
        part, whole = await owed(redis, source, simulator)
        await answered(redis, desk, resolve(target, O1 if target == "link" else whole.id, "closed"))
        found = await ended(redis, 3)
        simulator.heal()
        await source.buy("o2")
        await ended(redis, 4)

    assert [(o.fact, o.result, o.reason) for o in found[1:]] == [
        (part.id, "closed", "by-hand"),
        (whole.id, "closed", "by-hand"),
    ]
    assert await redis.hlen(KEYS.account("debts", ACCOUNT)) == 0
    assert list(await redis.hgetall(KEYS.account("links", ACCOUNT))) == [b"demo/10001/o2"]
    assert sorted(v for _, _, v in await simulator.volumes()) == [0.1, 0.3]


async def test_an_entry_that_nobody_can_read_goes_to_the_dead_letters_and_openings_go_on(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk
) -> None:
    async with running(valkey.url, simulator):
        added: Any = await redis.xadd(KEYS.orders, {"m": b"{}", "k": b"k9", "s": b"0"})
        entry = added.decode()
        await until(lambda: _close_only(redis))
        await answered(redis, desk, resolve("entry", entry, "dead", note="of the old key"))

        async def open_again() -> bool:
            return await redis.hget(KEYS.account("state", ACCOUNT), "mode") == b"active"

        await until(open_again)
        await source.buy("o1")
        assert [o.result for o in await ended(redis, 1)] == ["filled"]

    dead: Any = await redis.xrange(KEYS.dead)
    assert [(f[b"entry"].decode(), f[b"reason"]) for _, f in dead] == [(entry, b"by-hand")]
    assert (await redis.xpending(KEYS.orders, ACCOUNT))["pending"] == 0


async def _close_only(redis: Redis) -> bool:
    return await redis.hget(KEYS.account("state", ACCOUNT), "mode") == b"close-only"


@pytest.mark.parametrize(
    "request_",
    [
        resolve("fact", "demo/10001/position:nobody/1"),
        resolve("link", O1, "closed"),
        resolve("entry", "1-1", "dead"),
        resolve("fact", "x", asked=datetime(2026, 1, 1, tzinfo=UTC)),
    ],
    ids=["no such fact", "nothing owed", "no such entry", "asked long ago"],
)
async def test_what_cannot_be_ended_is_refused_with_a_notice(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, desk: Desk, request_: Resolve
) -> None:
    late = request_.asked.year == 2026 and request_.asked.month == 1
    fresh = request_ if late else resolve(request_.target, request_.name, request_.result)
    async with running(valkey.url, simulator):
        await answered(redis, desk, fresh)

    (text,) = [t for t in await notices(redis) if "not done" in t]
    assert request_.name in text
    assert ("too long ago" if late else "nothing of that name") in text


async def test_one_who_asks_for_an_end_while_the_account_is_idle_is_told_so(redis: Redis, desk: Desk) -> None:
    asked = resolve("link", O1, asked=datetime.now(UTC) - timedelta(seconds=1))
    assert await desk.ask(asked) == "idle"
