"""The broker's clock is measured from ticks that were made just now, and from no others."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.brokerclock import BrokerClock, zone
from executor.mt5.api import OrderTime
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, ended, running

NOW = 1_790_000_000.0


def tick(ahead: float, now: float = NOW) -> int:
    return int((now + ahead) * 1000)


def test_a_first_tick_says_nothing_since_it_may_be_old() -> None:
    assert BrokerClock().ticked("EURUSD", tick(7200), NOW).offset is None


@pytest.mark.parametrize(
    ("hours", "late", "offset"),
    [(2, 0.3, 7200), (3, 2.0, 10800), (-5, 0.1, -18000), (5.5, 0.0, 19800), (5.75, 1.0, 20700), (0, 0.5, 0)],
)
def test_a_tick_that_follows_another_tells_the_zone(hours: float, late: float, offset: int) -> None:
    clock = BrokerClock().ticked("EURUSD", tick(hours * 3600, NOW - 10), NOW - 10)
    clock = clock.ticked("EURUSD", tick(hours * 3600 - late), NOW)
    assert clock.offset == offset
    assert clock.skew == pytest.approx(-late, abs=0.01)


def test_a_tick_that_is_seen_again_or_is_older_changes_nothing() -> None:
    clock = BrokerClock().ticked("EURUSD", tick(7199), NOW).ticked("EURUSD", tick(7200), NOW)
    assert clock.ticked("EURUSD", tick(7200), NOW + 3000) is clock
    assert clock.ticked("EURUSD", tick(3600), NOW + 3000) is clock


def test_a_tick_after_the_broker_changed_to_summer_time_tells_the_new_zone() -> None:
    clock = BrokerClock().ticked("EURUSD", tick(7199), NOW).ticked("EURUSD", tick(7200), NOW)
    assert clock.ticked("EURUSD", tick(10800, NOW + 60), NOW + 60).offset == 10800


@pytest.mark.parametrize("ahead", [7200 - 300, 7200 + 400, 20 * 3600, -15 * 3600])
def test_what_is_no_zone_is_not_believed(ahead: float) -> None:
    clock = BrokerClock().ticked("EURUSD", 1, NOW)
    assert clock.ticked("EURUSD", tick(ahead), NOW).offset is None


def test_ticks_of_one_symbol_make_none_of_another_fresh() -> None:
    clock = BrokerClock().ticked("EURUSD", tick(7200), NOW)
    assert clock.ticked("XAUUSD", tick(7300), NOW).offset is None


@pytest.mark.parametrize(("offset", "text"), [(0, "UTC"), (10800, "UTC+3"), (-16200, "UTC-4:30"), (20700, "UTC+5:45")])
def test_a_zone_reads_as_traders_write_it(offset: int, text: str) -> None:
    assert zone(offset) == text


async def test_an_order_that_expires_does_so_on_the_brokers_clock_and_the_sources_end_is_the_backstop(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    async with running(valkey.url, simulator) as lane, simulator.eyes() as eyes:
        async with asyncio.timeout(PATIENCE_S):
            while lane.broker_clock.offset is None:
                await asyncio.sleep(0.05)
        placed = await source.limit("o1", "0.1", "1.05", expires=in_an_hour)
        await ended(redis, 1)
        orders: Any = await eyes.orders()
        assert orders[0].type_time == OrderTime.SPECIFIED
        assert orders[0].time_expiration == in_an_hour.timestamp() + lane.broker_clock.offset
        assert lane.broker_clock.offset in (7200, 10800)  # what the simulated broker says of itself
        await source.end(placed, "expired")
        found = await ended(redis, 2)
        assert await eyes.orders() == ()

    assert [o.result for o in found] == ["accepted", "canceled"]


async def test_an_order_that_the_broker_has_expired_before_needs_no_removal(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator) as lane:
        async with asyncio.timeout(PATIENCE_S):
            while lane.broker_clock.offset is None:
                await asyncio.sleep(0.05)
        soon = datetime.now(UTC) + timedelta(seconds=2)
        placed = await source.limit("o1", "0.1", "1.05", expires=soon)
        await ended(redis, 1)
        async with asyncio.timeout(PATIENCE_S):
            while await simulator.orders():
                await asyncio.sleep(0.05)
        await source.end(placed, "expired")
        found = await ended(redis, 2)

    assert [o.result for o in found] == ["accepted", "ignored"]
    assert await redis.hgetall(KEYS.account("links", ACCOUNT)) == {}
