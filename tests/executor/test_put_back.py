"""What an account had followed is delivered to a new process as if it were new: nothing of it is opened once more.

Whoever has the operator's Redis password can put back an account's earlier memory and set its group back with it.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.book import Margin
from executor.marks import candidates, meaning
from executor.mt5.terminal import Terminal
from executor.search import Search
from shared.facts import Fact, Model
from shared.outcomes import Pending
from tests.executor.inside import Inside, now, own_time
from tests.executor.rig import ACCOUNT, KEYS, Simulator, Source, account, ended, running, told
from tests.executor.test_brokers import WIDE
from tests.executor.test_follow import COMBINATIONS, actions, story

REMEMBERED = ("place", "links", "debts", "state", "done")
FOREVER = account(grace=600.0)
"""A test that waits for a grace fails."""
TURNS = 10
D = Decimal
Deeds = list[tuple[str, int, Decimal]]
SHARED: list[Deeds] = [
    [("add", 0, D("0.1")), ("add", 0, D("0.1")), ("turn", 0, D("0.1"))],
    [("add", 0, D("0.1")), ("add", 0, D("0.1")), ("less", 0, D("0.1"))],
    [("add", 0, D("0.1")), ("turn", 0, D("0.1")), ("add", 0, D("0.1"))],
    [("add", 1, D("0.3")), *[("less", 0, D("0.1"))] * 2, *[("turn", 0, D("0.1"))] * 2],
    [("add", 0, D("0.1")), *[("turn", 0, D("0.1"))] * 2, ("add", 0, D("0.1")), ("turn", 0, D("0.2"))],
]
"""Growths, part closes and reversals of one netting position."""
Memory = Mapping[str, Mapping[bytes, bytes]]


async def kept(redis: Redis) -> Memory:
    return {part: await cast(Any, redis.hgetall(KEYS.account(part, ACCOUNT))) for part in REMEMBERED}


async def put_back(redis: Redis, earlier: Memory) -> None:
    """Bring the account's memory, and how far its group has read, to what they were."""
    for part, values in earlier.items():
        await redis.delete(KEYS.account(part, ACCOUNT))
        if values:
            await redis.hset(KEYS.account(part, ACCOUNT), mapping=cast(Any, dict(values)))
    await redis.xgroup_setid(KEYS.orders, ACCOUNT, earlier["place"][b"entry"])


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows with every reading of what may have been sent."""
    counted: list[None] = []
    read = Terminal.history_orders

    async def history_orders(self: Terminal, *args: Any, **named: Any) -> Any:
        counted.append(None)
        return await read(self, *args, **named)

    monkeypatch.setattr(Terminal, "history_orders", history_orders)
    return counted


async def test_an_opening_that_a_process_before_this_one_has_made_is_found(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    earlier = await kept(redis)
    async with running(valkey.url, simulator, FOREVER):
        await source.buy("a")
        await source.buy("b", "0.2")
        await ended(redis, 2)
    await put_back(redis, earlier)

    async with running(valkey.url, simulator, FOREVER):
        found = await ended(redis, 4)
        await source.close("b")
        await ended(redis, 5)

    assert [(o.fact[-3:], o.result) for o in found[2:]] == [("a/1", "filled"), ("b/1", "filled")]
    assert len(await simulator.deals()) == 3
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]


async def test_neither_is_one_opened_again_that_was_closed_since(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    earlier = await kept(redis)
    async with running(valkey.url, simulator, FOREVER):
        await source.buy("a")
        await source.close("a")
        await ended(redis, 2)
    await put_back(redis, earlier)

    async with running(valkey.url, simulator, FOREVER):
        await ended(redis, 4)

    assert len(await simulator.deals()) == 2
    assert await simulator.volumes() == []


async def test_an_order_that_rests_is_not_placed_once_more(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    earlier = await kept(redis)
    async with running(valkey.url, simulator, FOREVER):
        placed = await source.limit("a", "0.1", "1.07000")
        await ended(redis, 1)
    await put_back(redis, earlier)

    async with running(valkey.url, simulator, FOREVER):
        await ended(redis, 2)
        assert len(await simulator.orders()) == 1
        await source.end(placed, "canceled")
        await ended(redis, 3)

    assert await simulator.orders() == []


async def test_a_copy_that_is_added_while_the_account_is_served_is_known_by_when_it_was_captured(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    earlier = await kept(redis)
    async with running(valkey.url, simulator, FOREVER):
        await source.buy("a")
        await ended(redis, 1)
    ((entry, fields),) = cast(Any, await redis.xrange(KEYS.orders))
    await redis.xdel(KEYS.orders, entry)
    await put_back(redis, earlier)

    async with running(valkey.url, simulator, FOREVER):
        await redis.xadd(KEYS.orders, fields)
        found = await ended(redis, 2)

    assert [o.result for o in found] == ["filled", "filled"]
    assert len(await simulator.deals()) == 1


async def test_after_a_mere_restart_what_nobody_has_read_is_opened_at_once_and_the_terminal_read_once_for_all_of_it(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, readings: list[None]
) -> None:
    async with running(valkey.url, simulator, FOREVER):
        await source.buy("o")
        await ended(redis, 1)
    for number in range(20):
        await source.buy(f"a{number}")

    async with running(valkey.url, simulator, FOREVER):
        await ended(redis, 21)
        read = len(readings)
        await source.buy("b")
        found = await ended(redis, 22)

    assert {o.result for o in found} == {"filled"}
    assert not [m for m in await told(redis) if isinstance(m, Pending)]
    assert len(await simulator.deals()) == 22
    assert read == len(readings) == 1


async def test_without_the_look_it_would_be_opened_twice(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it is young enough."""

    async def nothing(self: Search, meaning: str) -> bool:
        return False

    monkeypatch.setattr(Search, "shows", nothing)
    earlier = await kept(redis)
    async with running(valkey.url, simulator, FOREVER):
        await source.buy("a")
        await ended(redis, 1)
    await put_back(redis, earlier)

    async with running(valkey.url, simulator, FOREVER):
        await ended(redis, 2)

    assert len(await simulator.deals()) == 2


