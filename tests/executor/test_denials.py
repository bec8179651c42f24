"""Every reason for which we deny an opening, by its cause, from the stream of orders to the stream of outcomes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.simulator.faults import FaultKind
from executor.mt5.simulator.remote import Remote
from executor.reasons import Reason
from executor.settings import DAYS, Limits, Sizing, Symbols
from shared import outcomes
from shared.facts import Levels
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, account, ended, running, told

D = Decimal
OPEN = Limits(max_age=D(60), max_drift_percent=D(100), max_spread_percent=D(100), max_lots_per_order=D(1000))


@dataclass
class World:
    """What a case acts on."""

    source: Source
    simulator: Simulator
    redis: Redis

    async def buy(self, quantity: str = "0.1", **more: Any) -> None:
        await self.source.buy(f"o{self.source.seq}", quantity, **more)

    async def opened(self, quantity: str = "0.1") -> None:
        """One position that was copied before."""
        await self.buy(quantity)
        (first,) = await ended(self.redis, 1)
        assert first.result == "filled", first


Act = Callable[[World], Awaitable[None]]


async def buys(world: World) -> None:
    await world.buy()


async def buys_twice(world: World) -> None:
    await world.opened()
    await world.buy()


@dataclass(frozen=True)
class Case:
    """A cause. `before` happens at the terminal before the lane starts, `act` at the source."""

    text: str
    act: Act = buys
    settings: Mapping[str, Any] = field(default_factory=dict)
    before: Callable[[Remote], Any] = lambda _remote: None
    margin: str = "hedging"
    denied_after: int = 0


def limits(**changes: Any) -> dict[str, Any]:
    return {"limits": replace(OPEN, **changes)}


def rule(**rules: Any) -> Callable[[Remote], Any]:
    return lambda remote: remote.symbol("EURUSD", **rules)


def buying(quantity: str = "0.1", **more: Any) -> Act:
    async def act(world: World) -> None:
        await world.buy(quantity, **more)

    return act


async def old(world: World) -> None:
    await world.buy(captured=datetime.now(UTC) - timedelta(minutes=5))


async def without_rules(world: World) -> None:
    world.simulator.goes_wrong(FaultKind.NONE, function="symbol_info", code=-4, times=0)
    await world.buy()


async def rests(world: World) -> None:
    await world.source.limit("o1", "0.1", "1.05")


async def in_close_only(world: World) -> None:
    await world.redis.hset(KEYS.account("state", ACCOUNT), "mode", "close-only")
    await world.buy()


async def after_a_loss(world: World) -> None:
    """One lot loses 1,500 of 10,000, and the lane has said that it saw it."""
    await world.opened("1")
    world.simulator.price("EURUSD", "1.07000", "1.07008")
    async with asyncio.timeout(PATIENCE_S):
        while not any(isinstance(m, outcomes.Notice) for m in await told(world.redis)):
            await asyncio.sleep(0.05)
    await world.buy()


OTHER_DAY = DAYS[(datetime.now(UTC).weekday() + 3) % 7]

CASES: dict[Reason, Case] = {
    Reason.UNMAPPED_SYMBOL: Case("EURUSD has no symbol on this account", settings={"symbols": Symbols(suffix=".x")}),
    Reason.NO_SPECIFICATION: Case("does not tell the rules of EURUSD", without_rules),
    Reason.UNIT_UNKNOWN: Case("set quantity-unit", buying(contract=None)),
    Reason.NO_STOP_LOSS: Case("the source has set none", settings={"sizing": Sizing(mode="risk-percent")}),
    Reason.SIZE_UNKNOWN: Case(
        "the loss at the stop of EURUSD is not known",
        buying(levels=Levels(stop_loss=D("1.08512"))),
        settings={"sizing": Sizing(mode="risk-percent")},
    ),
    Reason.SIZE_BELOW_MINIMUM: Case("0.001 lots are below the least that EURUSD allows (0.01)", buying("0.001")),
    Reason.SIZE_ABOVE_MAXIMUM: Case("500 lots are above the most that one order of EURUSD", buying("500")),
    Reason.VOLUME_LIMIT: Case("broker's limit of 0.05 lots for EURUSD", before=rule(volume_limit="0.05")),
    Reason.FOREIGN_POSITION: Case(
        "holds EURUSD the other way",
        before=lambda remote: remote.trade(action=1, symbol="EURUSD", volume=0.3, type=1),
        margin="netting",
    ),
    Reason.ORDER_TYPE: Case("EURUSD does not take limit orders", rests, before=rule(orders=127 - 2)),
    Reason.TOO_OLD: Case("s old and openings are followed for 60 s", old, settings=limits()),
    Reason.NO_PRICE: Case("no price of EURUSD", before=lambda remote: remote.price("EURUSD", 0, 0)),
    Reason.PRICE_RAN_AWAY: Case(
        "the price moved 10.59 % from the source's 1.08512 to 1.20008; 0.5 % are allowed",
        before=lambda remote: remote.price("EURUSD", "1.20000", "1.20008"),
        settings=limits(max_drift_percent=D("0.5")),
    ),
    Reason.SPREAD: Case(
        "the spread of EURUSD is 3.57 %",
        before=lambda remote: remote.price("EURUSD", "1.08", "1.12"),
        settings=limits(max_spread_percent=D("0.5")),
    ),
    Reason.LOTS_PER_ORDER: Case("0.1 lots in one order; 0.05", settings=limits(max_lots_per_order=D("0.05"))),
    Reason.LOTS_PER_SYMBOL: Case(
        "0.2 lots of EURUSD would be open; 0.15", buys_twice, limits(max_lots_per_symbol=D("0.15")), denied_after=1
    ),
    Reason.LOTS: Case("0.2 lots would be open in all", buys_twice, limits(max_lots=D("0.15")), denied_after=1),
    Reason.POSITIONS: Case("1 positions and orders are open", buys_twice, limits(max_positions=1), denied_after=1),
    Reason.ORDERS_PER_MINUTE: Case(
        "1 openings in the last", buys_twice, limits(max_orders_per_minute=1), denied_after=1
    ),
    Reason.RISK: Case(
        "85.2 USD (0.85 %) would be lost at the stop; 0.5 % are allowed",
        buying(levels=Levels(stop_loss=D("1.0766"))),
        limits(max_risk_percent=D("0.5")),
    ),
    Reason.SYMBOL_DENIED: Case("EURUSD is not to be traded", settings=limits(symbols_denied=frozenset({"EURUSD"}))),
    Reason.SIDE_DENIED: Case("buy orders are not to be copied", settings=limits(sides=frozenset({"sell"}))),
    Reason.OUTSIDE_HOURS: Case("not allowed at this hour", settings=limits(hours=(f"{OTHER_DAY} 00:00-23:59",))),
    Reason.DAILY_LOSS: Case("the day's loss is 15.1", after_a_loss, limits(), denied_after=1),
    Reason.DRAWDOWN: Case(
        "below its peak",
        after_a_loss,
        limits(max_daily_loss_percent=D(90), max_drawdown_percent=D(5)),
        denied_after=1,
    ),
    Reason.STATE: Case("the account is close-only", in_close_only),
}


def test_there_is_a_cause_for_every_reason() -> None:
    assert {*CASES, Reason.EXIT_OWED} == set(Reason)


@asynccontextmanager
async def terminal(folder: Path, case: Case) -> AsyncIterator[Simulator]:
    simulator = Simulator(folder / "terminal", case.margin)
    await simulator.start()
    try:
        simulator.price("EURUSD", "1.08504", "1.08512")
        with closing(Remote.at(simulator.address)) as remote:
            case.before(remote)
        yield simulator
    finally:
        simulator.stop()


@pytest.mark.parametrize("reason", CASES)
async def test_denied_because_of(reason: Reason, valkey: Valkey, redis: Redis, source: Source, tmp_path: Path) -> None:
    case = CASES[reason]
    async with terminal(tmp_path, case) as simulator:
        before = len(await simulator.deals())
        async with running(valkey.url, simulator, account(**{"limits": OPEN, **case.settings})):
            await case.act(World(source, simulator, redis))
            found = await ended(redis, case.denied_after + 1)
        deals = len(await simulator.deals()) - before

    outcome = found[case.denied_after]
    assert (outcome.result, outcome.reason) == ("denied", reason), outcome
    assert case.text in outcome.text
    assert "?" not in outcome.text
    assert deals == sum(1 for o in found if o.result == "filled")


async def test_denied_because_of_an_exit_that_is_owed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """A reversal opens nothing while what it is to close is still there, and opens when that is done."""
    turning = Source(redis, "netting")
    await turning.open()
    async with running(valkey.url, simulator):
        await turning.buy("EURUSD", "0.1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018)
        await turning.buy("EURUSD", "-0.3")
        (_, outcome) = await ended(redis, 2)
        owed = [m for m in await told(redis) if isinstance(m, outcomes.Pending)]

    assert [(m.state, m.reason) for m in owed] == [("owed", "market-closed")]
    assert [s.reason for s in owed[0].steps] == ["market-closed", Reason.EXIT_OWED]
    assert outcome.result == "filled"
    assert await simulator.volumes() == [("EURUSD", 1, 0.2)]
