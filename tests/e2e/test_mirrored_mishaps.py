"""Resting orders and reversals, when something goes wrong on the way: the account still ends where the source is.

Each story is one that a random search over stories and faults has once shown to end wrong.
"""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.simulator.faults import FaultKind
from executor.mt5.terminal import Terminal
from shared import facts
from tests.executor.conftest import redis, source
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, account, ended, running

__all__ = ["redis", "source"]

D = Decimal
MARKET_CLOSED: dict[str, Any] = {"kind": FaultKind.RETCODE, "code": 10018}


@pytest.fixture(params=["hedging", "netting"])
async def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Simulator]:
    """An account of either kind whose EURUSD stands still."""
    simulator = Simulator(tmp_path / "terminal", request.param)
    await simulator.start()
    simulator.price("EURUSD", "1.08504", "1.08512")
    yield simulator
    simulator.stop()


def dip(terminal: Simulator) -> None:
    """Let the price touch what rests below it."""
    terminal.price("EURUSD", "1.0790", "1.0791")
    terminal.price("EURUSD", "1.08504", "1.08512")


async def cancel(source: Source, placed: facts.OrderPlaced) -> None:
    ended_order = {"order": placed.order, "reason": "canceled"}
    await source.tell(facts.OrderEnded, placed.exposure.position, D(0), **ended_order)


async def at_rest(redis: Redis, terminal: Simulator, count: int) -> Decimal:
    """The account's net lots once every fact has its end and nothing is owed."""
    found = await ended(redis, count)
    async with asyncio.timeout(PATIENCE_S):
        while await redis.hlen(KEYS.account("debts", ACCOUNT)):
            await asyncio.sleep(0.05)
    assert len({o.fact for o in found}) == len(found)
    return sum((D(str(v)) * (1 - 2 * side) for _, side, v in await terminal.volumes()), D(0))


CLOSES: dict[str, dict[str, Any]] = {
    "refused": {**MARKET_CLOSED, "times": 2},
    "without an answer and not done": {"kind": FaultKind.NONE, "code": -1},
    "without an answer and done": {"kind": FaultKind.NONE, "code": -1, "execute": True},
    "done late": {"kind": FaultKind.LATE, "delay": 300},
}


@pytest.mark.parametrize("fault", CLOSES.values(), ids=CLOSES)
async def test_a_reversal_opens_the_other_side_when_its_close_was(
    fault: dict[str, Any], valkey: Valkey, redis: Redis, source: Source, terminal: Simulator
) -> None:
    async with running(valkey.url, terminal):
        await source.buy("o1", "0.2")
        await ended(redis, 1)
        terminal.goes_wrong(**fault)
        await source.tell(facts.PositionReversed, "o1", D("-0.3"))
        net = await at_rest(redis, terminal, 2)

    assert net == D("-0.1")


async def test_an_order_that_filled_here_and_was_canceled_there_is_closed_again(
    valkey: Valkey, redis: Redis, source: Source, terminal: Simulator
) -> None:
    async with running(valkey.url, terminal):
        placed = await source.limit("o1", "0.1", "1.08")
        await ended(redis, 1)
        dip(terminal)
        terminal.goes_wrong(**MARKET_CLOSED, times=3)
        await cancel(source, placed)
        net = await at_rest(redis, terminal, 2)

    assert net == 0


async def test_an_order_that_cannot_be_removed_is_removed_later(
    valkey: Valkey, redis: Redis, source: Source, terminal: Simulator
) -> None:
    async with running(valkey.url, terminal):
        placed = await source.limit("o1", "0.1", "1.08")
        await ended(redis, 1)
        terminal.goes_wrong(**MARKET_CLOSED, times=3)
        await cancel(source, placed)
        await at_rest(redis, terminal, 2)

    assert await terminal.orders() == []


async def test_an_order_whose_removal_is_unknown_is_not_doubled_by_the_sources_fill(
    valkey: Valkey, redis: Redis, source: Source, terminal: Simulator
) -> None:
    async with running(valkey.url, terminal):
        placed = await source.limit("o1", "0.1", "1.08")
        await ended(redis, 1)
        terminal.goes_wrong(FaultKind.NONE, code=-1, times=4)
        await source.fill(placed)
        net = await at_rest(redis, terminal, 2)

    assert net == D("0.1")
    assert await terminal.orders() == []


async def test_an_order_of_an_unknown_end_that_was_canceled_there_does_not_stay(
    valkey: Valkey, redis: Redis, source: Source, terminal: Simulator
) -> None:
    async with running(valkey.url, terminal, account(grace=2.0)):
        terminal.goes_wrong(FaultKind.LATE, delay=500)
        await cancel(source, await source.limit("o1", "0.1", "1.08"))
        await at_rest(redis, terminal, 2)

    assert await terminal.orders() == []


async def test_an_order_that_fills_while_an_exit_is_owed_comes_on_top(
    valkey: Valkey, redis: Redis, source: Source, terminal: Simulator
) -> None:
    async with running(valkey.url, terminal):
        await source.buy("o1", "0.4")
        order = facts.Order(id="add", type="limit", side="buy", quantity=D("0.1"), limit_price=D("1.08"))
        placed = await source.tell(facts.OrderPlaced, "o1", D(0), order=order)
        await ended(redis, 2)
        terminal.goes_wrong(**MARKET_CLOSED, times=3)
        await source.close("o1", "0.2")
        dip(terminal)
        assert isinstance(placed, facts.OrderPlaced)
        await source.fill(placed)
        net = await at_rest(redis, terminal, 4)

    assert net == D("0.3")


async def test_nothing_goes_to_another_account_that_the_terminal_was_switched_to(
    valkey: Valkey, redis: Redis, source: Source, terminal: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, real = asyncio.Event(), Terminal.account

    async def switched(self: Terminal) -> Any:
        answer = replace(await real(self), login=2)
        asked.set()  # from here on the lane knows
        return answer

    async with running(valkey.url, terminal):
        await source.buy("o1")
        await ended(redis, 1)
        monkeypatch.setattr(Terminal, "account", switched)
        await asked.wait()
        await source.buy("o2")
        async with asyncio.timeout(PATIENCE_S):
            asked.clear()
            await asked.wait()
        held = await terminal.volumes()

    assert len(held) == 1