# -- whatever was followed, from wherever it is delivered again


class Again:
    """An account that follows a story, and a new process that is told some of it again beside an earlier memory."""

    def __init__(self, margin: Margin) -> None:
        options = {"margin_mode": margin, "balance": Decimal(10**7)}
        self.inside = Inside(account(limits=WIDE, window=1.0, deadline=1.0, grace=3.0), **options)

    async def follows(self, facts: list[Fact], since: int) -> None:
        await self.inside.begin()
        earlier: Mapping[str, Any] = {}
        for number, fact in enumerate(facts):
            if number == since:
                earlier = dict(self.inside.keeper.book.links)
            await self.inside.follow(fact)
        await self.inside.settle()
        self.inside.ledger.ends.clear()
        await self.inside.begin()
        self.inside.keeper.remember(earlier)
        for link in earlier.values():
            await self.inside.keeper.ensure(link.symbol)

    async def told_again(self, facts: list[Fact]) -> None:
        for number, fact in enumerate(facts):
            young = replace(fact, captured=now())
            await self.inside.follower.follow(f"{1000 + number}-0", young, suspect=False, early=True)
            await self.inside.turn()
        for _ in range(TURNS):  # on a netting account what is whose may stay unknown for as long as a fact is young
            await self.inside.turn()

    def openings(self, fact: Fact) -> set[int]:
        """The orders by which a fact has opened something."""
        marks = candidates(self.inside.keeper.book.identity, meaning(fact), "open")
        return {deal.order for deal in self.inside.machine.store.deals.values() if deal.magic in marks}


@pytest.mark.parametrize(("model", "margin"), COMBINATIONS)
@given(deeds=actions, since=st.integers(0, 10))
@settings(max_examples=30, deadline=None)
def test_no_opening_of_any_story_is_made_twice(
    model: Model, margin: Margin, deeds: list[tuple[str, int, Decimal]], since: int
) -> None:
    facts = story(model, deeds)
    again = Again(margin)

    async def all_of_it() -> None:
        await again.follows(facts, since)
        before = [again.openings(fact) for fact in facts]
        await again.told_again(facts[since:])
        assert all(len(orders) <= 1 for orders in before)
        assert [again.openings(fact) for fact in facts] == before

    with own_time(again.inside):
        asyncio.run(all_of_it())


@pytest.mark.parametrize("since", range(3))
@pytest.mark.parametrize("deeds", SHARED)
def test_what_is_followed_again_leaves_all_of_a_netting_position_ours_so_that_its_exit_closes_it(
    deeds: Deeds, since: int
) -> None:
    facts, leaving = story("netting", [*deeds, ("close", 0, D(1))]), len(story("netting", deeds))
    again = Again("netting")

    async def all_of_it() -> None:
        await again.follows(facts[:leaving], since)
        before = again.inside.keeper.book.holdings
        await again.told_again(facts[since:leaving])
        await again.inside.settle()
        assert again.inside.keeper.book.holdings == before
        for fact in facts[leaving:]:
            await again.inside.follow(fact)
        await again.inside.settle()
        assert not again.inside.keeper.book.holdings

    with own_time(again.inside):
        asyncio.run(all_of_it())
