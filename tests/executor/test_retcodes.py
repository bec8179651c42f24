"""Every retcode of MetaTrader 5 from the orders to the outcomes stream: what becomes of the fact, in words.

Most are brought about by their cause in the simulated terminal; then all of them once more as the mere answer to an
opening and to a close. Where nothing else is said, openings are refused for good and exits are owed until done.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.lane import Lane
from executor.mt5.api import Retcode, retcode_text
from executor.mt5.simulator.faults import FaultKind
from executor.mt5.simulator.remote import Remote
from executor.reasons import Obstacle, say
from shared import outcomes
from shared.facts import Levels, OrderPlaced
from tests.executor.rig import PATIENCE_S, Simulator, Source, account, ended, running, told

D = Decimal
WIDE = replace(
    account().limits, max_lots_per_order=D(1000), max_lots_per_symbol=D(1000), max_lots=D(1000),
    max_orders_per_minute=1000,
)  # fmt: skip


@dataclass
class World:
    """A lane that has copied one position, `o1`, and knows the symbol by its first rules."""

    source: Source
    simulator: Simulator
    redis: Redis
    lane: Lane
    count: int = 1

    def rules(self, **rules: Any) -> None:
        """Change the symbol under the lane's eyes."""
        with closing(Remote.at(self.simulator.address)) as remote:
            remote.symbol("EURUSD", **rules)

    def account(self, **rules: Any) -> None:
        with closing(Remote.at(self.simulator.address)) as remote:
            remote.account(**rules)

    def switches(self, **switches: Any) -> None:
        with closing(Remote.at(self.simulator.address)) as remote:
            remote.settings(**switches)

    async def outcome(self) -> outcomes.Outcome:
        """The end of the next fact."""
        self.count += 1
        return (await ended(self.redis, self.count))[-1]

    async def bought(self, quantity: str = "0.1", **more: Any) -> outcomes.Outcome:
        await self.source.buy(f"p{self.count}", quantity, **more)
        return await self.outcome()

    async def rested(self, price: str = "1.05", **more: Any) -> tuple[OrderPlaced, outcomes.Outcome]:
        placed = await self.source.limit(f"p{self.count}", "0.1", price, **more)
        return placed, await self.outcome()

    async def pending(self, *states: str) -> list[tuple[str, str]]:
        """The states that facts were in meanwhile, once there is one of `states`."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found: list[tuple[str, str]] = [
                    (m.state, m.reason) for m in await told(self.redis) if isinstance(m, outcomes.Pending)
                ]
                if any(state in states for state, _ in found):
                    return found
                await asyncio.sleep(0.02)


Cause = Callable[[World], Awaitable[outcomes.Outcome]]


def by(**rules: Any) -> Cause:
    """Buy under other rules of the symbol."""

    async def cause(world: World) -> outcomes.Outcome:
        world.rules(**rules)
        return await world.bought()

    return cause


def under(what: str, **rules: Any) -> Cause:
    """Buy (0.1 more) under other rules of the account or other switches."""

    async def cause(world: World) -> outcomes.Outcome:
        getattr(world, what)(**rules)
        return await world.bought()

    return cause


def trading(quantity: str) -> Cause:
    async def cause(world: World) -> outcomes.Outcome:
        return await world.bought(quantity)

    return cause


def sells(what: str, **rules: Any) -> Cause:
    async def cause(world: World) -> outcomes.Outcome:
        getattr(world, what)(**rules)
        return await world.bought("-0.1")

    return cause


async def without_quotes(world: World) -> outcomes.Outcome:
    world.simulator.price("EURUSD", "0", "0")
    return await world.bought()


async def limit_above_the_market(world: World) -> outcomes.Outcome:
    return (await world.rested("1.2"))[1]


async def limit_that_is_over(world: World) -> outcomes.Outcome:
    async with asyncio.timeout(PATIENCE_S):
        while world.lane.broker_clock.offset is None:
            await asyncio.sleep(0.05)
    return (await world.rested(expires=datetime.now(UTC) - timedelta(minutes=1)))[1]


async def two_limits(world: World) -> outcomes.Outcome:
    world.account(limit_orders=1)
    await world.rested()
    return (await world.rested())[1]


REFUSED: Mapping[Retcode, tuple[Cause, Obstacle]] = {
    Retcode.REJECT: (by(liquidity="0.06"), Obstacle.REFUSED),  # all or nothing, and there is not all
    Retcode.INVALID: (by(selected=False), Obstacle.INVALID_REQUEST),
    Retcode.INVALID_VOLUME: (by(volume_min="0.5"), Obstacle.INVALID_VOLUME),
    Retcode.INVALID_PRICE: (limit_above_the_market, Obstacle.INVALID_PRICE),
    Retcode.TRADE_DISABLED: (by(trade_mode=0), Obstacle.SYMBOL_OFF),
    Retcode.MARKET_CLOSED: (by(open=False), Obstacle.MARKET_CLOSED),
    Retcode.NO_MONEY: (trading("90"), Obstacle.NO_MONEY),
    Retcode.PRICE_OFF: (without_quotes, Obstacle.PRICE),
    Retcode.INVALID_EXPIRATION: (limit_that_is_over, Obstacle.INVALID_EXPIRATION),
    Retcode.SERVER_DISABLES_AT: (under("account", trade_expert=False), Obstacle.TRADING_OFF),
    Retcode.CLIENT_DISABLES_AT: (under("switches", algo_trading=False), Obstacle.TRADING_OFF),
    Retcode.INVALID_FILL: (by(filling=4), Obstacle.FILLING),
    Retcode.LIMIT_ORDERS: (two_limits, Obstacle.BROKER_LIMIT),
    Retcode.LIMIT_VOLUME: (by(volume_limit="0.15"), Obstacle.BROKER_LIMIT),
    Retcode.INVALID_ORDER: (by(orders=126), Obstacle.INVALID_REQUEST),
    Retcode.LIMIT_POSITIONS: (under("account", limit_positions=1), Obstacle.BROKER_LIMIT),
    Retcode.LONG_ONLY: (sells("rules", trade_mode=1), Obstacle.NOT_ALLOWED),
    Retcode.SHORT_ONLY: (by(trade_mode=2), Obstacle.NOT_ALLOWED),
    Retcode.CLOSE_ONLY: (by(trade_mode=3), Obstacle.NOT_ALLOWED),
    Retcode.HEDGE_PROHIBITED: (sells("account", hedge_prohibited=True), Obstacle.NOT_ALLOWED),
}
"""Openings that the broker refuses for good, each by its cause."""


@pytest.fixture
async def world(valkey: Valkey, redis: Redis, source: Source, simulator: Simulator) -> Any:
    async with running(valkey.url, simulator, account(limits=WIDE)) as lane:
        await source.buy("o1")
        await ended(redis, 1)
        yield World(source, simulator, redis, lane)


@pytest.mark.parametrize("code", REFUSED, ids=lambda code: code.name)
async def test_an_opening_is_rejected_because_of(code: Retcode, world: World) -> None:
    cause, reason = REFUSED[code]

    outcome = await cause(world)

    assert (outcome.result, outcome.reason) == ("rejected", reason), outcome
    assert outcome.steps[-1].retcode == code
    assert outcome.text == f"{say(reason)} ({retcode_text(code)})"


async def test_10008_a_market_order_that_is_accepted_is_followed_until_it_fills(world: World) -> None:
    world.switches(fill_delay=400)

    outcome = await world.bought()

    assert outcome.result == "filled"
    assert await world.pending("unresolved")
    assert len(await world.simulator.deals()) == 2


async def test_10009_done(world: World) -> None:
    outcome = await world.bought()
    assert (outcome.result, outcome.steps[0].retcode) == ("filled", Retcode.DONE)


async def test_10010_a_part_is_told_and_the_rest_is_let_go(world: World) -> None:
    world.rules(filling=2, liquidity="0.06")

    outcome = await world.bought()

    assert (outcome.result, outcome.reason) == ("filled", "partly-done")
    assert outcome.text == "only a part was done: 0.06 of 0.1 lots"
    world.rules(liquidity="0")
    await world.source.close("p1")
    assert (await world.outcome()).result == "closed"
    assert len(await world.simulator.volumes()) == 1


async def test_10016_the_position_is_opened_without_its_stop_which_is_owed_until_it_can_be_set(world: World) -> None:
    world.simulator.price("EURUSD", "1.07000", "1.07008")
    fact = await world.source.buy("p1", levels=Levels(stop_loss=D("1.08")))
    assert fact.levels.stop_loss
    states = await world.pending("owed")
    assert states[-1] == ("owed", "invalid-stops")
    assert len(await world.simulator.volumes()) == 2

    world.simulator.price("EURUSD", "1.09000", "1.09008")
    outcome = await world.outcome()

    assert outcome.result == "filled"
    async with world.simulator.eyes() as eyes:
        positions: Any = await eyes.positions()
    assert [p.sl for p in positions] == [0.0, 1.08]


async def test_10023_an_order_that_has_gone_under_the_request_needs_nothing(world: World) -> None:
    placed, accepted = await world.rested()
    assert accepted.result == "accepted"
    (ticket,) = await world.simulator.orders()
    world.simulator.trade(action=8, order=ticket)
    await world.source.end(placed, "canceled")
    assert (await world.outcome()).result == "ignored"


async def test_10029_a_close_that_is_frozen_is_owed_until_the_price_has_gone(world: World) -> None:
    await world.source.levels("o1", stop_loss=D("1.08400"))
    await world.outcome()
    world.rules(freeze_level=200)
    await world.source.close("o1")
    assert (await world.pending("owed"))[-1] == ("owed", "frozen")

    world.simulator.price("EURUSD", "1.09000", "1.09008")

    assert (await world.outcome()).result == "closed"
    assert await world.simulator.volumes() == []


async def test_10030_another_filling_mode_of_the_symbol_is_tried_once(world: World) -> None:
    world.rules(filling=2)
    assert (await world.bought()).result == "filled"


async def test_10031_without_a_link_to_the_broker_nobody_knows_and_nothing_is_sent_twice(world: World) -> None:
    world.switches(connected=False)
    await world.source.buy("p1")
    await world.pending("unresolved")
    world.switches(connected=True)
    assert (await world.outcome()).result == "filled"
    assert len(await world.simulator.deals()) == 2


async def test_10036_a_position_that_was_closed_by_hand_a_moment_ago_is_closed(world: World) -> None:
    await world.simulator.close_by_hand()
    await world.source.close("o1")
    outcome = await world.outcome()
    assert (outcome.result, outcome.reason) == ("ignored", "closed-here")
    assert outcome.text == "already closed on this account"


async def test_10039_while_another_order_closes_the_position_the_close_is_owed(world: World) -> None:
    async with world.simulator.eyes() as eyes:
        positions: Any = await eyes.positions()
    world.switches(fill_delay=3000)
    world.simulator.trade(action=1, symbol="EURUSD", volume=0.1, type=1, position=positions[0].ticket)
    world.switches(fill_delay=0)
    await world.source.close("o1")
    assert (await world.pending("owed"))[-1] == ("owed", "busy")
    assert (await world.outcome()).result == "closed"
    assert len(await world.simulator.deals()) == 2


async def test_10045_a_newer_position_is_closed_when_the_older_one_has_gone(world: World) -> None:
    assert (await world.bought()).result == "filled"
    world.account(fifo_close=True)
    await world.source.close("p1")
    assert (await world.pending("owed"))[-1] == ("owed", "not-allowed")
    await world.source.close("o1")
    world.count += 1
    assert [o.result for o in (await ended(world.redis, world.count + 1))[2:]] == ["closed", "closed"]
    assert await world.simulator.volumes() == []


# -- the mere answer, for those that have no cause in the simulator as well

RETRIED = {
    Retcode.REQUOTE: Obstacle.PRICE,
    Retcode.PRICE_CHANGED: Obstacle.PRICE,
    Retcode.PRICE_OFF: Obstacle.PRICE,
    Retcode.INVALID_PRICE: Obstacle.INVALID_PRICE,
    Retcode.INVALID_FILL: Obstacle.FILLING,
    Retcode.ORDER_CHANGED: Obstacle.CHANGED,
    Retcode.TOO_MANY_REQUESTS: Obstacle.BUSY,
    Retcode.LOCKED: Obstacle.BUSY,
    Retcode.CLOSE_ORDER_EXIST: Obstacle.BUSY,
}
"""Asked again at once a few times, and refused only when that has not helped."""

AT_ONCE = {
    Retcode.REJECT: Obstacle.REFUSED,
    Retcode.CANCEL: Obstacle.REFUSED,
    Retcode.INVALID: Obstacle.INVALID_REQUEST,
    Retcode.INVALID_VOLUME: Obstacle.INVALID_VOLUME,
    Retcode.INVALID_STOPS: Obstacle.INVALID_STOPS,
    Retcode.TRADE_DISABLED: Obstacle.SYMBOL_OFF,
    Retcode.MARKET_CLOSED: Obstacle.MARKET_CLOSED,
    Retcode.NO_MONEY: Obstacle.NO_MONEY,
    Retcode.INVALID_EXPIRATION: Obstacle.INVALID_EXPIRATION,
    Retcode.NO_CHANGES: Obstacle.CHANGED,
    Retcode.SERVER_DISABLES_AT: Obstacle.TRADING_OFF,
    Retcode.CLIENT_DISABLES_AT: Obstacle.TRADING_OFF,
    Retcode.FROZEN: Obstacle.FROZEN,
    Retcode.ONLY_REAL: Obstacle.NOT_ALLOWED,
    Retcode.LIMIT_ORDERS: Obstacle.BROKER_LIMIT,
    Retcode.LIMIT_VOLUME: Obstacle.BROKER_LIMIT,
    Retcode.INVALID_ORDER: Obstacle.INVALID_REQUEST,
    Retcode.INVALID_CLOSE_VOLUME: Obstacle.CHANGED,
    Retcode.LIMIT_POSITIONS: Obstacle.BROKER_LIMIT,
    Retcode.REJECT_CANCEL: Obstacle.REFUSED,
    Retcode.LONG_ONLY: Obstacle.NOT_ALLOWED,
    Retcode.SHORT_ONLY: Obstacle.NOT_ALLOWED,
    Retcode.CLOSE_ONLY: Obstacle.NOT_ALLOWED,
    Retcode.FIFO_CLOSE: Obstacle.NOT_ALLOWED,
    Retcode.HEDGE_PROHIBITED: Obstacle.NOT_ALLOWED,
}
"""Refused by the first answer."""

UNKNOWN = {Retcode.ERROR, Retcode.TIMEOUT, Retcode.CONNECTION, Retcode.PLACED, 10_999}
"""They do not say whether it was done. The last is in no list."""

TOLD_ONLY_BY_CAUSE = {Retcode.DONE, Retcode.DONE_PARTIAL, Retcode.POSITION_CLOSED}
TRIES = 4
MODES = 2
"""So many filling modes does EURUSD take, and each is asked for once."""


def test_every_retcode_is_shown_here() -> None:
    injected = {*RETRIED, *AT_ONCE, *UNKNOWN} - {10_999}
    assert injected | TOLD_ONLY_BY_CAUSE == set(Retcode)
    assert len(REFUSED) >= 20


async def test_an_opening_that_is_refused_again_and_again_is_rejected_with_the_reason_in_words(world: World) -> None:
    found, wanted = {}, {}
    for code, reason in {**RETRIED, **AT_ONCE}.items():
        times = MODES if code == Retcode.INVALID_FILL else TRIES if code in RETRIED else 1
        world.simulator.goes_wrong(FaultKind.RETCODE, code=int(code), times=times)
        outcome = await world.bought()
        found[code.name] = (outcome.result, outcome.reason, outcome.text)
        wanted[code.name] = ("rejected", str(reason), f"{say(reason)} ({retcode_text(code)})")
    assert found == wanted
    assert len(await world.simulator.deals()) == 1


async def test_what_may_pass_in_a_moment_is_asked_again_and_done(world: World) -> None:
    for code in RETRIED:
        world.simulator.goes_wrong(FaultKind.RETCODE, code=int(code), times=1)
        assert (await world.bought()).result == "filled", code
    assert len(await world.simulator.deals()) == 1 + len(RETRIED)


@pytest.mark.parametrize("execute", [True, False], ids=["done", "not done"])
async def test_an_answer_that_says_nothing_is_found_out_and_the_opening_done_once(world: World, execute: bool) -> None:
    for code in sorted(UNKNOWN):
        world.simulator.goes_wrong(FaultKind.RETCODE, code=int(code), execute=execute)
        assert (await world.bought()).result == "filled", code
    assert len(await world.simulator.deals()) == 1 + len(UNKNOWN)


async def test_a_close_that_is_refused_for_whatever_cause_is_owed_with_the_reason_and_done(world: World) -> None:
    found, wanted = {}, {}
    for code, reason in {**RETRIED, **AT_ONCE}.items():
        position = f"p{world.count}"
        await world.bought()
        world.simulator.goes_wrong(FaultKind.RETCODE, code=int(code), times=TRIES if code in RETRIED else 1)
        fact = await world.source.close(position)
        outcome = await world.outcome()
        owed = [m for m in await told(world.redis) if isinstance(m, outcomes.Pending) and m.fact == fact.id]
        found[code.name] = [(m.state, m.reason, m.text) for m in owed], outcome.result
        wanted[code.name] = [("owed", str(reason), f"{say(reason)} ({retcode_text(code)})")], "closed"
    assert found == wanted
    assert len(await world.simulator.volumes()) == 1


@pytest.mark.parametrize("execute", [True, False], ids=["done", "not done"])
async def test_a_close_whose_answer_says_nothing_is_done_once(world: World, execute: bool) -> None:
    for code in sorted(UNKNOWN):
        position = f"p{world.count}"
        await world.bought()
        world.simulator.goes_wrong(FaultKind.RETCODE, code=int(code), execute=execute)
        await world.source.close(position)
        assert (await world.outcome()).result == "closed", code
    assert len(await world.simulator.volumes()) == 1
    assert len(await world.simulator.deals()) == 1 + 2 * len(UNKNOWN)
