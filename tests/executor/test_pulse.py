"""The pulse shows the streams and tells how the account is; what it cannot know is not a number."""

import asyncio
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.book import Debt
from executor.meter import Disagreement, Meter
from executor.metrics import Metrics
from executor.pulse import Pulse
from executor.settings import Limits
from shared import streams, vitals
from shared.depth import Depth, Group
from shared.process import cancelled
from shared.vitals import AccountVitals
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, account, ended, running


def now() -> datetime:
    return datetime.now(UTC)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(f"tradecopier_{name}", labels)
    assert found is not None
    return found


def idle(redis: Redis) -> tuple[Pulse, CollectorRegistry]:
    registry = CollectorRegistry()
    return Pulse(registry, Metrics(registry, [ACCOUNT]), redis, KEYS, (), now), registry


def depth(lag: int | None) -> Depth:
    group = Group(stream="orders", name=ACCOUNT, lag=lag, pending=2, oldest=7.0)
    return Depth(lengths={"orders": 9, "outcomes": 1, "dead": 3}, groups=(group,), used=1, limit=4)


async def test_a_lag_that_the_server_cannot_tell_is_not_a_number_and_not_0(redis: Redis) -> None:
    pulse, registry = idle(redis)

    pulse.show(depth(None))

    assert math.isnan(value(registry, "group_lag", stream="orders", group=ACCOUNT))
    assert value(registry, "group_oldest_pending_seconds", stream="orders", group=ACCOUNT) == 7
    assert value(registry, "stream_entries", stream="dead") == 3


async def test_a_group_that_is_gone_is_unknown_and_not_empty(redis: Redis) -> None:
    pulse, registry = idle(redis)
    pulse.show(depth(0))

    pulse.show(Depth(lengths={"orders": 9, "outcomes": 1, "dead": 3}, groups=(), used=1, limit=4))

    assert math.isnan(value(registry, "group_lag", stream="orders", group=ACCOUNT))


@pytest.mark.parametrize(("condition", "is_shown"), [("lost", True), ("removed", False)])
async def test_what_a_person_has_removed_is_no_more_unknown_than_there(
    redis: Redis, condition: str, is_shown: bool
) -> None:
    registry = CollectorRegistry()
    watcher = Metrics(registry, [ACCOUNT])
    pulse = Pulse(registry, watcher, redis, KEYS, [Meter(watcher, ACCOUNT, Limits(), now)], now)
    pulse.show(depth(0))
    watcher.lane(ACCOUNT, condition)
    await redis.xgroup_destroy(KEYS.orders, ACCOUNT)

    for _ in range(2):
        await pulse.beat()

    shown = registry.get_sample_value("tradecopier_group_lag", {"stream": "orders", "group": ACCOUNT})
    assert (shown is not None) == is_shown
    assert (await vitals.account(redis, KEYS, ACCOUNT) is not None) == is_shown


async def test_while_redis_is_away_no_old_value_looks_healthy() -> None:
    redis = streams.connect("redis://127.0.0.1:1/0")
    pulse, registry = idle(redis)
    pulse.show(depth(0))

    pulse._away(OSError("refused"))

    assert value(registry, "redis_up") == 0
    for group in (ACCOUNT, "archiver"):
        assert math.isnan(value(registry, "group_lag", stream="orders", group=group))
    await redis.aclose()


async def test_it_tells_how_the_account_is_and_what_has_no_symbol(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account(reconcile_every=0.1)) as lane:
        await source.buy("p1")
        await source.buy("p2", instrument="NOWHERE")
        await ended(redis, 2)
        meter = lane.meter
        meter.watcher.lane(ACCOUNT, "active")
        async with asyncio.timeout(PATIENCE_S):
            while not meter.unmapped:
                await asyncio.sleep(0.02)
        meter.differs([Disagreement("EURUSD: …", now())], meter.unmapped)
        pulse = Pulse(CollectorRegistry(), meter.watcher, redis, KEYS, [meter], now)
        await pulse.beat()
        told = await vitals.account(redis, KEYS, ACCOUNT)
        meter.watcher.lane(ACCOUNT, "away")
        await pulse.beat()

    assert told is not None
    assert (told.condition, told.margin, told.identity) == ("active", "hedging", "1@Demo")
    assert [(p.symbol, f"{p.lots:f}") for p in told.positions] == [("EURUSD", "0.1")]
    assert (told.unmapped, told.drift) == (("NOWHERE",), ("EURUSD: …",))
    assert meter.drifting == (), "what nobody can see now is not shown as if it were seen"
    assert value(meter.registry, "trading_state", account=ACCOUNT, state="active") == 1


async def test_what_a_lane_has_become_is_told_at_once_and_since_when(redis: Redis) -> None:
    watcher = Metrics(CollectorRegistry(), [ACCOUNT])
    meter = Meter(watcher, ACCOUNT, Limits(), now)
    before = now()
    telling = asyncio.create_task(Pulse(CollectorRegistry(), watcher, redis, KEYS, [meter], now).run())
    starting = await told_as(redis, "starting")
    watcher.lane(ACCOUNT, "away")
    away = await told_as(redis, "away")
    await cancelled(telling)

    assert starting.since is not None
    assert away.since is not None
    assert before <= starting.since < away.since <= away.at


