"""Resting orders end to end: each way in which the source's and ours can part, and where the account is afterwards."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.simulator.faults import FaultKind
from shared import outcomes
from shared.facts import Levels, OrderEnded, OrderFilled, OrderModified, OrderPlaced
from tests.executor.rig import Simulator, Source, account, ended, running, told

D = Decimal


async def filled_here(simulator: Simulator) -> None:
    """Let our order at 1.05 fill, and the price come back."""
    simulator.price("EURUSD", "1.04900", "1.04908")
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]
    simulator.price("EURUSD", "1.08504", "1.08512")


async def test_the_source_ends_unfilled_what_has_filled_here(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        placed = await source.limit("o1", "0.1", "1.05")
        await ended(redis, 1)
        await filled_here(simulator)
        await source.end(placed, "canceled")
        found = await ended(redis, 2)

    assert [(o.result, o.reason) for o in found] == [("accepted", ""), ("closed", "source-unfilled")]
    assert found[1].text == "the source's order ended unfilled, so what ours had filled was closed"
    assert await simulator.volumes() == []


async def test_the_source_fills_what_still_works_here(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """Ours is removed, and only then opened at market."""
    async with running(valkey.url, simulator):
        placed = await source.limit("o1", "0.1", "1.05")
        await ended(redis, 1)
        await source.fill(placed)
        found = await ended(redis, 2)

    assert [o.result for o in found] == ["accepted", "filled"]
    assert [s.action for s in found[1].steps] == ["remove order", "open"]
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]
    assert await simulator.orders() == []


async def test_the_source_fills_what_still_works_here_and_the_price_has_gone(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """The opening guards count: the order is removed and what it should have given is denied."""
    near = replace(account().limits, max_drift_percent=D("0.5"))
    async with running(valkey.url, simulator, account(limits=near)):
        placed = await source.limit("o1", "0.1", "1.05")
        await ended(redis, 1)
        await source.tell(
            OrderFilled,
            "o1",
            D("0.1"),
            order=replace(placed.order, filled=D("0.1"), average_price=D("1.05")),
            price=D("1.05"),
        )
        found = await ended(redis, 2)

    assert (found[1].result, found[1].reason) == ("canceled", "price-ran-away")
    assert (await simulator.volumes(), await simulator.orders()) == ([], [])


async def test_both_fill_whoever_is_first(valkey: Valkey, redis: Redis, source: Source, simulator: Simulator) -> None:
    async with running(valkey.url, simulator):
        placed = await source.limit("o1", "0.1", "1.05")
        await ended(redis, 1)
        await filled_here(simulator)
        await source.fill(placed)
        await source.close("o1")
        found = await ended(redis, 3)

    assert [o.result for o in found] == ["accepted", "ignored", "closed"]
    assert await simulator.volumes() == []
    assert len(await simulator.deals()) == 2


async def test_an_order_is_moved_and_canceled_with_the_source(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        placed = await source.limit("o1", "0.1", "1.05")
        moved = replace(placed.order, limit_price=D("1.04"))
        await source.tell(OrderModified, "o1", D(0), order=moved, levels=Levels(stop_loss=D("1.03")))
        await ended(redis, 2)
        orders: Any = await eyes.orders()
        await source.end(replace(placed, order=moved), "canceled")
        found = await ended(redis, 3)

    assert [(o.price_open, o.sl) for o in orders] == [(1.04, 1.03)]
    assert [o.result for o in found] == ["accepted", "modified", "canceled"]
    assert await simulator.orders() == []


@pytest.mark.parametrize(("gave", "left"), [("0", []), ("0.04", [("EURUSD", 0, 0.04)])], ids=["rejected", "a part"])
async def test_an_accepted_order_that_the_source_does_not_fill_whole_is_brought_to_what_it_filled(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, gave: str, left: list[tuple[str, int, float]]
) -> None:
    async with running(valkey.url, simulator):
        placed = await source.buy("o1", "0.1")
        await ended(redis, 1)
        assert isinstance(placed, OrderPlaced)
        order = replace(placed.order, filled=D(gave))
        await source.tell(OrderEnded, "o1", D(gave) - D("0.1"), order=order, reason="rejected")
        found = await ended(redis, 2)

    assert [o.result for o in found] == ["filled", "closed"]
    assert await simulator.volumes() == left


async def test_a_removal_that_is_refused_is_owed_and_ends_as_canceled(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        placed = await source.limit("o1", "0.1", "1.05")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018)
        await source.end(placed, "canceled")
        found = await ended(redis, 2)
        owed = [m.reason for m in await told(redis) if isinstance(m, outcomes.Pending)]

    assert owed == ["market-closed"]
    assert [o.result for o in found] == ["accepted", "canceled"]
    assert await simulator.orders() == []


async def test_on_fill_nothing_rests_here_and_the_fill_is_followed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, account(pending_orders="on-fill")):
        placed = await source.limit("o1", "0.1", "1.05")
        await ended(redis, 1)
        assert await simulator.orders() == []
        await source.fill(placed)
        found = await ended(redis, 2)

    assert [(o.result, o.reason) for o in found] == [("ignored", "waits-for-fill"), ("filled", "")]
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]
