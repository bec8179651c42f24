"""What MT5 does by itself is seen, told, and never undone by a later fact."""

import asyncio
from contextlib import closing
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.control import order
from deploy.embedded import Valkey
from executor.book import Figures
from executor.mt5.simulator.remote import Remote
from executor.settings import Limits
from executor.watch import noted, remembered
from shared import outcomes
from shared.facts import Levels
from tests.executor.rig import ACCOUNT, CODEC, KEYS, PATIENCE_S, Simulator, Source, account, ended, running, told

D = Decimal


async def seen(redis: Redis, kind: type, count: int = 1) -> list[outcomes.Message]:
    """Messages of a kind, once there are so many."""
    async with asyncio.timeout(PATIENCE_S):
        while len(found := [m for m in await told(redis) if isinstance(m, kind)]) < count:
            await redis.xread({KEYS.outcomes: "$"}, block=50)
    return found


async def stopped(redis: Redis) -> None:
    """Once a lane has stopped openings and said so, and waits for an entry."""
    await seen(redis, outcomes.Notice)
    async with asyncio.timeout(PATIENCE_S):
        while await redis.hget(KEYS.account("state", ACCOUNT), "mode") != b"close-only":
            await asyncio.sleep(0.02)


async def buried(redis: Redis, position: str) -> None:
    """Once it is known that a position was closed here: its deal may be told by the look before."""
    async with asyncio.timeout(PATIENCE_S):
        while b'"tombstone":true' not in (
            await redis.hget(KEYS.account("links", ACCOUNT), f"demo/10001/{position}") or b""
        ):
            await asyncio.sleep(0.05)


async def test_a_position_that_a_stop_closed_stays_closed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", levels=Levels(stop_loss=D("1.08")))
        await ended(redis, 1)
        simulator.price("EURUSD", "1.07", "1.0701")
        (_, deal) = await seen(redis, outcomes.Deal, 2)
        await source.close("o1", "0.04")
        await source.close("o1")
        found = await ended(redis, 3)

    assert isinstance(deal, outcomes.Deal)
    assert (deal.reason, deal.entry, deal.volume) == ("stop_loss", "out", D("0.1"))
    assert deal.profit < 0
    assert [(o.result, o.reason) for o in found[1:]] == [("ignored", "closed-here")] * 2
    assert len(await simulator.deals()) == 2