async def told_as(redis: Redis, condition: str) -> AccountVitals:
    async with asyncio.timeout(PATIENCE_S):
        while (told := await vitals.account(redis, KEYS, ACCOUNT)) is None or told.condition != condition:
            await asyncio.sleep(0.01)
    return told


@pytest.mark.parametrize("ago", [0.0, 60.0])
async def test_who_is_not_at_work_does_not_speak_against_who_is(redis: Redis, ago: float) -> None:
    """Our terminal is gone, and another executor has taken the account over: it knows better."""
    watcher = Metrics(CollectorRegistry(), [ACCOUNT])
    meter = Meter(watcher, ACCOUNT, Limits(), now)
    watcher.lane(ACCOUNT, "away")
    other = AccountVitals(at=now() - timedelta(seconds=ago), condition="active", identity="1@Demo")
    await vitals.tell_account(redis, KEYS, ACCOUNT, other)

    await Pulse(CollectorRegistry(), watcher, redis, KEYS, [meter], now).beat()

    told = await vitals.account(redis, KEYS, ACCOUNT)
    assert told is not None
    assert told.condition == ("away" if ago else "active"), "unless it has not spoken for long"


async def test_what_is_owed_is_told_before_a_lane_has_begun(redis: Redis) -> None:
    """The executor was started anew and the terminal is gone: the close is owed all the same."""
    registry = CollectorRegistry()
    watcher = Metrics(registry, [ACCOUNT])
    meter = Meter(watcher, ACCOUNT, Limits(), now)
    since = now() - timedelta(seconds=70)
    debt = Debt(link="demo/1/p", fact="f", entry="1-0", target=Decimal(0), since=since, captured=since)
    await redis.hset(KEYS.account("debts", ACCOUNT), debt.link, msgspec.json.encode(debt))
    await redis.hset(KEYS.account("debts", ACCOUNT), "written by a stranger", "{")
    await redis.hset(KEYS.account("state", ACCOUNT), "mode", "none that there is")
    watcher.lane(ACCOUNT, "away")

    await Pulse(CollectorRegistry(), watcher, redis, KEYS, [meter], now).beat()

    told = await vitals.account(redis, KEYS, ACCOUNT)
    assert told is not None
    assert (told.condition, told.owed) == ("away", 1)
    assert told.oldest >= 70
    assert value(registry, "unfinished_facts", account=ACCOUNT, state="owed") == 1
    meter.let_go()
    assert value(registry, "unfinished_facts", account=ACCOUNT, state="owed") == 0


STRANGE = {
    "no moment": {"debts": b'{"link":"x","fact":"f","entry":"","target":"0","since":"2026-01-01T00:00:00",'
                           b'"captured":"2026-01-01T00:00:00"}'},
    "without end": {"debts": b"[" * 5000},
    "no text": {"debts": b"\xff", "state": b"\xff"},
}  # fmt: skip


@pytest.mark.parametrize("strange", [*STRANGE, "no hash"])
async def test_what_a_stranger_has_written_of_one_account_keeps_no_other_from_being_told(
    redis: Redis, strange: str
) -> None:
    watcher = Metrics(CollectorRegistry(), [ACCOUNT, "other"])
    meters = [Meter(watcher, name, Limits(), now) for name in (ACCOUNT, "other")]
    if strange in STRANGE:
        for part, content in STRANGE[strange].items():
            await redis.hset(KEYS.account(part, ACCOUNT), "mode", cast(Any, content))
    else:
        for part in ("debts", "state"):
            await redis.delete(KEYS.account(part, ACCOUNT))
            await redis.set(KEYS.account(part, ACCOUNT), "no hash")
        await redis.rpush(KEYS.account("vitals", ACCOUNT), "no text")
    for meter in meters:
        watcher.lane(meter.account, "away")

    await Pulse(CollectorRegistry(), watcher, redis, KEYS, meters, now).beat()

    for meter in meters:
        told = await vitals.account(redis, KEYS, meter.account)
        assert told is not None
        assert (told.condition, told.owed) == ("away", 0)


async def test_who_was_at_work_until_now_says_that_it_is_not(redis: Redis) -> None:
    watcher = Metrics(CollectorRegistry(), [ACCOUNT])
    pulse = Pulse(CollectorRegistry(), watcher, redis, KEYS, [Meter(watcher, ACCOUNT, Limits(), now)], now)
    for condition in ("active", "away"):
        watcher.lane(ACCOUNT, condition)
        await pulse.beat()
        told = await vitals.account(redis, KEYS, ACCOUNT)
        assert told is not None
        assert told.condition == condition


async def test_what_cannot_be_read_was_not_said(redis: Redis) -> None:
    await redis.set(KEYS.account("vitals", ACCOUNT), b"{")

    assert await vitals.account(redis, KEYS, ACCOUNT) is None
    assert await vitals.source(redis, KEYS, "nobody") is None