async def test_a_position_that_was_closed_by_hand_stays_closed_and_says_so(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        await simulator.close_by_hand()
        (_, deal) = await seen(redis, outcomes.Deal, 2)
        await buried(redis, "o1")
        await source.levels("o1", stop_loss=D("1.08"))
        found = await ended(redis, 2)

    assert isinstance(deal, outcomes.Deal)
    assert deal.reason == "hand"
    assert (found[1].result, found[1].reason) == ("ignored", "closed-here")


async def test_what_is_closed_by_hand_after_links_stood_against_each_other_stays_closed(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    """Closing the first of two opposed links makes the position of the second one anew, under another number."""
    async with running(valkey.url, netting):
        await source.buy("o1", "0.1")
        await source.buy("o2", "-0.1")
        await source.close("o1")
        assert [o.result for o in await ended(redis, 3)] == ["filled", "filled", "closed"]
        assert await netting.volumes() == [("EURUSD", 1, 0.1)]
        await netting.close_by_hand()
        await buried(redis, "o2")
        await source.close("o2")
        found = await ended(redis, 4)

    assert (found[-1].result, found[-1].reason) == ("ignored", "closed-here")
    assert len(await netting.deals()) == 4


async def test_each_deal_is_told_once_however_often_the_history_is_looked_at(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        for count, order in enumerate(("o1", "o2", "o3"), start=1):
            await source.buy(order)
            await seen(redis, outcomes.Deal, count)
        simulator.trade(action=1, symbol="EURUSD", volume=0.1, type=0)
        found = await seen(redis, outcomes.Deal, 4)

    assert [d.deal for d in found if isinstance(d, outcomes.Deal)] == [d.ticket for d in await simulator.deals()]


async def test_a_deal_that_comes_into_the_history_late_is_told_all_the_same(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """The account shows at once what it did, and then nothing happens any more."""
    with closing(Remote.at(simulator.address)) as remote:
        remote.settings(history_lag=3000)
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await seen(redis, outcomes.Deal)
        await simulator.close_by_hand()
        found = await seen(redis, outcomes.Deal, 2)

    assert [(d.entry, d.reason) for d in found if isinstance(d, outcomes.Deal)] == [("in", "copier"), ("out", "hand")]


async def test_a_mirrored_order_that_fills_here_first_covers_the_sources_fill(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        limit = await source.limit("o1", "0.1", "1.08")
        await ended(redis, 1)
        simulator.price("EURUSD", "1.0790", "1.0791")
        await source.fill(limit)
        await ended(redis, 2)
        await source.close("o1")
        found = await ended(redis, 3)

    assert [o.result for o in found] == ["accepted", "ignored", "closed"]
    assert await simulator.volumes() == []
    assert len(await simulator.deals()) == 2


async def test_an_order_that_the_source_filled_first_is_replaced_by_one_at_market(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        limit = await source.limit("o1", "0.1", "1.08")
        await ended(redis, 1)
        await source.fill(limit)
        found = await ended(redis, 2)

    assert [o.result for o in found] == ["accepted", "filled"]
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]
    assert await simulator.orders() == []


BREACHES = {"notify": ("filled", ["EURUSD"]), "close-only": ("denied", ["EURUSD"]), "flatten": ("denied", [])}


@pytest.mark.parametrize("action", BREACHES)
async def test_a_loss_past_the_limit(
    action: str, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    limits = Limits(
        max_age=D(60), max_drift_percent=D(100), max_spread_percent=D(100), max_daily_loss_percent=D("0.5"),
        on_breach=action,  # type: ignore[arg-type]
    )  # fmt: skip
    async with running(valkey.url, simulator, account(limits=limits)):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.price("EURUSD", "1.0700", "1.0701")
        (notice,) = await seen(redis, outcomes.Notice)
        assert isinstance(notice, outcomes.Notice)
        assert notice.reason == "daily-loss"
        async with asyncio.timeout(PATIENCE_S):
            while [symbol for symbol, _, _ in await simulator.volumes()] != BREACHES[action][1]:
                await asyncio.sleep(0.05)
        mode = await redis.hget(KEYS.account("state", ACCOUNT), "mode")
        await source.buy("o2", "0.1")
        found = await ended(redis, 2)

    assert mode == (b"active" if action == "notify" else b"close-only")
    assert found[-1].result == BREACHES[action][0]


@pytest.mark.parametrize("limit", ["daily", "drawdown"])
async def test_resume_arms_a_limit_on_losses_again_and_a_new_lane_keeps_it_so(
    limit: str, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    wide: Any = {"max_age": D(60), "max_drift_percent": D(100), "max_spread_percent": D(100)}
    narrow: Any = {
        f"max_{name}_percent": D("0.5" if name.startswith(limit) else 90) for name in ("daily_loss", "drawdown")
    }
    settings = account(limits=Limits(**wide, **narrow, on_breach="close-only"))
    async with running(valkey.url, simulator, settings):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.price("EURUSD", "1.0700", "1.0701")
        await stopped(redis)
        await order(redis, KEYS, lambda: CODEC, "resume", {ACCOUNT: True})
        await source.buy("o2", "0.1")
        await ended(redis, 2)
    async with running(valkey.url, simulator, settings):
        await source.buy("o3", "0.1")
        found = await ended(redis, 3)

    assert [o.result for o in found] == ["filled", "filled", "filled"]


def narrow(**limits: Any) -> Limits:
    wide: Any = {"max_age": D(60), "max_drift_percent": D(100), "max_spread_percent": D(100)}
    return Limits(**{**wide, "max_daily_loss_percent": D(20), "max_drawdown_percent": D(20), **limits})


async def marked(redis: Redis, peak: str) -> None:
    """Once limits are measured from there."""
    async with asyncio.timeout(PATIENCE_S):
        while D(str(await redis.hget(KEYS.account("state", ACCOUNT), "peak") or b"b'0'")[2:-1]) != D(peak):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("lag", [0, 2500])
@pytest.mark.parametrize("kind", ["balance", "credit"])
async def test_money_paid_out_is_no_loss_whenever_the_history_tells_of_it(
    kind: str, lag: int, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    settings = account(limits=narrow(on_breach="flatten"))
    with closing(Remote.at(simulator.address)) as remote:
        remote.settings(history_lag=lag)
        async with running(valkey.url, simulator, settings):
            await source.buy("o1")
            await ended(redis, 1)
            remote.deposit(-6000, kind=kind)
            await marked(redis, "4000")
            await source.buy("o2")
            found = await ended(redis, 2)

    assert [o.result for o in found] == ["filled", "filled"]
    assert not [m for m in await told(redis) if isinstance(m, outcomes.Notice)]
    assert len(await simulator.volumes()) == 2


async def test_money_paid_out_while_no_lane_was_at_work_is_no_loss(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    settings = account(limits=narrow(on_breach="flatten"))
    async with running(valkey.url, simulator, settings):
        await source.buy("o1")
        await ended(redis, 1)
        await marked(redis, "10000")
    with closing(Remote.at(simulator.address)) as remote:
        remote.withdraw(6000)
    async with running(valkey.url, simulator, settings):
        await source.buy("o2")
        found = await ended(redis, 2)
        await marked(redis, "4000")

    assert [o.result for o in found] == ["filled", "filled"]
    assert not [m for m in await told(redis) if isinstance(m, outcomes.Notice)]


async def test_money_paid_in_hides_no_loss(valkey: Valkey, redis: Redis, source: Source, simulator: Simulator) -> None:
    async with running(valkey.url, simulator, account(limits=narrow(on_breach="close-only"))):
        await source.buy("o1", "1")
        await ended(redis, 1)
        with closing(Remote.at(simulator.address)) as remote:
            remote.deposit(10_000)
        await marked(redis, "20000")
        simulator.price("EURUSD", "1.04000", "1.04001")
        (notice,) = await seen(redis, outcomes.Notice)

    assert isinstance(notice, outcomes.Notice)
    assert notice.reason == "daily-loss"


async def test_a_charge_is_a_loss(valkey: Valkey, redis: Redis, source: Source, simulator: Simulator) -> None:
    async with running(valkey.url, simulator, account(limits=narrow(on_breach="close-only"))):
        with closing(Remote.at(simulator.address)) as remote:
            remote.deposit(-6000, kind="charge")
        (notice,) = await seen(redis, outcomes.Notice)

    assert isinstance(notice, outcomes.Notice)
    assert notice.reason == "daily-loss"


def test_what_limits_are_measured_from_survives_a_restart() -> None:
    figures = Figures(
        currency="USD", balance=D(1), equity=D(1), margin_free=D(1), day=date(2026, 11, 25), day_start=D(9), peak=D(10)
    )

    kept = remembered(noted(figures))

    assert kept is not None
    assert (kept.day, kept.day_start, kept.peak, kept.explained) == (date(2026, 11, 25), D(9), D(10), D(1))
    assert remembered({}) is None
    assert remembered(noted(replace(figures, peak=None))) is None
    assert remembered({name: mark for name, mark in noted(figures).items() if name != "explained"}) is not None
